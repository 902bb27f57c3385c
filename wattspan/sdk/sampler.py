"""`RecordUnsampled`: a sampler whose unsampled spans are recorded, so that they can be counted."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult


class RecordUnsampled(Sampler):
    """Samples as `inner` does, and has the SDK record what `inner` would drop.

    Recorded spans reach span processors; exporters see sampled ones only. Recording is most of
    what an instrumentation costs: it is now paid for every span. Put it outermost, around ParentBased.
    """

    def __init__(self, inner: Sampler) -> None:
        self.inner = inner

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        """The result of `inner`, with RECORD_ONLY for DROP."""
        result = self.inner.should_sample(*args, **kwargs)
        if result.decision is not Decision.DROP:
            return result
        return SamplingResult(Decision.RECORD_ONLY, result.attributes, result.trace_state)

    def get_description(self) -> str:
        """Name of this sampler and of the one within."""
        return f"RecordUnsampled{{{self.inner.get_description()}}}"
