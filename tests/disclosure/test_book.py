"""Published disclosures: what verify catches, what reproduce holds, what the ledger remembers."""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import os
import platform
import re
import shutil
import socket
from decimal import Decimal
from pathlib import Path

import pytest

from tests.disclosure.sealed_rows import NOW, cell, sealed, subject
from wattspan.disclosure.book import Book, BookError
from wattspan.disclosure.folder import FolderError
from wattspan.disclosure.keys import KeyFileError, SigningKey
from wattspan.disclosure.ledger import LedgerError
from wattspan.disclosure.prepare import environment
from wattspan.disclosure.subject import Change

ID = "saas.example/2026Q3/ticket-summary@1"
ENVIRONMENT = "python 3.11\n"


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.new(tmp_path / "keys" / "signing.pem")


@pytest.fixture
def book(tmp_path: Path, key: SigningKey) -> Book:
    made = Book(tmp_path / "disclosures")
    made.publish(subject(), sealed(cell()), key, NOW, environment=ENVIRONMENT)
    return made


def test_a_published_disclosure_verifies_and_reproduces(book: Book) -> None:
    assert book.verify(ID) == []
    assert book.reproduce(ID) == []
    (published,) = book.published()
    assert (published.id, published.status) == (ID, "active")
    said = json.loads((book.folder(ID) / "disclosure.json").read_bytes())["columns"]
    # 0.0792 kg over 50 inferences
    assert said["ghg_location"]["value"] == "1.58"
    assert said["ghg_location"]["exact"] == "1.58400000000000"
    assert said["ghg_location"]["per_1000000"] == "1580"
    assert said["energy_kwh"]["value"] == "7.20"
    assert said["ghg_use"]["value"] == "1.44"
    assert said["ghg_embodied"]["value"] == "0.144"
    assert said["ghg_market"]["value"] == "not available"
    assert len(said) == 23


def test_the_same_rows_give_the_same_bytes(tmp_path: Path, key: SigningKey) -> None:
    folders = []
    for name in ("one", "two"):
        book = Book(tmp_path / name)
        book.publish(subject(), sealed(cell(), cell(day="2026-07-02")), key, NOW, environment=ENVIRONMENT)
        folders.append({p.name: p.read_bytes() for p in book.root.rglob("*") if p.is_file()})
    assert folders[0] == folders[1]


def test_a_byte_changed_in_any_file_is_caught_and_named(book: Book) -> None:
    folder = book.folder(ID)
    for path in [p for p in folder.rglob("*") if p.is_file()]:
        whole = path.read_bytes()
        for place in {0, len(whole) // 2, len(whole) - 1}:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            problems = book.verify(ID)
            assert any(path.name in problem for problem in problems), (path.name, place)
        path.write_bytes(whole)
    assert book.verify(ID) == []


def test_a_file_taken_away_or_added_is_named(book: Book) -> None:
    folder = book.folder(ID)
    (folder / "inputs" / "more.csv").write_text("x\n")
    assert book.verify(ID) == ["inputs/more.csv is not in the manifest"]
    (folder / "inputs" / "more.csv").unlink()
    (folder / "inputs" / "requests.csv").unlink()
    assert book.verify(ID) == ["inputs/requests.csv is missing"]


def test_a_link_in_the_folder_is_refused(book: Book, tmp_path: Path) -> None:
    (book.folder(ID) / "link").symlink_to(tmp_path)
    assert book.verify(ID) == ["link is a link: a sealed folder holds files alone"]


def test_renderings_are_not_sealed(book: Book) -> None:
    (book.folder(ID) / "renderings").mkdir()
    (book.folder(ID) / "renderings" / "table.csv").write_text("x\n")
    assert book.verify(ID) == []


def test_a_folder_of_another_disclosure_in_its_place_is_caught(book: Book, key: SigningKey) -> None:
    book.publish(subject(2), sealed(cell(n=7)), key, NOW, environment=ENVIRONMENT)
    other = book.folder(ID.replace("@1", "@2"))
    shutil.rmtree(book.folder(ID))
    shutil.copytree(other, book.folder(ID))
    problems = book.verify(ID)
    assert "manifest.json: not the one that ledger line 2 names" in problems
    assert any("swapped" in problem for problem in problems)


def test_numbers_edited_and_sealed_again_with_another_key_are_caught(book: Book, tmp_path: Path) -> None:
    thief = SigningKey.new(tmp_path / "thief.pem")
    forged = Book(tmp_path / "forged")
    forged.publish(subject(), sealed(cell(g_per_kwh=1)), thief, NOW, environment=ENVIRONMENT)
    shutil.rmtree(book.folder(ID))
    shutil.copytree(forged.folder(ID), book.folder(ID))
    assert any("is not a key of this ledger" in problem for problem in book.verify(ID))


def lines(book: Book) -> list[bytes]:
    return book.ledger.path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def long_book(book: Book, key: SigningKey) -> Book:
    for number in (2, 3, 4):
        book.publish(subject(number), sealed(cell(n=number)), key, NOW, environment=ENVIRONMENT)
    return book


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda rows: [*rows[:1], *rows[2:]], "line 2"),
        (lambda rows: [rows[0], rows[2], rows[1], *rows[3:]], "line 2"),
        (lambda rows: rows[1:], "line 1"),
        (lambda rows: [*rows[:2], rows[2].replace(b'"first"', b'"worst"'), *rows[3:]], "line 3"),
        (lambda rows: [*rows[:2], rows[2].replace(b"@2", b"@9"), *rows[3:]], "line 3"),
        (lambda rows: [*rows, b"{}\n"], "line 6"),
        (lambda rows: [*rows, rows[-1]], "line 6"),
        (lambda rows: [*rows[:3], b"\xff\n", *rows[3:]], "line 4"),
        (lambda rows: [*rows, b'{"half":'], "line 6: torn"),
    ],
)
def test_a_damaged_ledger_is_caught_and_the_line_named(long_book: Book, damage, named) -> None:
    changed = damage(lines(long_book))
    assert changed != lines(long_book)
    long_book.ledger.path.write_bytes(b"".join(changed))
    (problem,) = long_book.verify(ID)
    assert problem.startswith(f"ledger.jsonl, {named}")


