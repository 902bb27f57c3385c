"""`WattspanSpanProcessor`: a batch processor that counts what was recorded and exports what was sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, cast

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, TraceFlags

from wattspan.sdk.enricher import SpanEnricher
from wattspan.sdk.exporter import shut_down
from wattspan.sdk.settings import Settings

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class WattspanSpanProcessor(BatchSpanProcessor):
    """Takes every span that is recorded: all are counted, the sampled ones go to `exporter`, enriched.

    Without an exporter it only counts, beside other processors of the application. Whether spans that are not
    sampled are recorded at all is for the sampler to say: see `RecordUnsampled`. `batch`: the arguments of
    BatchSpanProcessor (max_queue_size, schedule_delay_millis, ...). Spans that its queue has no room for are
    not counted.
    """

    def __init__(
        self,
        exporter: SpanExporter | None = None,
        settings: Settings | None = None,
        *,
        meter_provider: MeterProvider | None = None,
        **batch: Any,
    ) -> None:
        self.enricher = SpanEnricher(settings, meter_provider)
        super().__init__(_CountsAll(exporter, self.enricher), **batch)

    def load(self) -> None:
        """As `WattspanExporter.load`."""
        self.enricher.load()

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span; the batch thread does the rest."""
        context = span.context
        if context is not None and not context.trace_flags.sampled:
            # The batch processor looks at the context to leave such spans out.
            span = cast(ReadableSpan, _Unsampled(span))
        super().on_end(span)


class _Unsampled:
    """A span on its way past the batch processor."""

    __slots__ = ("span",)
    context: ClassVar = SpanContext(trace_id=1, span_id=1, is_remote=False, trace_flags=_SAMPLED)

    def __init__(self, span: ReadableSpan) -> None:
        self.span = span


class _CountsAll(SpanExporter):
    def __init__(self, inner: SpanExporter | None, enricher: SpanEnricher) -> None:
        self._inner = inner
        self._enricher = enricher

    def export(self, spans: Sequence[ReadableSpan | _Unsampled]) -> SpanExportResult:
        is_sampled = [not isinstance(span, _Unsampled) for span in spans]
        all_spans = [span.span if isinstance(span, _Unsampled) else span for span in spans]
        enriched = self._enricher.enriched(all_spans)
        sampled = [span for span, is_one in zip(enriched, is_sampled, strict=True) if is_one]
        if self._inner is None or not sampled:
            return SpanExportResult.SUCCESS
        return self._inner.export(sampled)

    def shutdown(self, timeout_millis: float | None = None) -> None:
        if self._inner is not None:
            shut_down(self._inner, timeout_millis)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner is None or self._inner.force_flush(timeout_millis)
