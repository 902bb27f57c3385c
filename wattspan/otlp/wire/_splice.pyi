from collections.abc import Sequence

from wattspan.otlp.wire.encode import Additions
from wattspan.otlp.wire.keyset import KeySet
from wattspan.otlp.wire.table import SpanTable

def splice(
    data: bytes | bytearray | memoryview,
    table: SpanTable,
    additions: Sequence[bytes | None],
    cut: Sequence[str] | KeySet,
) -> bytes: ...
def append(data: bytes, additions: Additions, first: int, n: int) -> bytes: ...
