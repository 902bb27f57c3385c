"""`import wattspan` and the first estimate in a fresh interpreter, beside one that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 9


def milliseconds(code: str) -> float:
    """Median wall time of RUNS fresh interpreters that run `code`."""
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def main() -> None:
    empty = milliseconds("pass")
    for name, code in (
        ("import wattspan", "import wattspan"),
        ("import wattspan.estimator", "import wattspan.estimator"),
        ("first estimate()", "import wattspan; wattspan.estimate(model='gpt-4o', output_tokens=1)"),
    ):
        print(f"{name:28} {milliseconds(code) - empty:7.0f} ms above an empty interpreter ({empty:.0f} ms)")
