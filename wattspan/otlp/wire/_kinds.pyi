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
def take(
    scanned: Any, kinds: Codes, places: list[bytes], most_tokens: int
) -> tuple[tuple[Any, ...], list[int], list[int]]: ...
