"""`OwnShapes`: typical hours of the user's own in a file (JSON), with kind, source and vintage."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, cast, get_args

import numpy as np

from wattspan.grid.intensity import Average, FactorT, FactorType, Kind, kind_text
from wattspan.grid.typical import ZoneShape

FORMAT = "wattspan grid shapes 1"
_MEAN_WITHIN = 0.05
"""Factors of a year have the mean 1; months are of unequal length, and hands may have edited the file."""


class ShapeFileError(ValueError):
    """A file of typical hours cannot be used: file, zone, what was found and what is allowed."""


@dataclass(frozen=True, slots=True)
class OwnShapes(Generic[FactorT]):
    """Typical hours of zones, all of one kind. Always average: no marginal year is there to multiply."""

    kind: Kind[Average, FactorT]
    zones: Mapping[str, ZoneShape]


def write_shapes(shapes: OwnShapes[FactorT], path: Path) -> None:
    """Write a file that `read_shapes` reads. Raises OSError."""
    content = {
        "format": FORMAT,
        "signal": shapes.kind.signal,
        "factor_type": shapes.kind.factor_type,
        "zones": {
            zone: {
                "source": shape.source,
                "vintage": shape.vintage,
                "hours": shape.hours,
                "estimated_share": round(shape.estimated_share, 4),
                "g": round(shape.g, 4),
                "basis": shape.basis,
                "factors_by_month_and_utc_hour": [
                    [round(factor, 4) for factor in month] for month in shape.factors.tolist()
                ],
            }
            for zone, shape in sorted(shapes.zones.items())
        },
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_shapes(path: Path) -> OwnShapes:
    """Read a file of typical hours; its kind is what the file says. Raises ShapeFileError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ShapeFileError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ShapeFileError(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ShapeFileError(f"{path}: not a file of typical hours; `wattspan grid shapes` makes one")
    signal, factor_type = content.get("signal"), content.get("factor_type")
    if signal != "average" or factor_type not in get_args(FactorType):
        raise ShapeFileError(
            f"{path}: holds {signal} {factor_type} typical hours; allowed: average with "
            f"{' or '.join(get_args(FactorType))}, since no table has a marginal year to multiply"
        )
    zones = content.get("zones")
    if not isinstance(zones, dict) or not zones:
        raise ShapeFileError(f"{path}: has no zones")
    made = {zone: _shape(path, zone, shape) for zone, shape in zones.items()}
    return OwnShapes(Kind("average", cast(FactorType, factor_type)), made)


def of_kind(shapes: OwnShapes, factor_type: FactorT, path: Path) -> OwnShapes[FactorT]:
    """The same shapes, known to be of the factor type. Raises ShapeFileError where they are not."""
    if shapes.kind.factor_type != factor_type:
        raise ShapeFileError(
            f"{path}: holds {kind_text(shapes.kind)} typical hours, the configuration asks for average "
            f"{factor_type}; one never stands in for the other: set grid.factor_type, or give another file"
        )
    return shapes


def _shape(path: Path, zone: str, shape: Any) -> ZoneShape:
    try:
        factors = np.array(shape["factors_by_month_and_utc_hour"], dtype=np.float64)
        g = float(shape["g"])
        made = ZoneShape(
            zone=zone,
            factors=factors,
            g=g,
            basis=str(shape["basis"]),
            vintage=str(shape["vintage"]),
            hours=int(shape["hours"]),
            estimated_share=float(shape["estimated_share"]),
            source=str(shape["source"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ShapeFileError(f"{path}: zone {zone}: {error!r}; make the file anew") from error
    if factors.shape != (12, 24) or not np.isfinite(factors).all() or factors.min() <= 0:
        raise ShapeFileError(f"{path}: zone {zone}: needs 12 months of 24 factors, all above 0")
    if abs(float(factors.mean()) - 1) > _MEAN_WITHIN:
        raise ShapeFileError(
            f"{path}: zone {zone}: the mean of its factors is {factors.mean():.3f}, not 1: that would change "
            "the year's figure"
        )
    if not 1 <= g < math.inf:
        raise ShapeFileError(f"{path}: zone {zone}: g is {g:g}; a geometric spread is from 1 on")
    return made
