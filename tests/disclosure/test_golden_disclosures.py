"""Golden disclosures: sealed once, never again; their digits are reckoned as they were sealed.

Two quarters of one feature under two methodologies, then a restatement, then a wider boundary: calls of known
and unknown models, reported energy, calls without usage, sampled traces, a contract, and the application's
own compute. If one of these fails, an arithmetic changed that had sealed disclosures: put it back, and give
the new one a number of its own in `reproduce.INTERPRETERS`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wattspan.disclosure.book import Book
from wattspan.disclosure.reproduce import INTERPRETERS

GOLDEN = Path(__file__).parent / "golden"
HEAD = (5, "5b0a4ee84ef827a8dbefcd573f1ade4aab1109baad1e23e051d95807ed4359d0")
"""As it was handed out."""
MANIFESTS = {
    "2026Q2/summary@1": "2282c13c69fc921f158520b27515fc0aa3755664e500e48af91955f5e3749fb9",
    "2026Q3/summary@1": "bdb6a2075e074bd557c23ea8e1949cd2ada08301584d1cc5ac47564db0a52ec3",
    "2026Q3/summary@2": "1014bb623a359287b9909f1db1480aef2c2cdae142980d4daa8f720aafbe5958",
    "2026Q3/summary@3": "e8772e3fc755538cdba33859cb6bae1c987e73ff35d6ccc9c3dc9c3b808ed173",
}
PYTHONS = [path for path in os.environ.get("WATTSPAN_PYTHONS", "").split(os.pathsep) if path]
"""Other Pythons with numpy, pyarrow, pyyaml, rfc8785, cryptography and typing_extensions."""

REPRODUCE = """
import sys
from pathlib import Path
from wattspan.disclosure.folder import read_files
from wattspan.disclosure.reproduce import differences

found = [line for folder in sys.argv[1:] for line in differences(read_files(Path(folder)))]
print(sys.version_info[:2], *found, sep="\\n")
sys.exit(bool(found))
"""


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(shutil.copytree(GOLDEN, tmp_path / "golden"))


def test_every_byte_is_as_it_was_sealed(book: Book) -> None:
    published = book.published()
    assert {p.id[13:]: p.manifest_sha256 for p in published} == MANIFESTS
    assert [p.status for p in published] == ["active", "withdrawn", "superseded", "active"]
    for one in published:
        assert book.verify(one.id, HEAD) == []


def test_a_byte_changed_anywhere_is_named(book: Book) -> None:
    folder = book.folder(book.get("2026Q3/summary@1").id)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(files) == 14
    for path in files:
        whole, name = path.read_bytes(), path.relative_to(folder).as_posix()
        # every byte of the small files: the last letter of Base64 has bits that mean nothing to a decoder
        for place in range(0, len(whole), 1 if len(whole) < 2_000 else len(whole) // 7):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert any(name in problem for problem in book.verify("2026Q3/summary@1")), (name, place)
        path.write_bytes(whole)
    assert book.verify("2026Q3/summary@1") == []


def test_a_byte_changed_anywhere_in_the_ledger_is_named(book: Book) -> None:
    path = book.ledger.path
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        problems = Book(book.root).verify("2026Q3/summary@1")
        assert any(problem.startswith("ledger.jsonl") for problem in problems), place
    path.write_bytes(whole)
    assert book.verify("2026Q3/summary@1", HEAD) == []


@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_every_digit_is_reckoned_as_it_was_sealed(book: Book, name: str) -> None:
    assert book.reproduce(name) == []


def test_the_arithmetic_that_sealed_them_is_kept() -> None:
    assert 1 in INTERPRETERS


@pytest.mark.parametrize("python", [sys.executable, *PYTHONS])
def test_they_are_reckoned_alike_in_another_process_and_by_other_pythons(python: str) -> None:
    folders = [str(GOLDEN / name) for name in MANIFESTS]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [python, "-c", REPRODUCE, *folders],
        cwd="/",
        env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
