"""`SpanEnricher`: spans in, the same spans with energy and carbon on their calls out, whatever happens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan

from wattspan.sdk.counters import counters_of
from wattspan.sdk.forks import loading, start_afresh_in_children
from wattspan.sdk.settings import Settings
from wattspan.sdk.span import EnrichedSpan

if TYPE_CHECKING:
    from wattspan.sdk.enrichment import Enrichment, Found
    from wattspan.sdk.table import SpanReader, Taken

MOST_KINDS_LOGGED: Final = 64

_logger = logging.getLogger("wattspan.sdk")


class SpanEnricher:
    """Enriches the spans of one stream. Any thread may call it; it starts none.

    An error in here never comes out: the spans go on as they came, `wattspan.failed_spans` rises, and the
    first error of each kind is logged by its class and place: its text might hold what a span held.
    """

    def __init__(self, settings: Settings | None = None, meter_provider: MeterProvider | None = None) -> None:
        self._settings = (settings or Settings()).with_environment()
        self._meter_provider = meter_provider
        self._ready: tuple[SpanReader, Enrichment] | None = None
        self._keeps_counters = True
        self._fault: Exception | None = None
        self._logged: set[tuple[str, str]] = set()
        self.failed_spans = 0
        """Spans that went on without our attributes because of an error."""
        self._lock = threading.Lock()
        start_afresh_in_children(self)
        # Made now: when the last batch comes the SDK may have shut its metrics down, and would complain.
        counters_of(meter_provider)

    def start_afresh(self) -> None:
        """In a child process: a new lock, and a memory that no other thread was writing to."""
        self._lock = threading.Lock()
        if self._ready is not None:
            self._ready[1].forget()

    def load(self) -> None:
        """Load the edition now, not with the first batch; raises ValueErrors for settings that are wrong."""
        with self._lock:
            self._loaded()

    def enriched(self, spans: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
        """`spans`, copies with attributes in the place of those that are calls; never raises."""
        try:
            with self._lock:
                reader, enrichment = self._loaded()
                taken = reader.read(spans)
                try:
                    found = enrichment.find(taken.table)
                except Exception:
                    enrichment.forget()
                    raise
        except Exception as error:
            self._failed(len(spans), error)
            return spans
        for _, fault in taken.unreadable:
            self._failed(1, fault)
        self._count(found)
        return self._changed(spans, taken, found)

    def _changed(self, spans: Sequence[ReadableSpan], taken: Taken, found: Found) -> Sequence[ReadableSpan]:
        if not found.rows:
            return spans
        out = list(spans)
        rows, copies, cut, keys = taken.rows, taken.attributes, found.cut, found.number_keys
        for row, texts, numbers in zip(found.rows, found.texts, found.numbers, strict=True):
            attributes = copies[row]
            for key in cut.get(row, ()) if cut else ():
                attributes.pop(key, None)
            attributes.update(texts)
            attributes.update(zip(keys, numbers, strict=False))
            index = rows[row]
            try:
                out[index] = EnrichedSpan(out[index], attributes)
            except Exception as error:
                self._failed(1, error)
        return out

    def _count(self, found: Found) -> None:
        if not self._keeps_counters or not len(found.calls):
            return
        try:
            counters_of(self._meter_provider).add(found.calls, found.estimates, found.span_keys)
        except Exception as error:
            self._log(error)

    def _loaded(self) -> tuple[SpanReader, Enrichment]:
        if self._fault is not None:
            raise self._fault
        if self._ready is None:
            try:
                self._keeps_counters = self._settings.keeps_counters
                self._ready = self._imported()
            except Exception as fault:
                # It would be the same with every batch.
                self._fault = fault
                raise
        return self._ready

    def _imported(self) -> tuple[SpanReader, Enrichment]:
        # With numpy a fifth of a second, for which no application should wait at its start.
        with loading:
            from wattspan.otlp.enrich import KEYS
            from wattspan.sdk.enrichment import Enrichment
            from wattspan.sdk.table import SpanReader

            return SpanReader(KEYS), Enrichment(self._settings.ready())

    def _failed(self, spans: int, error: Exception) -> None:
        with self._lock:
            self.failed_spans += spans
        self._log(error)
        try:
            counters_of(self._meter_provider).add_failed(spans, type(error).__name__)
        except Exception as other:
            self._log(other)

    def _log(self, error: Exception) -> None:
        kind = type(error).__name__, _place(error)
        if kind in self._logged or len(self._logged) >= MOST_KINDS_LOGGED:
            return
        self._logged.add(kind)
        if error is self._fault:
            _logger.error("Wattspan is off, spans go on without energy: %s", error)
        else:
            _logger.error("Wattspan failed (%s at %s); the spans go on without energy", *kind)


def _place(error: Exception) -> str:
    """File and line where the error was raised."""
    place, at = "?", error.__traceback__
    while at is not None:
        place = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}"
        at = at.tb_next
    return place
