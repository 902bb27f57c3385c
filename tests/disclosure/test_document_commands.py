"""The guides for procurement and for the auditor: every command in them runs, and says what the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest

from tests.disclosure.test_aggregate import DAY_NS, JULY_NS, call, lake_of, request
from wattspan.disclosure.questionnaire.column_map import Column, read_map
from wattspan.methodology import Edition, editions

DOCUMENTS = Path(__file__).parents[2] / "docs"
CAPTURE = Path(__file__).parents[1] / "captures" / "openlit.binpb"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Step = tuple[str, str]


def steps(page: str) -> list[Step]:
    """Commands and the output that follows them on a page."""
    found: list[Step] = []
    for kind, text in _BLOCK.findall((DOCUMENTS / page).read_text(encoding="utf-8")):
        if kind == "sh":
            found.append((text, ""))
        elif kind == "text":
            found[-1] = (found[-1][0], text)
    return found


def run(folder: Path, command: str) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment["COLUMNS"] = "200"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def follow(folder: Path, page: str) -> list[str]:
    said = []
    for command, expected in steps(page):
        said.append(run(folder, command))
        for line in expected.splitlines():
            pattern = ".*".join(map(re.escape, line.split("…")))
            assert re.search(f"^{pattern}$", said[-1], re.MULTILINE), f"{line!r} is not in:\n{said[-1]}"
    return said


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of two quarters, and a customer's form."""
    folder = tmp_path_factory.mktemp("deal")
    spans = []
    for trace in range(1, 21):
        for start in (JULY_NS + trace * DAY_NS, JULY_NS - 80 * DAY_NS + trace * DAY_NS):
            number = trace + (0 if start > JULY_NS else 100)
            spans += request(number, "/summaries", [call(2, number, start)], start=start)
    lake_of(folder / "lake", spans)
    (configuration,) = (
        text for kind, text in _BLOCK.findall((DOCUMENTS / "procurement.md").read_text(encoding="utf-8"))
        if kind == "yaml"
    )  # fmt: skip
    (folder / "wattspan.yaml").write_text(configuration)
    book = openpyxl.Workbook()
    book.active.append(["Product", "kg CO2e per 1,000,000 requests", "Method", "Recycled packaging"])
    book.active.append(["Ticket summary", None, None, None])
    book.save(folder / "form.xlsx")
    return folder


@pytest.fixture(scope="module")
def nine_days(desk: Path) -> list[str]:
    return follow(desk, "procurement.md")


def head_of(said: list[str]) -> str:
    (found,) = re.findall(r"^\d+:[0-9a-f]{64}$", "\n".join(said), re.MULTILINE)
    return str(found)


def test_the_nine_days_end_with_a_filled_form_and_files_to_send(desk: Path, nine_days: list[str]) -> None:
    sheet = openpyxl.load_workbook(desk / "answered.xlsx").active
    assert [cell.value for cell in sheet[2]][2:] == ["wattspan-2026.11", None]
    sealed = json.loads((desk / "disclosures/2026Q3/summary@1/disclosure.json").read_bytes())
    assert sheet["B2"].value == float(sealed["columns"]["ghg_location"]["per_1000000"])
    assert "sha256:" in sheet["B2"].comment.text
    for name in ("summary.pdf", "summary.xlsx", "sealed.tar.gz"):
        assert (desk / name).stat().st_size > 1000, name
    assert head_of(nine_days).startswith("2:")


def test_the_auditor_sees_what_the_page_says(desk: Path, nine_days: list[str], tmp_path: Path) -> None:
    run(desk, f"cp -r disclosures lake wattspan.yaml {tmp_path}")
    (tmp_path / "head.txt").write_text(head_of(nine_days))
    said = follow(tmp_path, "auditor.md")
    (by_hand,) = (text for text in said if text.startswith("sealed "))
    sealed, reckoned = re.fullmatch(r"sealed (\S+), by hand (\S+)\n", by_hand).groups()
    assert sealed == reckoned
    assert (tmp_path / "again.json").stat().st_size > 1000


