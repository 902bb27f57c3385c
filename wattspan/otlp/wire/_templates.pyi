from collections.abc import Callable, Sequence
from typing import Any

from wattspan.calls.column import Codes, Floats, Ints
from wattspan.otlp.wire.encode import Additions

def fill(
    plan: Ints,
    basis: Codes,
    numbers: Sequence[Floats],
    rows: Ints,
    n: int,
    template_of: Callable[[int, int], tuple[bytes, bytes]],
    other_rows: Any = (),
    others: Sequence[bytes] = (),
) -> Additions: ...
