from collections.abc import Sequence
from typing import Any

from wattspan.calls.column import Codes, Ints
from wattspan.otlp.wire.keyset import KeySet
from wattspan.otlp.wire.table import SpanTable

def scan(
    data: bytes | bytearray | memoryview, keys: KeySet | Sequence[str], ends: Sequence[int] = ()
) -> SpanTable: ...
def joined(scanned: Any, codes: Codes) -> tuple[Ints, bytes]: ...