def test_a_cut_tail_is_caught_by_the_head_that_was_handed_out(long_book: Book) -> None:
    head = long_book.ledger.head()
    assert head[0] == 5
    long_book.ledger.path.write_bytes(b"".join(lines(long_book)[:-1]))
    assert long_book.verify(ID) == []
    assert long_book.verify(ID, head) == [
        "ledger.jsonl: has 4 lines, and line 5 was handed out: its tail was cut"
    ]


def test_a_ledger_written_anew_is_caught_by_the_head(
    long_book: Book, key: SigningKey, tmp_path: Path
) -> None:
    head = long_book.ledger.head()
    again = Book(tmp_path / "again")
    for number in (1, 2, 3, 4):
        later = NOW + dt.timedelta(days=number)
        again.publish(subject(number), sealed(cell(n=100)), key, later, environment=ENVIRONMENT)
    assert again.verify(ID, head) == [
        "ledger.jsonl, line 5: not the line that was handed out: the ledger was written anew"
    ]


def test_a_torn_line_is_cut_off_by_the_next_publish(book: Book, key: SigningKey) -> None:
    with book.ledger.path.open("ab") as file:
        file.write(b'{"class":"first","id":"saas')
    book.publish(subject(2), sealed(cell()), key, NOW, environment=ENVIRONMENT)
    assert [p.id[-1] for p in book.published()] == ["1", "2"]
    assert book.verify(ID) == []


def test_a_folder_without_its_line_is_what_a_crash_left_and_is_made_again(
    book: Book, key: SigningKey
) -> None:
    folder = book.folder(ID.replace("@1", "@2"))
    shutil.copytree(book.folder(ID), folder)
    published = book.publish(subject(2), sealed(cell(n=7)), key, NOW, environment=ENVIRONMENT)
    assert book.verify(published.id) == []


def test_a_disk_that_refuses_leaves_nothing_published(
    book: Book, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lines(book)

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FolderError, match="No space left on device; nothing was published"):
        book.publish(subject(2), sealed(cell()), key, NOW, environment=ENVIRONMENT)
    monkeypatch.undo()
    assert lines(book) == before
    assert not book.folder(ID.replace("@1", "@2")).exists()


