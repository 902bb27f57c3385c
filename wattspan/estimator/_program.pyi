from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from wattspan.calls.column import Floats, Ints

def run(
    steps: bytes,
    registers: int,
    literals: list[float],
    results: bytes,
    table: Floats,
    lines: Ints,
    columns: Sequence[npt.NDArray[Any]],
) -> list[Floats]: ...
