"""The pages of disclosures over HTTP: what they show is what is sealed, and the checks are the real ones."""

from __future__ import annotations

import csv
import html
import io
import json
import shutil
import zipfile
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.web.published_book import DAYS, FIRST, HOSTILE, SECOND
from tests.web.site_thread import EVIL, served
from tests.web.test_site import get
from wattspan.disclosure.book import Book
from wattspan.disclosure.crosswalk import placed
from wattspan.disclosure.evidence import chain
from wattspan.disclosure.folder import read_files
from wattspan.disclosure.numbers import shown
from wattspan.disclosure.pact import Terms, faults
from wattspan.disclosure.pact.rendering import written as pact_file
from wattspan.disclosure.render.published import RENDERINGS, document_of
from wattspan.web.disclosure_site import Pace, TooOftenError


def at(site: str, disclosure_id: str, rest: str = "") -> str:
    return f"{site}/disclosures/{disclosure_id}{rest}"


def body(address: str) -> tuple[dict[str, str], bytes]:
    with urlopen(address, timeout=60) as answer:
        return dict(answer.headers), answer.read()


def test_all_are_listed_with_their_figure_status_and_the_head(site: str, book: Path) -> None:
    status, _, text = get(f"{site}/disclosures")
    assert status == 200
    for published in Book(book).published():
        assert f"/disclosures/{published.id.replace('@', '%40')}" in text
    columns = document_of(Book(book), Book(book).get(SECOND)).columns
    assert f"<b>{columns['ghg_location']['value']}</b>" in text
    assert '<span class="tag bad">superseded</span>' in text
    seq, digest = Book(book).ledger.head()
    assert f"<code>{seq}:{digest}</code>" in text


def test_one_is_shown_with_its_23_columns_and_its_parts(site: str, book: Path) -> None:
    text = html.unescape(get(at(site, SECOND))[2])
    document = document_of(Book(book), Book(book).get(SECOND))
    for line in document.lines():
        if line.key != "feature":
            assert line.title in text
            assert f"<b>{line.value}</b>" in text, line
    assert document.citation() in text
    for kind in RENDERINGS:
        assert f'/files/{kind}" download' in text
    assert text.count("<rect class=") == sum(2 + _effects(step) for step in document.bridge["steps"])
    assert "Ember 2025" in text
    for place in placed(document):
        assert place.row.point in text
        assert f"<b>{place.value or '–'}</b>" in text, place.row
    grams = shown(Decimal(document.columns["ghg_location"]["exact"]))
    assert f"<dt>SCI score</dt><dd>{grams} gCO2e / inference</dd>" in text


def _effects(step: dict) -> int:
    return sum(1 for effect in step["effects"].values() if Decimal(effect))


def test_the_chain_adds_up_to_the_sealed_figure(site: str, book: Path) -> None:
    found = chain(read_files(Book(book).folder(SECOND)))
    total_g = Decimal(document_of(Book(book), Book(book).get(SECOND)).columns["ghg_total"]["period"]["exact"])
    for parts in (
        found.by_source(),
        found.by_day(),
        [r for d in found.by_day() for r in found.rows(d.key[0])],
    ):
        grams = sum((part.use_g + part.embodied_g for part in parts), Decimal(0))
        assert grams / 1000 == pytest.approx(total_g, rel=Decimal("1e-14"))
        assert sum((part.share for part in parts), Decimal(0)) == pytest.approx(1, rel=Decimal("1e-14"))
    assert len(found.by_day()) == DAYS
    # 3 calls without usage a day, filled as the calls of their model
    gaps = [part for part in found.by_source() if part.is_gap]
    assert gaps == [] or sum(part.calls for part in gaps) == 3 * DAYS
    text = get(at(site, SECOND))[2]
    for vector in found.vectors():
        assert f'id="vector-{vector}"' in text


