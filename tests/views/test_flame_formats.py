"""Flame graphs as files of other tools, read by those tools where they are."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.views.test_flame import ASK, frames_of
from wattspan.views.flame_formats import collapsed, pprof, speedscope


def test_collapsed_stacks_have_whole_numbers_in_small_units() -> None:
    frames = frames_of(ASK)
    assert collapsed(frames, "energy") == "ask;answer;chat a 7200000\nask;answer;chat b 3600000\n"
    assert collapsed(frames, "carbon") == "ask;answer;chat a 800000\nask;answer;chat b 100000\n"
    assert collapsed(frames, "time").splitlines()[:2] == ["ask 5000000", "ask;retrieve 2000000"]
    with pytest.raises(ValueError, match="axis 'watts'; allowed: energy, carbon, cost, tokens, time"):
        collapsed(frames, "watts")


@pytest.mark.skipif(shutil.which("go") is None, reason="Go's pprof is not on this machine")
@pytest.mark.parametrize(
    ("axis", "total", "flat"),
    [
        ("self_time", "4008ms", "3000ms"),
        ("tokens", "1500", "1200"),
        ("cost", "30000micro-USD", "20000micro-USD"),
        ("energy", "10800000millijoules", "7200000millijoules"),
        ("co2e", "900000micrograms", "800000micrograms"),
    ],
)
def test_go_tool_pprof_reads_all_five_sample_types(tmp_path: Path, axis: str, total: str, flat: str) -> None:
    path = tmp_path / "trace.pb.gz"
    path.write_bytes(pprof(frames_of(ASK), "trace"))
    said = subprocess.run(
        ["go", "tool", "pprof", "-top", f"-sample_index={axis}", str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"of {total} total" in said
    rows = [line.split() for line in said.splitlines() if "chat" in line]
    assert rows[0][0] == flat


def test_speedscope_has_one_profile_an_axis() -> None:
    content = json.loads(speedscope(frames_of(ASK), "trace"))
    assert [profile["name"].split()[0] for profile in content["profiles"]] == [
        "energy",
        "carbon",
        "cost",
        "tokens",
        "time",
    ]
    energy = content["profiles"][0]
    names = [frame["name"] for frame in content["shared"]["frames"]]
    assert [[names[at] for at in stack] for stack in energy["samples"]] == [
        ["ask", "answer", "chat a"],
        ["ask", "answer", "chat b"],
    ]
    assert energy["weights"] == [7_200_000, 3_600_000]
    assert energy["endValue"] == 10_800_000
