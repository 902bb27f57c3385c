"""`wattspan lake check`: damage is named by file, what can be mended is, what is lost is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import lake_spans
from wattspan.cli.main import app
from wattspan.estimator import Estimator
from wattspan.lake.check import check
from wattspan.lake.disk import LakeError
from wattspan.lake.features import FeatureRules
from wattspan.lake.manifest import FILE, Segment
from wattspan.lake.reader import open_snapshot
from wattspan.lake.seal import Sealer
from wattspan.lake.writer import LakeWriter

SEALER = Sealer(Estimator(), FeatureRules(), 1.0)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Three segments of 200, 300 and 400 spans, and 50 spans that are open."""
    with LakeWriter(tmp_path, SEALER) as writer:
        for seed, spans in enumerate((200, 300, 400)):
            writer.ingest([lake_spans.rows(spans, seed=seed)])
            writer.seal_all()
        writer.ingest([lake_spans.rows(50, seed=9)])
    return tmp_path


def segments(lake: Path) -> tuple[Segment, ...]:
    return open_snapshot(lake).manifest.segments


def count(lake: Path) -> int:
    return open_snapshot(lake).connect().execute("SELECT count(*) FROM spans").fetchone()[0]


def test_a_sound_lake_has_nothing_to_say(lake: Path) -> None:
    report = check(lake)
    assert (report.segments, report.rows, report.findings) == (3, 900, [])
    assert report.size == sum(path.stat().st_size for path in lake.rglob("*.parquet"))


def test_a_flipped_bit_is_found_and_the_spans_of_that_file_are_lost(lake: Path) -> None:
    path = lake / segments(lake)[1].file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert [(f.file, f.lost_rows) for f in check(lake).findings] == [(segments(lake)[1].file, 300)]
    assert [f.mended for f in check(lake, repair=True).findings] == [
        "left out of the manifest, moved to damaged/"
    ]
    assert [moved.read_bytes() for moved in (lake / "damaged").iterdir()] == [bytes(data)]
    assert count(lake) == 600
    assert len(segments(lake)) == 2


def test_a_missing_segment_is_named_with_what_it_held(lake: Path) -> None:
    gone = segments(lake)[0]
    (lake / gone.file).unlink()
    (finding,) = check(lake).findings
    assert str(finding) == f"{gone.file}: cannot be read: No such file or directory; 200 spans are lost"
    check(lake, repair=True)
    assert count(lake) == 700


def test_a_trace_index_is_made_anew(lake: Path) -> None:
    for harm in (lambda p: p.unlink(), lambda p: p.write_bytes(b"nothing of use")):
        index = lake / segments(lake)[2].index
        whole = index.read_bytes()
        harm(index)
        assert [f.file for f in check(lake).findings] == [segments(lake)[2].index]
        assert [f.mended for f in check(lake, repair=True).findings] == ["made anew"]
        assert index.read_bytes() == whole
        assert check(lake).findings == []


def test_what_a_crash_left_is_deleted_and_nothing_else(lake: Path) -> None:
    day = (lake / segments(lake)[0].file).parent
    for name in ("00000099.parquet", ".00000098.parquet.building"):
        (day / name).write_bytes(b"half a segment")
    assert len(check(lake, repair=True).findings) == 2
    assert check(lake).findings == []
    assert count(lake) == 900
    with LakeWriter(lake, SEALER) as writer:
        assert writer.open_spans == 50


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_a_manifest_is_made_from_the_segments(lake: Path, harm: str) -> None:
    before = segments(lake)
    if harm == "missing":
        (lake / FILE).unlink()
    else:
        (lake / FILE).write_bytes(b'{"layout":1,"gener')
    with pytest.raises(LakeError, match="check --repair"):
        LakeWriter(lake, SEALER)
    check(lake, repair=True)
    assert segments(lake) == before
    with LakeWriter(lake, SEALER) as writer:
        assert writer.open_spans == 50
        writer.seal_all()
    assert count(lake) == 950
    assert check(lake).findings == []


def test_a_newer_layout_is_left_alone(lake: Path) -> None:
    content = json.loads((lake / FILE).read_text())
    (lake / FILE).write_text(json.dumps({**content, "layout": 7}))
    for repair in (False, True):
        with pytest.raises(LakeError, match="layout 7; this version of Wattspan reads 1"):
            check(lake, repair=repair)
    assert json.loads((lake / FILE).read_text())["layout"] == 7


def test_nothing_is_mended_while_somebody_writes(lake: Path) -> None:
    with LakeWriter(lake, SEALER), pytest.raises(LakeError, match="writes to this lake"):
        check(lake, repair=True)


def test_a_torn_journal_is_said_and_what_was_whole_is_read(lake: Path) -> None:
    (journal,) = (lake / "open").iterdir()
    journal.write_bytes(journal.read_bytes() + b"\x10\x00\x00\x00torn")
    assert ["8 bytes at its end" in f.what for f in check(lake).findings] == [True]
    with LakeWriter(lake, SEALER) as writer:
        assert writer.open_spans == 50


def test_the_commands_tell_and_mend(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    run = CliRunner().invoke
    assert run(app, ["lake", "check", str(lake)]).exit_code == 0
    status = json.loads(run(app, ["lake", "status", str(lake), "--json"]).stdout)
    assert (status["spans"], status["segments"], status["traces"]) == (900, 3, 90)
    (lake / segments(lake)[0].file).unlink()
    result = run(app, ["lake", "check", str(lake), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["lost_rows"] == 200
    assert run(app, ["lake", "check", str(lake), "--repair"]).exit_code == 1
    assert run(app, ["lake", "check", str(lake)]).exit_code == 0
    assert "2 segments became 1" in run(app, ["lake", "compact", str(lake)]).stdout
    nowhere = str(tmp_path_factory.mktemp("nothing"))
    for command in ("check", "compact", "status"):
        result = run(app, ["lake", command, nowhere])
        assert (result.exit_code, "is no lake" in result.stderr) == (2, True)