def test_a_day_shows_its_sealed_rows_and_its_neighbours(site: str, book: Path) -> None:
    status, _, text = get(at(site, SECOND, "/days/2026-07-02"))
    assert status == 200
    assert 'rel="prev">← 2026-07-01</a>' in text
    assert 'rel="next">2026-07-03 →</a>' in text
    assert "46 completed inferences, 1 failed" in text
    rows = list(
        csv.DictReader(io.StringIO((Book(book).folder(SECOND) / "inputs/aggregates.csv").read_text()))
    )
    calls = [int(row["calls"]) // 10**6 for row in rows if row["day"] == "2026-07-02"]
    assert sorted(calls) == [3, 46, 92]
    for n in calls:
        assert f'data-name="calls">{n}</td>' in text
    assert get(at(site, SECOND, "/days/2026-06-30"))[0] == 404
    assert get(at(site, SECOND, "/days/..%2f..%2fledger.jsonl"))[0] == 404


def test_the_sources_of_a_model_that_the_edition_knows_are_named(site: str, book: Path) -> None:
    text = get(at(site, SECOND))[2]
    assert "<h3>openai/gpt-4o-mini" in text
    assert "checked 2026-11" in text
    sealed = json.loads((Book(book).folder(SECOND) / "methodology/tables.json").read_bytes())["files"]
    assert {"hosts.json", "mpl/models.json", "spreads.json"} <= {table["path"] for table in sealed}
    plain = html.unescape(text)
    for table in sealed:
        assert f"<code>sha256:{table['sha256']}</code>" in plain, table["path"]
        assert table["text"][:20_000] in plain, table["path"]
    assert text.count("The rest is in") == sum(len(table["text"]) > 20_000 for table in sealed)
    assert 'href="/methodology/2026.11"' in text
    status, _, edition = get(f"{site}/methodology/2026.11")
    assert status == 200
    assert "digest <code>" in edition
    assert get(f"{site}/methodology/2025.01")[0] == 404
    assert get(f"{site}/methodology/..%2f..%2f..")[0] == 404


def test_each_rendering_is_the_one_of_the_terminal(site: str, book: Path) -> None:
    document = document_of(Book(book), Book(book).get(SECOND))
    for kind, rendering in RENDERINGS.items():
        headers, found = body(at(site, SECOND, f"/files/{kind}"))
        assert found == rendering.written(document), kind
        assert headers["Content-Type"] == rendering.content_type
        assert headers["Content-Disposition"] == (
            f'attachment; filename="saas.example_2026Q3_ticket-summary@2.{kind}"'
        )
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert (
        body(at(site, SECOND, "/files/disclosure.json"))[1]
        == (Book(book).folder(SECOND) / "disclosure.json").read_bytes()
    )
    footprint = body(at(site, SECOND, "/files/pact.json"))[1]
    assert footprint == pact_file(Book(book), Book(book).get(SECOND), Terms())
    assert faults(json.loads(footprint)) == []
    assert get(at(site, SECOND, "/files/manifest.json"))[0] == 404


def test_the_sealed_folder_can_be_taken_away_and_checked_elsewhere(site: str, tmp_path: Path) -> None:
    data = body(at(site, SECOND, "/files/sealed.zip"))[1]
    assert data == body(at(site, SECOND, "/files/sealed.zip"))[1]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(tmp_path / "copy")
    taken = Book(tmp_path / "copy")
    assert taken.verify(SECOND) == []
    assert taken.reproduce(SECOND) == []


def test_verify_and_reproduce_are_run_and_told_apart(site: str) -> None:
    said = json.loads(get(f"{site}/api/disclosures/{FIRST}/verify")[2])
    assert said["is_whole"]
    assert [check["name"].split(":")[0] for check in said["checks"]] == [
        "the ledger is whole",
        "9 files are as the manifest says, and no others",
        "the manifest is the one that ledger line 3 names",
        "the signature of ed25519",
        "the statement is of this id",
    ]
    again = json.loads(get(f"{site}/api/disclosures/{FIRST}/reproduce")[2])
    assert again == {
        "what": "reproduce",
        "is_whole": True,
        "checks": [
            {
                "name": "the 23 columns, reckoned again from 90 sealed daily rows, are the same to the "
                "last digit",
                "problems": [],
            }
        ],
    }


def test_a_byte_that_was_changed_is_told_at_once_and_by_each_check(
    lake: Path, book: Path, tmp_path: Path
) -> None:
    shutil.copytree(book, tmp_path / "book")
    path = tmp_path / "book/2026Q3/ticket-summary@2/disclosure.json"
    exact = json.loads(path.read_bytes())["columns"]["energy_kwh"]["exact"]
    with served(lake, book=tmp_path / "book") as site:
        assert "not as it was signed" not in get(at(site, SECOND))[2]
        path.write_bytes(path.read_bytes().replace(exact.encode(), exact[:-1].encode() + b"1"))
        assert "This folder is not as it was signed." in get(at(site, SECOND))[2]
        assert get(f"{site}/disclosures")[2].count("not as signed") == 1
        for kind in RENDERINGS:
            status, _, refused = get(at(site, SECOND, f"/files/{kind}"))
            assert status == 503, kind
            assert "is not as it was signed" in refused
        assert body(at(site, SECOND, "/files/sealed.zip"))[1].startswith(b"PK")
        said = json.loads(get(f"{site}/api/disclosures/{SECOND}/verify")[2])
        assert [check["problems"] for check in said["checks"] if check["problems"]] == [
            ["disclosure.json was changed: its SHA-256 is not the manifest's"]
        ]
        again = json.loads(get(f"{site}/api/disclosures/{SECOND}/reproduce")[2])
        assert again["checks"][0]["problems"] == [
            f"columns.energy_kwh.exact: sealed '{exact[:-1]}1', recomputed '{exact}'"
        ]
        text = get(at(site, SECOND, "/verify"))[2]
        assert "Not as it was signed" in text
        assert "disclosure.json was changed" in text
        path.unlink()
        text = get(at(site, SECOND, "/verify"))[2]
        assert "disclosure.json is missing" in text
        assert get(at(site, SECOND))[0] == 503
        assert get(at(site, SECOND, "/files/disclosure.json"))[0] == 503


def test_one_folder_that_cannot_be_read_does_not_take_the_list_of_all_with_it(
    lake: Path, book: Path, tmp_path: Path
) -> None:
    shutil.copytree(book, tmp_path / "book")
    folder = tmp_path / "book/2026Q3/ticket-summary@2"
    with served(lake, book=tmp_path / "book") as site:
        assert "<b></b>" not in get(f"{site}/disclosures")[2]
        for text in (b"[]", b"{}", b"[" * 100_000):
            (folder / "disclosure.json").write_bytes(text)
            status, _, page = get(at(site, SECOND))
            assert (status, "disclosure.json" in page) == (503, True)
            assert get(f"{site}/disclosures")[2].count("not as signed") == 1
        shutil.rmtree(folder)
        status, _, page = get(f"{site}/disclosures")
        assert status == 200
        assert page.count("not as signed") == 1
        assert page.count("<b></b>") == 1
        assert get(at(site, SECOND))[0] == 503


def test_a_ledger_that_is_not_whole_is_said_and_nothing_is_shown(
    lake: Path, book: Path, tmp_path: Path
) -> None:
    shutil.copytree(book, tmp_path / "book")
    ledger = tmp_path / "book/ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:1] + lines[2:]))
    with served(lake, book=tmp_path / "book") as site:
        for address in (f"{site}/disclosures", at(site, SECOND)):
            status, _, text = get(address)
            assert status == 503
            assert "ledger.jsonl, line 2" in text


def test_only_what_is_in_the_ledger_can_be_asked_for(site: str, book: Path) -> None:
    (book / "2026Q3" / "unpublished@1").mkdir()
    (book / "2026Q3" / "unpublished@1" / "disclosure.json").write_text("{}")
    for name in (
        "2026Q3/unpublished@1",
        "2026Q3/..",
        "../../etc",
        "2026Q3/ticket-summary@3",
        "%2e%2e/%2e%2e",
    ):
        for rest in ("", "/verify", "/files/pdf", "/files/disclosure.json", "/days/2026-07-01"):
            assert get(f"{site}/disclosures/saas.example/{name}{rest}")[0] == 404, (name, rest)
    assert get(at(site, SECOND, "/files/..%2f..%2fledger.jsonl"))[0] == 404
    shutil.rmtree(book / "2026Q3" / "unpublished@1")


def test_texts_of_a_disclosure_are_escaped(site: str) -> None:
    for page in (f"{site}/disclosures", at(site, HOSTILE), at(site, HOSTILE, "/days/2026-07-01")):
        text = get(page)[2]
        assert EVIL not in text
        assert "&lt;script&gt;window.hacked=1&lt;/script&gt;" in text, page


def test_before_anything_is_published_it_says_what_to_do(lake: Path, tmp_path: Path) -> None:
    with served(lake, book=tmp_path / "none") as site:
        status, _, text = get(f"{site}/disclosures")
        assert status == 200
        assert "Nothing is published yet" in text
        assert "wattspan disclosure publish --period" in text
        assert get(at(site, SECOND))[0] == 404
    assert not (tmp_path / "none").exists()


def test_they_need_no_lake(book: Path, tmp_path: Path) -> None:
    with served(tmp_path / "none", book=book) as site:
        assert get(at(site, SECOND))[0] == 200


def test_checks_are_let_through_at_a_pace() -> None:
    now = 0.0
    pace = Pace(2, 10, lambda: now)
    pace.take()
    pace.take()
    with pytest.raises(TooOftenError) as told:
        pace.take()
    assert told.value.wait_s == 10
    now = 9.0
    with pytest.raises(TooOftenError):
        pace.take()
    now = 10.0
    pace.take()


def test_who_asks_too_often_is_told_when_to_come_back(lake: Path, book: Path) -> None:
    with served(lake, book=book) as site:
        answers = [get(f"{site}/api/disclosures/{FIRST}/verify") for _ in range(12)]
        refused = [answer for answer in answers if answer[0] == 429]
        assert 0 < len(refused) <= 6
        assert int(refused[0][1]["Retry-After"]) >= 1
        status, _, text = get(at(site, FIRST, "/verify"))
        assert status == 429
        assert "the next one can be had in" in text


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=12) | st.sampled_from(["..", ".", "%2e%2e", SECOND]), max_size=5)
)
def test_no_path_is_an_error_of_the_server(site: str, parts: list[str]) -> None:
    path = "/".join(quote(part, safe="/%@") for part in parts)
    status, _, text = get(f"{site}/disclosures/{path}")
    assert status in {200, 400, 404}, path
    assert "Traceback" not in text
