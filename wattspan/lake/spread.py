"""The `spread` column: the shared errors of a row as one text, the same text for the same errors."""

from __future__ import annotations

import json
from functools import lru_cache

from wattspan.calls import Factor, SpreadClass


def written(spread: SpreadClass) -> str:
    """Canonical text: `{"energy":[[key,ln_g],…],"grid":[[key,ln_g],…]}`.

    `grid` is what carbon has beyond energy. Where carbon is not energy's factors and more, it stands whole
    under `carbon`. Numbers are written so that they read back bit for bit. No factors at all: "".
    """
    if not spread.energy and not spread.carbon:
        return ""
    energy = len(spread.energy)
    content: dict[str, tuple[Factor, ...]] = {"energy": spread.energy}
    if spread.carbon[:energy] == spread.energy:
        content["grid"] = spread.carbon[energy:]
    else:
        content["carbon"] = spread.carbon
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


@lru_cache(65_536)
def read(text: str) -> SpreadClass:
    """The errors that `text` says. Raises ValueError for a text that `written` does not write."""
    if not text:
        return SpreadClass((), ())
    try:
        content = json.loads(text)
        energy = _factors(content["energy"])
        carbon = _factors(content["carbon"]) if "carbon" in content else energy + _factors(content["grid"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"not a spread: {text[:200]!r}") from error
    return SpreadClass(energy, carbon)


def _factors(pairs: list[list[object]]) -> tuple[Factor, ...]:
    return tuple(Factor(str(key), float(str(ln_g))) for key, ln_g in pairs)
