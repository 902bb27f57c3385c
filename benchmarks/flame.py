"""The flame graph page beside speedscope: time from navigation to the drawn picture, and of an axis switch.

Both in the same headless Chromium, each the fastest of three. speedscope comes from its npm package.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from wattspan.calls import Column
from wattspan.views.flame import flame
from wattspan.views.flame_formats import speedscope
from wattspan.views.frames import Figures, Frames
from wattspan.web.flame_file import flame_file, is_packed

SPEEDSCOPE = "speedscope@1.25.0"
ROUNDS = 3
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BUDGETS = {5_000: (0.5, 0.3), 50_000: (1.5, 0.3)}
"""Spans: seconds until drawn, seconds of an axis switch (docs/design)."""
SPREAD = '{"energy":[["method",0.3],["model:gpt-4o",0.9]],"grid":[["zone:FR",0.1]]}'


def frames(n: int) -> Frames:
    """One agent's trace: loops of steps with model calls, tools and databases, of n spans."""
    random = np.random.default_rng(7)
    depth, names = [0], ["agent run"]
    while len(depth) < n:
        step = 1 + int(random.integers(0, 3))
        depth += [step, step + 1, step + 2, step + 2, step + 3]
        names += [
            "step",
            f"chat model-{random.integers(0, 4)}",
            f"tool {random.integers(0, 20)}",
            "http",
            "db",
        ]
        # a child may only be one level below the row before it
        if depth[-5] > depth[-6] + 1:
            depth[-5:] = [level - (depth[-5] - depth[-6] - 1) for level in depth[-5:]]
    depth, names = depth[:n], names[:n]
    own = np.zeros((5, n))
    calls = np.array([name.startswith("chat") for name in names])
    own[0, calls] = random.lognormal(-8, 1, calls.sum())
    own[1], own[2] = own[0] * 300, own[0] * 5
    own[3, calls] = random.integers(100, 9000, calls.sum())
    own[4] = random.integers(10**5, 10**9, n)
    rows = np.flatnonzero(calls)
    texts = {
        name: Column.constant(text, len(rows))
        for name, text in (
            ("evidence", "closed"),
            ("region", "eu-west-3"),
            ("grid_source", "Ember"),
            ("spread", SPREAD),
        )
    }
    return Frames(
        Column.of(names),
        np.array(depth, dtype=np.int32),
        own,
        Figures(rows, own[0, rows], own[1, rows], **texts),
        np.arange(n, dtype=np.uint64),
    )


def main() -> None:
    chromium = os.environ.get("WATTSPAN_CHROMIUM") or shutil.which("chromium")
    if chromium is None or not is_packed():
        print("needs Chromium and the packed scripts (python -m wattspan.web.pack): not run")
        return
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name)
        has_rival = _speedscope(folder)
        browser = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=name))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        for n, (until_drawn, switch) in BUDGETS.items():
            made = frames(n)
            (folder / "ours.html").write_text(flame_file(flame(made), title="t", subtitle="", method=""))
            (folder / "their.json").write_text(speedscope(made, "rival"))
            ours = [_ours(browser, f"{base}/ours.html") for _ in range(ROUNDS)]
            drawn, switched = (min(times) for times in zip(*ours, strict=True))
            print(
                f"{n:>7,} spans  drawn {drawn:.2f} s (budget {until_drawn})   "
                f"axis switch {switched:.2f} s (budget {switch})",
                flush=True,
            )
            if has_rival:
                url = f"{base}/node_modules/speedscope/dist/release/index.html#profileURL=/their.json"
                theirs = min(_theirs(browser, url) for _ in range(ROUNDS))
                print(f"{'':>14} speedscope {theirs:.2f} s, ours is {theirs / drawn:.1f} times as fast")
        browser.close()
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def _speedscope(folder: Path) -> bool:
    npm = shutil.which("npm")
    if npm is None:
        print("no npm: speedscope is left out")
        return False
    command = [npm, "install", "--no-audit", "--no-fund", "--silent", SPEEDSCOPE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        print("speedscope could not be installed: left out")
    return done.returncode == 0


def _ours(browser: Any, url: str) -> tuple[float, float]:
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.goto(url)
    page.wait_for_selector("section.flame[data-state=drawn]")
    # from the beginning of navigation to the end of the measure, two frames after drawing
    drawn = page.evaluate(
        """() => { const m = performance.getEntriesByName('flame-drawn')[0];
                    return (m.startTime + m.duration) / 1000 }"""
    )
    switched = page.evaluate(
        """() => new Promise((done) => { const begin = performance.now();
             document.querySelector('[data-axis=time]').click();
             requestAnimationFrame(() => requestAnimationFrame(
               () => done((performance.now() - begin) / 1000))); })"""
    )
    page.close()
    return drawn, switched


def _theirs(browser: Any, url: str) -> float:
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.add_init_script(
        """const look = () => document.title.includes('rival')
             ? requestAnimationFrame(() => requestAnimationFrame(() => {
                 window.drawnAt = performance.now(); }))
             : requestAnimationFrame(look); look();"""
    )
    page.goto(url)
    page.wait_for_function("() => window.drawnAt", timeout=60_000)
    seconds = page.evaluate("window.drawnAt / 1000")
    page.close()
    return float(seconds)
