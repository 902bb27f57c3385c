"""How an edition is written: the same values always give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FITTED_DIGITS = 4
RANGE_DIGITS = 2


def significant(value: float, digits: int = FITTED_DIGITS) -> float:
    """`value` rounded to a number of significant decimal digits."""
    return float(f"{value:.{digits}g}")


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write `data` as JSON with sorted keys, indent 1 and "\\n" line ends."""
    text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_bytes((text + "\n").encode())


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with "\\n" line ends and one at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((text.rstrip("\n") + "\n").encode())