def test_the_crosswalk_is_shown_as_its_page_says(desk: Path, nine_days: list[str]) -> None:
    with_values, pointers = follow(desk, "crosswalk.md")[0].split("CDP supply chain", 2)[1:]
    assert "UNVERIFIED" in with_values
    assert "UNVERIFIED" in pointers


def test_the_page_of_disclosures_in_short(desk: Path, tmp_path: Path) -> None:
    run(desk, f"cp -r lake wattspan.yaml form.xlsx {tmp_path}")
    commands = [command for command, _ in steps("disclosure.md")]
    in_short, suggest, fill, share, can = (
        next(command for command in commands if words in command)
        for words in ("key new", "--suggest", "--map", "--customer", "traces.binpb --can")
    )
    assert "Ticket summary, 2026Q3, edition 1: " in run(tmp_path, in_short)
    assert (tmp_path / "answer.xlsx").read_bytes().startswith(b"PK")
    run(tmp_path, share.replace("120000", "12"))  # the page's customer is larger than this lake
    assert (tmp_path / "customer.pdf").read_bytes().startswith(b"%PDF")
    run(tmp_path, suggest)
    with pytest.raises(AssertionError, match="nobody has checked it"):
        run(tmp_path, fill)
    suggested = tmp_path / "map.yaml"
    suggested.write_text(suggested.read_text().replace("reviewed: false", "reviewed: true"))
    assert "2 cells of 1 rows filled: answered.xlsx" in run(tmp_path, fill)
    run(tmp_path, share)
    assert (tmp_path / "customer.pdf").read_bytes().startswith(b"%PDF")
    run(tmp_path, f"cp {CAPTURE} traces.binpb")
    with pytest.raises(AssertionError, match="refused, open-period"):
        run(tmp_path, can)


def test_the_map_on_the_page_of_disclosures_is_one() -> None:
    blocks = _BLOCK.findall((DOCUMENTS / "disclosure.md").read_text(encoding="utf-8"))
    (shown,) = (text for kind, text in blocks if kind == "yaml" and text.startswith("sheet:"))
    asked = read_map(shown, "disclosure.md")
    assert asked.columns["Our footprint (t)"] == Column("ghg_location", "t", "Requests in 2026")
    assert asked.columns["Verified?"].values == {"none": "no"}
    assert asked.names == {"Their name": "TS-1"}


def test_what_was_tampered_with_stops_the_auditor(desk: Path, nine_days: list[str], tmp_path: Path) -> None:
    run(desk, f"cp -r disclosures {tmp_path}")
    (tmp_path / "head.txt").write_text("3:" + "0" * 64)
    with pytest.raises(AssertionError, match="its tail was cut"):
        run(tmp_path, steps("auditor.md")[0][0])


def test_every_released_edition_has_a_page_that_names_its_digest() -> None:
    index = (DOCUMENTS / "methodology.md").read_text(encoding="utf-8")
    navigation = (DOCUMENTS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    for name in editions():
        edition = Edition.load(name)
        if edition.status == "released":
            page = (DOCUMENTS / "methodology" / f"{name}.md").read_text(encoding="utf-8")
            assert edition.manifest["digest"] in page
            assert edition.manifest["digest"] in index
            assert f"(methodology/{name}.md)" in index
            assert f"methodology/{name}.md" in navigation


def test_the_tiers_on_an_editions_page_are_that_editions() -> None:
    for name in editions():
        page = (DOCUMENTS / "methodology" / f"{name}.md").read_text(encoding="utf-8")
        for tier, content in Edition.load(name).read_json("spreads.json")["tiers"].items():
            assert f"| `{tier}` |" in page
            (row,) = (line for line in page.splitlines() if line.startswith(f"| `{tier}` |"))
            assert f"×{content['g']:g} " in row
