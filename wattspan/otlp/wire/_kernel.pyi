from collections.abc import Sequence

from wattspan.otlp.wire.keyset import KeySet
from wattspan.otlp.wire.table import SpanTable

def scan(data: bytes | bytearray | memoryview, keys: KeySet | Sequence[str]) -> SpanTable: ...
