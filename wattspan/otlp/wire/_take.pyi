from typing import Any

from wattspan.calls.column import Codes

def take(
    scanned: Any, kinds: Codes, places: list[bytes], most_tokens: int
) -> tuple[tuple[Any, ...], list[int], list[int]]: ...
