from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from wattspan.otlp.wire.encode import Additions, AttributeColumn

def encode_columns(columns: Iterable[AttributeColumn], rows: npt.NDArray[np.int64], n: int) -> Additions: ...
