"""`Cell` and `RequestCount`: the sealed daily rows a disclosure is reckoned from: no prompts, no user ids.

Every sum is a whole number, so that it is the same on any machine: moments of tokens, weighted by how many
calls a row stands for (micro-weights: 1,000,000 = one call), plain and times the intensity of the hour
(micrograms CO2e per kWh); energy that was metered or reported in picojoules.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from operator import attrgetter
from typing import Final

from wattspan.estimator.moments import Moments

WEIGHT_UNITS: Final = 1_000_000
"""Micro-weights of a row that stands for one call."""
INTENSITY_UNITS_PER_G: Final = 1_000_000
"""Micrograms in a gram: the unit of intensity in weighted sums, per kWh."""
ENERGY_UNITS_PER_KWH: Final = 3_600_000 * 10**12
"""Picojoules in a kWh: the unit of energy that was not modelled."""

REPORTED: Final = frozenset(("measured", "reported", "compute"))
"""Bases whose energy is on the row and not in its moments."""
WITHOUT_FIGURE: Final = frozenset(("no_usage", "failed"))
"""Bases of calls that have no energy of their own."""


class CellsError(ValueError):
    """A file of daily rows cannot be read: line, column, what was found and what is allowed."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The calls of one day, feature, model, place, evidence and grid figure."""

    day: str
    """ISO day, UTC."""
    feature: str
    model: str
    """As the registry resolved it; "" where it is unknown."""
    provider: str
    region: str
    region_source: str
    zone: str
    basis: str
    """measured | reported | modelled | compute | no_usage | failed."""
    evidence: str
    """Tier; "" where there is no figure."""
    grid_source: str
    grid_resolution: str
    grid_accounting: str
    direct: str
    """Annual intensity of the place by direct factors, micrograms CO2 per kWh; "" where none is known."""
    sampling: str
    """all | traced | configured | unknown."""
    vector: str
    """Id of the coefficients."""
    spread: str
    """Id of the errors."""
    calls: int
    """Micro-weights."""
    rows: int
    """Spans counted, unweighted: what sampling errors are reckoned from."""
    moments: Moments
    """Token moments times micro-weights."""
    weighted: Moments
    """The same times micrograms CO2e per kWh."""
    energy: int
    """Picojoules times micro-weights of energy that is not modelled; 0 elsewhere."""
    energy_weighted: int
    """The same times micrograms CO2e per kWh."""

    @property
    def key(self) -> tuple[str, ...]:
        """What no two cells share, and what they are sorted by."""
        return _key_of(self)


@dataclass(frozen=True, slots=True)
class RequestCount:
    """The inferences of one day and feature, in micro-weights."""

    day: str
    feature: str
    completed: int
    failed: int
    covered: int
    """Completed ones none of whose calls lacks its usage."""


TEXTS: Final = tuple(field.name for field in fields(Cell) if field.type == "str")
_key_of: Final[Callable[[Cell], tuple[str, ...]]] = attrgetter(*TEXTS)
_MOMENTS: Final = Moments._fields
_NUMBERS: Final = (
    "calls",
    "rows",
    *_MOMENTS,
    *(f"{name}_weighted" for name in _MOMENTS),
    "energy",
    "energy_weighted",
)
_MOST_DIGITS: Final = 60
COLUMNS: Final = (*TEXTS, *_NUMBERS)
REQUEST_COLUMNS: Final = tuple(field.name for field in fields(RequestCount))


def write_cells(cells: Iterable[Cell]) -> bytes:
    """Canonical CSV (RFC 4180, \\n, UTF-8) of cells, sorted; the same cells give the same bytes."""
    rows = []
    for cell in sorted(cells, key=lambda cell: cell.key):
        numbers = (
            cell.calls,
            cell.rows,
            *cell.moments,
            *cell.weighted,
            cell.energy,
            cell.energy_weighted,
        )
        rows.append((*cell.key, *map(str, numbers)))
    return _csv(COLUMNS, rows)


def read_cells(data: bytes, name: str = "aggregates.csv") -> list[Cell]:
    """The cells of `write_cells`. Raises CellsError naming line and column."""
    n, texts = len(_MOMENTS), len(TEXTS)
    make: Callable[..., Cell] = Cell
    cells = []
    for line, row in _rows(data, COLUMNS, name):
        calls, rows, *rest = _whole(row[texts:], name, line, _NUMBERS)
        cells.append(
            make(
                *row[:texts],
                calls,
                rows,
                Moments(*rest[:n]),
                Moments(*rest[n : 2 * n]),
                rest[-2],
                rest[-1],
            )
        )
    return cells


def write_requests(counts: Iterable[RequestCount]) -> bytes:
    """Canonical CSV of request counts, sorted."""
    ordered = sorted(counts, key=lambda count: (count.day, count.feature))
    return _csv(REQUEST_COLUMNS, [[str(getattr(c, name)) for name in REQUEST_COLUMNS] for c in ordered])


def read_requests(data: bytes, name: str = "requests.csv") -> list[RequestCount]:
    """The counts of `write_requests`. Raises CellsError naming line and column."""
    return [
        RequestCount(row[0], row[1], *_whole(row[2:], name, line, REQUEST_COLUMNS[2:]))
        for line, row in _rows(data, REQUEST_COLUMNS, name)
    ]


def summed(cells: Sequence[Cell]) -> Cell:
    """Cells as one, with the texts of the first."""
    first = cells[0]
    if len(cells) == 1:
        return first
    return replace(
        first,
        calls=sum(cell.calls for cell in cells),
        rows=sum(cell.rows for cell in cells),
        moments=Moments(*map(sum, zip(*(cell.moments for cell in cells), strict=True))),
        weighted=Moments(*map(sum, zip(*(cell.weighted for cell in cells), strict=True))),
        energy=sum(cell.energy for cell in cells),
        energy_weighted=sum(cell.energy_weighted for cell in cells),
    )


def calls_of(cells: Iterable[Cell]) -> Decimal:
    """Calls that `cells` stand for."""
    return Decimal(sum(cell.calls for cell in cells)) / WEIGHT_UNITS


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def _rows(data: bytes, columns: Sequence[str], name: str) -> Iterable[tuple[int, list[str]]]:
    try:
        reader = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
        header = next(reader, [])
        if tuple(header) != tuple(columns):
            raise CellsError(f"{name}, line 1: found columns {header}; allowed: {list(columns)}")
        for row in reader:
            if len(row) != len(columns):
                raise CellsError(f"{name}, line {reader.line_num}: {len(row)} cells, not {len(columns)}")
            yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise CellsError(f"{name}: not a CSV file in UTF-8: {error}") from error


def _whole(texts: Sequence[str], name: str, line: int, columns: Sequence[str]) -> list[int]:
    # all at once: a quarter of forty features has millions of them
    if _are_whole(texts):
        return list(map(int, texts))
    text, column = next((t, c) for t, c in zip(texts, columns, strict=True) if not _are_whole([t]))
    raise CellsError(f"{name}, line {line}, {column}: found {text[:80]!r}; allowed: a whole number >= 0")


def _are_whole(texts: Sequence[str]) -> bool:
    together = "".join(texts)
    return together.isascii() and together.isdigit() and all(texts) and max(map(len, texts)) <= _MOST_DIGITS
