"""A publisher that dies, or a disk that fills, at any step of publishing: the book stays whole.

Every operation on files that publishing does is counted (open, write, fsync, rename, mkdir, truncate), and
the process is killed at each in turn, a write halfway through; then the disk is full at each in turn.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.disclosure.sealed_rows import NOW, cell, sealed, subject
from wattspan.disclosure.book import Book
from wattspan.disclosure.comparison import Previous
from wattspan.disclosure.folder import FolderError
from wattspan.disclosure.keys import SigningKey
from wattspan.disclosure.ledger import LedgerError
from wattspan.disclosure.subject import Change

ID = "saas.example/2026Q3/ticket-summary@1"
ENVIRONMENT = "python 3.11\n"
DIED = 77


class Operations:
    """Counts operations on files and does something at the `at`-th."""

    def __init__(self, at: int, what: Callable[[], None]) -> None:
        self.count, self.at, self.what = 0, at, what

    def step(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.what()

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.step()
            return function(*arguments, **named)

        return counted

    def opened(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if not set(mode) & set("wa+"):
                return function(file, mode, *arguments, **named)
            self.step()
            return Written(function(file, mode, *arguments, **named), self)

        return counted

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(io, "open", self.opened(io.open))
        for name in ("fsync", "rename", "mkdir", "truncate", "rmdir", "unlink"):
            monkeypatch.setattr(os, name, self.before(getattr(os, name)))


class Written:
    """A file that is written, half of it before the step and half after."""

    def __init__(self, file: Any, operations: Operations) -> None:
        self._file, self._operations = file, operations

    def write(self, data: bytes) -> int:
        half = len(data) // 2
        self._file.write(data[:half])
        self._file.flush()
        self._operations.step()
        self._file.write(data[half:])
        return len(data)

    def __enter__(self) -> Written:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.new(tmp_path / "keys" / "signing.pem")


@pytest.fixture
def before(tmp_path: Path, key: SigningKey) -> Path:
    """A book with one disclosure, to be copied."""
    book = Book(tmp_path / "before")
    book.publish(subject(), sealed(cell()), key, NOW, environment=ENVIRONMENT)
    return book.root


def replaced(root: Path, key: SigningKey) -> None:
    """The longest way: an error correction with its predecessor beside it."""
    book = Book(root)
    change = Change("error-correction", ID, None, "2026-11-02", "calls were lost")
    book.publish(
        subject(2, change=change),
        sealed(cell(n=120)),
        key,
        NOW,
        environment=ENVIRONMENT,
        previous=Previous(subject(), sealed(cell()), None),
        supersedes=ID,
    )


def copies(before: Path, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    for number in range(1, 500):
        root = tmp_path / f"book-{number}"
        shutil.copytree(before, root)
        yield number, root


def is_whole(root: Path, key: SigningKey) -> list[str]:
    """Statuses of a book that has to be whole, after whatever a crash left in it was cleared."""
    book = Book(root)
    if (book.ledger.path.read_bytes() or b"\n")[-1:] != b"\n":
        with book.ledger.locked():
            book.ledger.mend()
    statuses = [published.status for published in book.published()]
    assert statuses in (["active"], ["withdrawn", "active"])
    for published in book.published():
        assert book.verify(published.id) == []
        assert book.reproduce(published.id) == []
    if len(statuses) == 1:
        # nothing was published: the same can be published again, over what is left
        replaced(root, key)
        assert all(book.verify(published.id) == [] for published in book.published())
    assert [published.status for published in book.published()] == ["withdrawn", "active"]
    left = [path.name for path in root.rglob("*") if "building" in path.name]
    assert left == []
    return statuses


def test_a_publisher_killed_at_any_step_leaves_the_book_whole(
    before: Path, tmp_path: Path, key: SigningKey
) -> None:
    outcomes = []
    for number, root in copies(before, tmp_path):
        child = os.fork()
        if child == 0:
            with pytest.MonkeyPatch.context() as patch:
                Operations(number, lambda: os._exit(DIED)).watch(patch)
                replaced(root, key)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        outcomes.append(is_whole(root, key))
        if os.waitstatus_to_exitcode(status) == 0:
            break
        assert os.waitstatus_to_exitcode(status) == DIED
        shutil.rmtree(root)
    # some died before the line of the ledger was there, some after
    assert outcomes[0] == ["active"]
    assert outcomes[-2] == outcomes[-1] == ["withdrawn", "active"]
    assert len(outcomes) > 40


def test_a_disk_that_is_full_at_any_step_is_told_and_nothing_is_published(
    before: Path, tmp_path: Path, key: SigningKey
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    told: list[str] = []
    for number, root in copies(before, tmp_path):
        operations, before_it = Operations(number, full), len(told)
        with pytest.MonkeyPatch.context() as patch:
            operations.watch(patch)
            try:
                replaced(root, key)
            except (FolderError, LedgerError) as error:
                told.append(str(error))
        # what was told as failed is not in the ledger, and what was not is
        assert is_whole(root, key) == (["active"] if len(told) > before_it else ["withdrawn", "active"])
        shutil.rmtree(root)
        if operations.count < number:
            break
    assert len(told) > 40
    assert all("No space left on device" in text for text in told)
