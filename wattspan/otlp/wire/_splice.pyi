from collections.abc import Sequence

from wattspan.otlp.wire.keyset import KeySet
from wattspan.otlp.wire.table import SpanTable

def splice(
    data: bytes | bytearray | memoryview,
    table: SpanTable,
    additions: Sequence[bytes | None],
    cut: Sequence[str] | KeySet,
) -> bytes: ...
