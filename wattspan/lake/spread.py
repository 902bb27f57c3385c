"""The `spread` column: the shared errors of a row as text, from which bands are made (never stored)."""

from __future__ import annotations

import json
from functools import lru_cache

from wattspan.calls import Factor, SpreadClass


def written(spread: SpreadClass) -> str:
    """Canonical JSON: [[key, ln g], ...] of the energy, and of what the grid adds to it for the carbon."""
    energy = list(spread.energy)
    rest = list(spread.carbon)
    for factor in energy:
        rest.remove(factor)
    return json.dumps([energy, rest], separators=(",", ":"), ensure_ascii=False)


@lru_cache(65_536)
def read(text: str) -> SpreadClass:
    """Back from `written`; "" has no errors. Raises ValueError for anything else."""
    if not text:
        return SpreadClass((), ())
    try:
        energy, rest = (
            tuple(Factor(str(key), float(ln_g)) for key, ln_g in part) for part in json.loads(text)
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{text[:80]!r} is not a spread column's text") from error
    return SpreadClass(energy, energy + rest)
