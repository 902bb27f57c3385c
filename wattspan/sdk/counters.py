"""`Counters`: the energy and carbon of an application, through the metrics API of OpenTelemetry."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from opentelemetry.metrics import MeterProvider, get_meter

from wattspan import __version__
from wattspan.sdk.forks import start_afresh_in_children

if TYPE_CHECKING:
    from wattspan.calls import CallBatch, EstimateBatch
    from wattspan.otlp.wire.table import SpanIds

J_PER_KWH: Final = 3.6e6
UNKNOWN_MODEL: Final = "unknown"
"""Models that the registry does not know go under one name: their own are beyond number."""
GENERATION_SPANS: Final = 65_536
"""Counted spans are remembered for at least this many others."""

ATTRIBUTES: Final = (
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "wattspan.model",
    "wattspan.region",
    "wattspan.basis",
)
"""The attributes of the counters, in this order."""


class Counters:
    """The counters of one meter provider. A span is counted once, however many exporters see it."""

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        meter = get_meter("wattspan", __version__, meter_provider=meter_provider)
        self._energy = meter.create_counter(
            "wattspan.energy", unit="J", description="Energy of model calls at the facility boundary."
        )
        self._co2e = meter.create_counter(
            "wattspan.co2e", unit="g", description="Operational carbon (CO2e) of model calls."
        )
        self._failed = meter.create_counter(
            "wattspan.failed_spans",
            unit="{span}",
            description="Spans that went on without our attributes because of an error in Wattspan.",
        )
        self._lock = threading.Lock()
        self._young: set[int] = set()
        self._old: set[int] = set()
        start_afresh_in_children(self)

    def start_afresh(self) -> None:
        """In a child process: a new lock. What was counted stays known."""
        self._lock = threading.Lock()

    def add(self, calls: CallBatch, estimates: EstimateBatch, span_keys: SpanIds) -> None:
        """Count the rows that have a figure and that were not counted before."""
        # Who counts has imported them for the estimates.
        import numpy as np

        from wattspan.calls.combinations import combinations

        is_new = np.array(self._first_seen(span_keys.tolist()), dtype=np.bool_)
        is_new &= np.isfinite(estimates.energy_kwh)
        rows = np.flatnonzero(is_new)
        if not len(rows):
            return
        columns = [calls.operation, calls.provider, estimates.model, estimates.region, estimates.basis]
        group, combined = combinations([column.take(rows) for column in columns], len(rows))
        energy_kwh = np.bincount(group, estimates.energy_kwh[rows])
        has_carbon = np.isfinite(estimates.co2e_g[rows])
        co2e_g = np.bincount(group, np.where(has_carbon, estimates.co2e_g[rows], 0.0))
        for texts, kwh, grams in zip(combined, energy_kwh.tolist(), co2e_g.tolist(), strict=True):
            operation, provider, model, region, basis = texts
            values = (operation, provider, model or UNKNOWN_MODEL, region, basis)
            said = {key: text for key, text in zip(ATTRIBUTES, values, strict=True) if text}
            self._energy.add(kwh * J_PER_KWH, said)
            if grams > 0 and math.isfinite(grams):
                self._co2e.add(grams, said)

    def add_failed(self, spans: int, kind: str) -> None:
        """Count spans that went on as they came; `kind`: class of the error."""
        self._failed.add(spans, {"error.type": kind})

    def _first_seen(self, keys: list[int]) -> list[bool]:
        with self._lock:
            young, old = self._young, self._old
            is_new = [True] * len(keys)
            if not (young.isdisjoint(keys) and old.isdisjoint(keys)):
                is_new = [key not in young and key not in old for key in keys]
            young.update(keys)
            if len(young) >= GENERATION_SPANS:
                self._old, self._young = young, set()
        return is_new


class _OfProviders:
    """The counters of each meter provider, and of the global one, whichever that will be."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[MeterProvider, Counters] = WeakKeyDictionary()
        self._of_global: Counters | None = None
        self.start_afresh()
        start_afresh_in_children(self)

    def start_afresh(self) -> None:
        self._lock = threading.Lock()

    def get(self, provider: MeterProvider | None) -> Counters:
        with self._lock:
            if provider is None:
                # Until the application has set its provider this is a proxy, which goes over to it by itself.
                self._of_global = self._of_global or Counters()
                return self._of_global
            found = self._known.get(provider)
            if found is None:
                found = self._known[provider] = Counters(provider)
            return found


_of_providers: Final = _OfProviders()


def counters_of(meter_provider: MeterProvider | None = None) -> Counters:
    """The counters of a meter provider (the global one unless named): the same object every time."""
    return _of_providers.get(meter_provider)
