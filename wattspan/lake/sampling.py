"""How many traces a sampled one stands for, and how we know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wattspan.calls import Column
from wattspan.lake.rows import Floats, SpanRows, Tree

SAMPLINGS = ("", "all", "traced", "configured", "unknown")
_ALL, _TRACED, _CONFIGURED, _UNKNOWN = range(1, 5)


@dataclass(frozen=True, slots=True)
class Sampling:
    """One value a span; spans of a trace share theirs."""

    weight: Floats
    """Spans that this one stands for, >= 1."""
    sampling: Column
    """all: every trace is here. traced: the trace says with which probability it was kept. configured: the
    user says so. unknown: nobody says; taken as 1."""


def weights(rows: SpanRows, tree: Tree, rate: float | None = None) -> Sampling:
    """The weights of whole traces.

    `tracestate` ot=th on any span of a trace decides; else `rate` (the configured share of traces that were
    kept, in (0, 1]); else nothing is known, which is said and never guessed.
    """
    n_traces = int(tree.trace[-1]) + 1 if len(tree) else 0
    share = np.full(n_traces, np.nan)
    says = np.flatnonzero(np.isfinite(rows.kept_share) & (rows.kept_share > 0))
    share[tree.trace[says]] = rows.kept_share[says]
    if rate is None:
        code = np.where(np.isnan(share), _UNKNOWN, np.where(share == 1, _ALL, _TRACED))
        share = np.where(np.isnan(share), 1.0, share)
    else:
        code = np.where(
            np.isnan(share), _ALL if rate == 1 else _CONFIGURED, np.where(share == 1, _ALL, _TRACED)
        )
        share = np.where(np.isnan(share), rate, share)
    return Sampling(1.0 / share[tree.trace], Column(code[tree.trace].astype(np.int32), SAMPLINGS))
