"""The captured instrumentations, enriched, as rows that a person reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wattspan import quantities
from wattspan.estimator import Band
from wattspan.otlp.enrich import Enriched, Enricher
from wattspan.otlp.summary import Summary

CAPTURES = Path(__file__).parents[1] / "tests" / "captures"


@dataclass(frozen=True, slots=True)
class Row:
    """One span that carries a model call; texts, ready to print."""

    name: str
    model: str
    input: str
    cached: str
    output: str
    reasoning: str
    energy: str
    band: str
    co2e: str
    tier: str
    basis: str
    where: str


@dataclass(frozen=True, slots=True)
class Capture:
    """One capture, enriched."""

    name: str
    enriched: Enriched
    summary: Summary
    rows: list[Row]
    energy_if_summed_kwh: float
    """What adding up every span would say: copies of calls, and agents that restate their children."""

    @property
    def title(self) -> str:
        """The instrumentation as a person calls it."""
        return self.name.replace("_", " ")

    @property
    def energy_kwh(self) -> Band:
        """Energy of the capture's calls, with its band."""
        return self.summary.energy_kwh

    @property
    def co2e_g(self) -> Band:
        """Carbon of the capture's calls, with its band."""
        return self.summary.co2e_g


def enrich(path: Path, enricher: Enricher, out: Path) -> Capture:
    """Enrich the capture at `path`, write it below `out` and describe it."""
    windows = list(enricher.protobuf([path.read_bytes()]))
    if len(windows) != 1:
        raise ValueError(f"{path}: a capture is one window, found {len(windows)}")
    found = windows[0]
    (out / path.name).write_bytes(found.messages[0])
    summary = Summary()
    summary.spans = found.table.n
    summary.duplicates = len(found.duplicates)
    summary.add(found.calls, found.estimates)
    others = found.reading.calls.take(~found.ownership.is_owner)
    summed = summary.energy_kwh.central + float(np.nansum(enricher.estimator.estimate(others).energy_kwh))
    return Capture(path.stem, found, summary, _rows(found), summed)


def _rows(found: Enriched) -> list[Row]:
    table, reading, estimates = found.table, found.reading, found.estimates
    rows: dict[int, Row] = {}
    for index, row in enumerate(found.owners.tolist()):
        span = int(reading.rows[row])
        calls, has_energy = found.calls, np.isfinite(estimates.energy_kwh[index])
        rows[span] = Row(
            name=table.text(int(table.name_code[span])),
            model=estimates.model[index] or f"{calls.model[index] or calls.request_model[index]} ?",
            input=_count(calls.input_tokens[index], has_energy),
            cached=_count(calls.cache_read_tokens[index]),
            output=_count(calls.output_tokens[index], has_energy),
            reasoning=_count(calls.reasoning_tokens[index]),
            energy=quantities.energy(estimates.energy_kwh[index]),
            band=quantities.energy_band(
                estimates.energy_kwh_low[index], estimates.energy_kwh_high[index], estimates.energy_kwh[index]
            ),
            co2e=quantities.mass(estimates.co2e_g[index]),
            tier=estimates.tier[index],
            basis=estimates.basis[index],
            where=f"{estimates.region[index]}, {estimates.region_source[index].replace('_', ' ')}",
        )
    calls = reading.calls
    for row in found.duplicates.tolist():
        span = int(reading.rows[row])
        rows[span] = Row(
            name=table.text(int(table.name_code[span])),
            model=calls.model[row] or calls.request_model[row],
            input=_count(calls.input_tokens[row], bool(calls.has_usage[row])),
            cached=_count(calls.cache_read_tokens[row]),
            output=_count(calls.output_tokens[row], bool(calls.has_usage[row])),
            reasoning=_count(calls.reasoning_tokens[row]),
            energy="",
            band="",
            co2e="",
            tier="",
            basis="duplicate",
            where=f"copy of span {int(found.ownership.owner_span_id[row]):016x}",
        )
    return [rows[span] for span in sorted(rows)]


def _count(tokens: int, is_known: bool = False) -> str:
    return f"{tokens:,}" if tokens or is_known else ""
