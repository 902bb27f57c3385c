from collections.abc import Callable
from typing import Any

from wattspan.calls.column import Codes

def group(
    scanned: Any,
    deciding: bytes,
    deciding_of_resource: bytes,
    names: dict[bytes, bool],
    is_named: Callable[[bytes], bool],
) -> tuple[Codes, list[bytes], list[tuple[int, int]]]: ...
