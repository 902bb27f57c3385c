"""Which implementation runs, and that an installation without the kernel works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from implementations import KERNEL
from wire_bytes import attribute, counted, int_value, request, span

ROOT = Path(__file__).parents[3]
DATA = request(span(counted(5, b"s"), attributes=(attribute("a", int_value(41)),)))
SCRIPT = f"""
from wattspan.otlp import wire
data = bytes.fromhex({DATA.hex()!r})
table = wire.scan(data, ["a"])
spliced = wire.splice(data, table, [wire.encode_attributes([("a", int(table.value_int[0]) + 1)])], [])
print(wire.IMPLEMENTATION, wire.scan(spliced, ["a"]).value_int.tolist())
"""
WITHOUT_KERNEL = """
import sys
sys.modules["wattspan.otlp.wire._kernel"] = None
"""


def run(script: str, wanted: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "WATTSPAN_WIRE"}
    if wanted is not None:
        environment["WATTSPAN_WIRE"] = wanted
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("script", "wanted", "expected"),
    [
        pytest.param(
            SCRIPT, None, "cython", marks=pytest.mark.skipif(KERNEL is None, reason="the kernel is not built")
        ),
        (SCRIPT, "fallback", "opentelemetry-proto"),
        (WITHOUT_KERNEL + SCRIPT, None, "opentelemetry-proto"),
    ],
)
def test_the_best_implementation_there_is_runs_unless_told_otherwise(
    script: str, wanted: str | None, expected: str
) -> None:
    done = run(script, wanted)
    assert done.stderr == ""
    assert done.stdout == f"{expected} [41, 42]\n"


def test_insisting_on_a_kernel_that_is_not_there_fails() -> None:
    done = run(WITHOUT_KERNEL + SCRIPT, "cython")
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr or "ImportError" in done.stderr


def test_where_no_compiler_works_the_build_goes_on_without_the_kernel(tmp_path: Path) -> None:
    shutil.copy2(ROOT / "setup.py", tmp_path)
    for room in ("estimator", "otlp/wire", "otlp/owners", "sdk"):
        shutil.copytree(
            ROOT / "wattspan" / room,
            tmp_path / "wattspan" / room,
            ignore=shutil.ignore_patterns("*.so"),
        )
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--build-lib", "lib", "--build-temp", "temp"],
        cwd=tmp_path,
        env={**os.environ, "CC": "/no/such/compiler", "CFLAGS": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert 'building extension "wattspan.otlp.wire._kernel" failed' in done.stderr
    assert list(tmp_path.rglob("*.so")) == []


def test_an_unknown_implementation_is_refused_with_the_allowed_ones() -> None:
    done = run(SCRIPT, "rust")
    assert "WATTSPAN_WIRE is 'rust'; allowed are cython, fallback, or unset" in done.stderr