def test_a_ledger_that_cannot_be_written_takes_the_folder_back(
    book: Book, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lines(book)

    def refuse(*_: object) -> None:
        raise LedgerError("ledger.jsonl cannot be written")

    monkeypatch.setattr(book.ledger, "append", refuse)
    with pytest.raises(LedgerError):
        book.publish(subject(2), sealed(cell()), key, NOW, environment=ENVIRONMENT)
    assert lines(book) == before
    assert not book.folder(ID.replace("@1", "@2")).exists()


def _publish(root: Path, key_file: Path, number: int) -> None:
    book = Book(root)
    book.publish(
        subject(number), sealed(cell(n=number)), SigningKey.load(key_file), NOW, environment=ENVIRONMENT
    )


def test_publishers_side_by_side_leave_one_whole_ledger(tmp_path: Path, key: SigningKey) -> None:
    root, key_file = tmp_path / "disclosures", tmp_path / "keys" / "signing.pem"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_publish, args=(root, key_file, n)) for n in (1, 2, 3, 4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    book = Book(root)
    assert sorted(p.id[-1] for p in book.published()) == ["1", "2", "3", "4"]
    assert all(book.verify(p.id) == [] for p in book.published())


def test_of_publishers_of_one_id_one_wins_and_the_other_is_told(tmp_path: Path, key: SigningKey) -> None:
    root, key_file = tmp_path / "disclosures", tmp_path / "keys" / "signing.pem"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_publish, args=(root, key_file, 1)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(process.exitcode for process in processes) == [0, 1, 1]
    book = Book(root)
    assert [p.id for p in book.published()] == [ID]
    assert book.verify(ID) == []


def test_the_same_id_is_never_published_twice(book: Book, key: SigningKey) -> None:
    with pytest.raises(BookError, match="published already"):
        book.publish(subject(), sealed(cell(n=9)), key, NOW, environment=ENVIRONMENT)
    assert book.next_edition("saas.example", "2026Q3", "ticket-summary") == 2
    assert book.next_edition("saas.example", "2026Q2", "ticket-summary") == 1


def test_a_better_coefficient_supersedes_and_an_error_withdraws(book: Book, key: SigningKey) -> None:
    later = NOW + dt.timedelta(days=30)
    revised = subject(
        2, change=Change("estimate-revision", ID, Decimal("1.584"), "2026-11-02", "asked for by a customer")
    )
    book.publish(revised, sealed(cell()), key, later, environment=ENVIRONMENT, supersedes=ID)
    first, second = book.published()
    assert (first.status, first.replaced_by, second.status) == ("superseded", second.id, "active")
    wrong = subject(
        3, change=Change("error-correction", second.id, Decimal("1.584"), "2026-12-02", "calls of July lost")
    )
    book.publish(
        wrong,
        sealed(cell(n=200)),
        key,
        later + dt.timedelta(days=1),
        environment=ENVIRONMENT,
        supersedes=second.id,
    )
    assert [p.status for p in book.published()] == ["superseded", "withdrawn", "active"]
    assert all(book.verify(p.id) == [] and book.reproduce(p.id) == [] for p in book.published())
    # what was in force on a day, as it was known then
    assert [p.status for p in book.published(NOW + dt.timedelta(days=1))] == ["active"]
    with pytest.raises(BookError, match="superseded already"):
        book.publish(subject(4), sealed(cell()), key, later, environment=ENVIRONMENT, supersedes=ID)


def test_withdrawing_needs_a_reason_and_the_folder_stays(book: Book, key: SigningKey) -> None:
    with pytest.raises(BookError, match="say why"):
        book.withdraw(ID, " ", key, NOW)
    assert book.withdraw(ID, "wrong region", key, NOW).status == "withdrawn"
    assert book.verify(ID) == []
    assert book.reproduce(ID) == []


def test_after_a_rotation_only_the_new_key_signs_and_old_seals_hold(
    book: Book, key: SigningKey, tmp_path: Path
) -> None:
    new = SigningKey.new(tmp_path / "new.pem")
    book.rotate(new, key, NOW)
    with pytest.raises(LedgerError, match="the ledger's newest is"):
        book.publish(subject(2), sealed(cell()), key, NOW, environment=ENVIRONMENT)
    book.publish(subject(2), sealed(cell()), new, NOW, environment=ENVIRONMENT)
    assert all(book.verify(p.id) == [] for p in book.published())


def test_an_unknown_id_lists_those_there_are(book: Book) -> None:
    with pytest.raises(BookError, match=f"there are: {re.escape(ID)}"):
        book.get("2026Q4/ticket-summary@1")
    assert book.get("ticket-summary@1").id == ID
    for hostile in ("a/../b", "../../etc/passwd", "a//b", "a/.ledger/b", "x"):
        with pytest.raises(BookError):
            book.folder(hostile)


def test_keys_are_for_their_owner_alone(tmp_path: Path, key: SigningKey) -> None:
    path = tmp_path / "keys" / "signing.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load(path).public.id == key.public.id
    assert "PRIVATE" not in repr(key)
    with pytest.raises(KeyFileError, match="never overwritten"):
        SigningKey.new(path)
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        SigningKey.load(path)
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n")
    broken.chmod(0o600)
    with pytest.raises(KeyFileError) as caught:
        SigningKey.load(broken)
    assert "secret" not in str(caught.value)


def test_sealed_files_name_no_machine_and_no_path(
    tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "machine-that-must-not-be-named"
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    monkeypatch.setattr(platform, "node", lambda: name)
    book = Book(tmp_path / "disclosures")
    book.publish(subject(), sealed(cell()), key, NOW, environment=environment())
    for path in book.root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert name.encode() not in data
            assert str(tmp_path).encode() not in data
