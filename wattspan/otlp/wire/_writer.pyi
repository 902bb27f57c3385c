from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from wattspan.otlp.wire.encode import Additions, AttributeColumn
from wattspan.otlp.wire.keyset import KeySet
from wattspan.otlp.wire.table import SpanTable

def splice(
    data: bytes | bytearray | memoryview,
    table: SpanTable,
    additions: Sequence[bytes | None],
    cut: Sequence[str] | KeySet,
) -> bytes: ...
def encode_columns(columns: Iterable[AttributeColumn], rows: npt.NDArray[np.int64], n: int) -> Additions: ...
