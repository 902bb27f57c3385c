"""Cells: sums and bucket counts by every dimension, to be added up again in the place of the rows.

A file of cells is Parquet with a row a cell, of four parts: `calls` (the sums of `sql.SUMS` by dimensions and
classes), `requests`, and the bucket counts of energy, `per_call` and `per_request`. The lake writes one
beside each segment, and keeps those of days whose spans go (`cells_of`); roll-ups read them where a question
needs no more. The sums are made by the SQL that answers the same question from the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from wattspan.lake.cells import PART
from wattspan.lake.manifest import Segment
from wattspan.views import sql
from wattspan.views.dimensions import DAY_NS, INHERITED, OF_CELLS, OF_REQUESTS, Dimension, dimensions
from wattspan.views.kinds import MixedKindsError, kind_of
from wattspan.views.rows import Stream

SCHEMA: Final = pa.schema(
    [
        pa.field(PART, pa.string()),
        *(pa.field(name, pa.int64() if name == "day" else pa.string()) for name in OF_CELLS),
        *(pa.field(name, pa.string()) for name in sql.OF_CALLS),
        *(pa.field(name, pa.float64()) for name in (*sql.SUMS, *sql.REQUESTS)),
        pa.field("bucket", pa.int32()),
        pa.field("n", pa.float64()),
    ]
)


def cells_of(folder: Path, segments: Sequence[Segment]) -> list[pa.Table]:
    """The cells of `segments`, a table a part.

    `segments` are of one kind (raises MixedKindsError): call it for each kind apart.
    """
    kinds = {kind_of(segment) for segment in segments}
    if len(kinds) != 1:
        raise MixedKindsError(sorted(kinds))
    stream = Stream(folder, tuple(segments), inherits=INHERITED, of_traces=True, of_requests=True)
    found: list[list[pa.Table]] = [[] for _ in PARTS]
    with duckdb.connect(":memory:") as connection:
        for rows in stream.pieces():
            connection.register("stream", rows)
            for tables, part in zip(found, PARTS, strict=True):
                tables.append(_as_cells(part, connection.sql(part.of_rows).to_arrow_table()))
        for tables, part in zip(found, PARTS, strict=True):
            if len(tables) > 1:
                connection.register("cells", pa.concat_tables(tables))
                tables[:] = [_as_cells(part, connection.sql(part.of_cells).to_arrow_table())]
    return [tables[0] for tables in found]


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the tables in a file of cells."""

    name: str
    by: tuple[Dimension, ...]
    of_rows: str
    """SQL: its cells from the rows called stream."""
    more: tuple[str, ...]
    """What cells are apart by, beside the dimensions."""
    sums: tuple[str, ...]

    @property
    def of_cells(self) -> str:
        """SQL: the cells called cells, those of the same key added up."""
        by = [cells_dimension(dimension) for dimension in self.by]
        return sql.cell_sums("cells", by, "true", self.name, self.more, self.sums)


def _parts() -> tuple[_Part, ...]:
    by, of_requests = dimensions(OF_CELLS), dimensions(name for name in OF_REQUESTS if name in OF_CELLS)
    sums = sql.call_sums(
        "stream", by, "true", sql.OF_CALLS, is_weighted=True, has_compute=True, has_copied_tokens=True
    )
    per_call = sql.bucket_counts("stream", by, "true", "energy_kwh")
    per_request = sql.bucket_counts("stream", of_requests, "true", "request_energy_kwh")
    requests = sql.request_sums("stream", of_requests, "true")
    return (
        _Part("calls", by, sums, sql.OF_CALLS, sql.SUMS),
        _Part("requests", of_requests, requests, (), tuple(sql.REQUESTS)),
        _Part("per_call", by, per_call, ("bucket",), ("n",)),
        _Part("per_request", of_requests, per_request, ("bucket",), ("n",)),
    )


def _as_cells(part: _Part, found: pa.Table) -> pa.Table:
    names = {f"key_{number}": dimension.name for number, dimension in enumerate(part.by)}
    found = found.rename_columns([names.get(name, name) for name in found.column_names])
    columns = [
        found.column(field.name).cast(field.type)
        if field.name in found.column_names
        else pa.nulls(found.num_rows, field.type)
        if field.name != PART
        else pa.array([part.name] * found.num_rows, pa.string())
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


def cells_dimension(dimension: Dimension) -> Dimension:
    """The same dimension over cells."""
    return Dimension(dimension.name, f'"{dimension.name}"')


def whole_days(start_unix_ns: int | None, end_unix_ns: int | None) -> bool:
    """The period begins and ends at midnight UTC: cells are of whole days."""
    return all(bound is None or bound % DAY_NS == 0 for bound in (start_unix_ns, end_unix_ns))


PARTS: Final = _parts()
