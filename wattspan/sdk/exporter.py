"""`WattspanExporter`: any span exporter, with energy and carbon on the spans that go to it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from wattspan.sdk.enricher import SpanEnricher
from wattspan.sdk.settings import Settings


class WattspanExporter(SpanExporter):
    """Puts energy and carbon on the model calls among the spans, then hands them to `inner`.

    All of it runs on the thread that exports: with a BatchSpanProcessor its own. Spans are copied, so that
    other exporters of the application see theirs as they were. Only sampled spans get here, and only they are
    counted; `WattspanSpanProcessor` counts before sampling. An error in here loses no span; one of `inner` is
    passed on as it is. `settings` that are wrong are found with the first batch, or by `load`.
    """

    def __init__(
        self,
        inner: SpanExporter,
        settings: Settings | None = None,
        *,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self.inner = inner
        self.enricher = SpanEnricher(settings, meter_provider)

    def load(self) -> None:
        """Load the edition now, not with the first batch: before a server forks its workers, say.

        Raises ValueErrors (SettingsError, ConfigError, EditionError, ...) for settings that are wrong.
        """
        self.enricher.load()

    @property
    def failed_spans(self) -> int:
        """Spans that went on without our attributes because of an error in Wattspan."""
        return self.enricher.failed_spans

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Enrich and export; the result is that of `inner`."""
        return self.inner.export(self.enricher.enriched(spans))

    def shutdown(self, timeout_millis: float | None = None) -> None:
        """Shut `inner` down."""
        shut_down(self.inner, timeout_millis)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush `inner`."""
        return self.inner.force_flush(timeout_millis)


def shut_down(exporter: SpanExporter, timeout_millis: float | None) -> None:
    """Shut an exporter down, within the time left where it takes one (not all of the SDK's own do)."""
    takes_time = "timeout_millis" in inspect.signature(exporter.shutdown).parameters
    if timeout_millis is not None and takes_time:
        exporter.shutdown(timeout_millis=timeout_millis)  # type: ignore[call-arg]
    else:
        exporter.shutdown()
