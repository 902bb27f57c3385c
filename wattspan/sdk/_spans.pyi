from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from wattspan.otlp.wire import KeySet, SpanTable

class OddSpanError(Exception): ...

def scan_spans(
    spans: Sequence[ReadableSpan],
    keyset: KeySet,
    copied: Callable[[Any], dict[str, Any]],
    kinds: Mapping[int, int],
) -> tuple[SpanTable, list[dict[str, Any]]]: ...
