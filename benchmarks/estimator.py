"""One `estimate()` call and a batch, beside EcoLogits' `llm_impacts`, in the same run."""

from __future__ import annotations

import gc
import logging
import statistics
import time
from collections.abc import Callable

import numpy as np

from wattspan import CallBatch, Estimator

RUNS = 9
CALLS = 2_000
ROWS = 1_000_000


def us_per_call(function: Callable[[], object], calls: int) -> tuple[float, float, float]:
    """Median, minimum and maximum of RUNS runs: microseconds of processor time a call, on one core."""
    for _ in range(max(1, calls // 10)):
        function()
    runs = []
    gc.disable()
    for _ in range(RUNS):
        begin = time.process_time_ns()
        for _ in range(calls):
            function()
        runs.append((time.process_time_ns() - begin) / calls / 1000)
    gc.enable()
    return statistics.median(runs), min(runs), max(runs)


def main() -> None:
    estimator = Estimator()
    arguments = {"model": "gpt-4o-mini", "provider": "openai", "input_tokens": 1000, "output_tokens": 300}
    ours = us_per_call(lambda: estimator.estimate_call(**arguments), CALLS)
    print(f"estimate(), one call         {ours[0]:9.2f} us  ({ours[1]:.2f} to {ours[2]:.2f})   budget 10 us")
    try:
        from ecologits.tracers.utils import llm_impacts
    except ImportError:
        print("EcoLogits is not installed: pip install -r requirements-bench.txt for the comparison")
    else:
        logging.disable(logging.WARNING)
        theirs = us_per_call(
            lambda: llm_impacts(
                provider="openai",
                model_name="gpt-4o-mini",
                output_token_count=300,
                request_latency=5.0,
                electricity_mix_zone="USA",
            ),
            CALLS,
        )
        print(f"EcoLogits llm_impacts()      {theirs[0]:9.2f} us  ({theirs[1]:.2f} to {theirs[2]:.2f})")
        print(f"EcoLogits / Wattspan         {theirs[0] / ours[0]:9.1f} x")

    rng = np.random.default_rng(1)
    models = ["gpt-4o", "gpt-5-mini", "claude-sonnet-4-5", "gemini-2.5-flash", "llama-3.3-70b-instruct"]
    hosts = ["api.openai.com", "bedrock-runtime.eu-west-3.amazonaws.com", "api.mistral.ai", ""]
    for rows in (ROWS, 512):
        calls = CallBatch.of(
            rows,
            input_tokens=rng.integers(1, 8000, rows),
            output_tokens=rng.integers(1, 1000, rows),
            model=[models[i] for i in rng.integers(0, len(models), rows)],
            host=[hosts[i] for i in rng.integers(0, len(hosts), rows)],
            provider="openai",
            start_unix_ns=1_767_225_600_000_000_000 + rng.integers(0, 3 * 10**16, rows),
        )
        per_batch = us_per_call(lambda calls=calls: estimator.estimate(calls), 1 if rows == ROWS else 200)
        rate = rows / per_batch[0]
        ns = per_batch[0] / rows * 1000
        print(f"batch of {rows:>9,} calls      {ns:9.1f} ns a call = {rate:.2f} M calls/s   budget 3 M/s")
