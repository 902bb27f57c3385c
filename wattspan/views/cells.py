"""Cells: what stays of a day whose spans are gone. Sums and bucket counts by every dimension, to be added up
again.

A file of cells is Parquet with a row a cell, of four parts: `calls` (the sums of `sql.SUMS` by dimensions and
classes), `requests`, and the bucket counts of energy, `per_call` and `per_request`. The lake writes it when
it drops the spans (`cells_of`), and roll-ups read it in their place (`CellFiles`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from wattspan.lake.manifest import Segment
from wattspan.views import sql
from wattspan.views.dimensions import INHERITED, OF_CELLS, OF_REQUESTS, Dimension, dimensions
from wattspan.views.kinds import Kind, MixedKindsError, kind_of
from wattspan.views.rows import Stream

PARTS: Final = ("calls", "requests", "per_call", "per_request")
SCHEMA: Final = pa.schema(
    [
        pa.field("part", pa.string()),
        *(pa.field(name, pa.int64() if name == "day" else pa.string()) for name in OF_CELLS),
        *(pa.field(name, pa.string()) for name in sql.CLASSES),
        *(pa.field(name, pa.float64()) for name in (*sql.SUMS, *sql.REQUESTS)),
        pa.field("bucket", pa.int32()),
        pa.field("n", pa.float64()),
    ]
)
_KIND: Final = "wattspan.kind."
_DAY_NS: Final = 86_400 * 10**9


def cells_of(folder: Path, segments: Sequence[Segment]) -> pa.Table:
    """The cells of `segments`: in the schema's metadata the kind of their figures.

    `segments` are of one kind (raises MixedKindsError): call it for each kind apart.
    """
    kinds = {kind_of(segment) for segment in segments}
    if len(kinds) != 1:
        raise MixedKindsError(sorted(kinds))
    by = dimensions(OF_CELLS)
    stream = Stream(folder, tuple(segments), inherits=INHERITED, of_traces=True, of_requests=True)
    with duckdb.connect(":memory:") as connection:

        def asked(query: str) -> pa.Table:
            connection.register("stream", stream.reader())
            return connection.sql(query).to_arrow_table()

        of_requests = dimensions(OF_REQUESTS[:1] + OF_REQUESTS[2:])
        found = (
            (by, sql.call_sums("stream", by, "true", is_weighted=True, has_compute=True)),
            (of_requests, sql.request_sums("stream", of_requests, "true")),
            (by, sql.bucket_counts("stream", by, "true", "energy_kwh")),
            (of_requests, sql.bucket_counts("stream", of_requests, "true", "request_energy_kwh")),
        )
        tables = [
            _as_cells(part, keys, asked(query)) for part, (keys, query) in zip(PARTS, found, strict=True)
        ]
    (kind,) = kinds
    about = {f"{_KIND}{name}": value for name, value in kind.as_dict().items()}
    return pa.concat_tables(tables).replace_schema_metadata(about)


def _as_cells(part: str, by: Sequence[Dimension], found: pa.Table) -> pa.Table:
    names = {f"key_{number}": dimension.name for number, dimension in enumerate(by)}
    found = found.rename_columns([names.get(name, name) for name in found.column_names])
    columns = [
        found.column(field.name).cast(field.type)
        if field.name in found.column_names
        else pa.nulls(found.num_rows, field.type)
        if field.name != "part"
        else pa.array([part] * found.num_rows, pa.string())
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


@dataclass(frozen=True, slots=True)
class CellFiles:
    """Files of cells."""

    paths: tuple[Path, ...]

    def of_kind(self, kind: Kind) -> CellFiles:
        """Those whose figures are of `kind`."""
        return CellFiles(tuple(path for path in self.paths if _kind(path) == kind))

    @property
    def kinds(self) -> set[Kind]:
        """The kinds of their figures."""
        return {_kind(path) for path in self.paths}

    def connect(self, connection: Any) -> str:
        """The name of a view over the files."""
        connection.from_parquet([str(path) for path in self.paths]).create_view("cells", replace=True)
        return "cells"


def _kind(path: Path) -> Kind:
    about = pq.read_schema(path).metadata or {}
    return Kind(
        *(
            about[f"{_KIND}{name}".encode()].decode()
            for name in ("edition", "edition_digest", "signal", "factor_type")
        )
    )


def cells_dimension(dimension: Dimension) -> Dimension:
    """The same dimension over cells."""
    return Dimension(dimension.name, f'"{dimension.name}"')


def whole_days(start_unix_ns: int | None, end_unix_ns: int | None) -> bool:
    """The period begins and ends at midnight UTC: cells are of whole days."""
    return all(bound is None or bound % _DAY_NS == 0 for bound in (start_unix_ns, end_unix_ns))
