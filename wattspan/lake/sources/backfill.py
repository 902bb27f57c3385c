"""`backfill`: a table of calls as it is, with energy and carbon in further columns. Parquet in, Parquet out.

For warehouses that keep calls in tables of their own. Rows are estimated a portion at a time, so memory does
not grow with the file; a row that cannot be used stays, without figures.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from wattspan.calls import Column, EstimateBatch
from wattspan.estimator import Estimator, Sums
from wattspan.lake import arrow
from wattspan.lake.rows import Ints
from wattspan.lake.schema import TEXT
from wattspan.lake.sources.call_log import CallLog
from wattspan.lake.sources.column_map import ColumnMapError

PREFIX: Final = "wattspan_"
"""Before the names of our columns, unless the user wants another."""
_NUMBERS: Final = (
    *("energy_kwh", "energy_kwh_low", "energy_kwh_high", "co2e_g", "co2e_g_low", "co2e_g_high"),
    *("embodied_g", "intensity_g_per_kwh"),
)
_TEXTS: Final = {
    "basis": "basis",
    "evidence": "tier",
    "model": "model",
    "region": "region",
    "region_source": "region_source",
    "zone": "zone",
    "grid_resolution": "grid_resolution",
}


class Backfill:
    """What was done."""

    def __init__(self) -> None:
        self.rows = self.left_out = self.with_energy = 0
        self.sums = Sums()

    def add(self, rows: int, made: EstimateBatch) -> None:
        """Count a portion of `rows`, of which those in `made` could be used."""
        self.rows += rows
        self.left_out += rows - len(made.energy_kwh)
        self.with_energy += int(np.count_nonzero(np.isfinite(made.energy_kwh)))
        self.sums.add(made)


def backfill(
    log: CallLog, source: Path, target: Path, estimator: Estimator, prefix: str = PREFIX
) -> Backfill:
    """Write the rows of `source` to `target` with the columns of estimates.

    Edition and kind of carbon are in the file's metadata (`wattspan.edition`, ...). `target` is there whole
    or not at all. Raises ColumnMapError where the map does not fit or a column is there already, OSError and
    pa.ArrowInvalid.
    """
    done = Backfill()
    building = target.with_name(f".{target.name}.building")
    try:
        with log.table(str(source)) as parquet:
            schema = _schema(parquet.schema_arrow, estimator, prefix)
            with pq.ParquetWriter(
                building,
                schema,
                # Figures hardly compress: zstd takes a third more of the processor for a tenth of the bytes.
                compression="snappy",
                use_dictionary=[field.name for field in schema if pa.types.is_dictionary(field.type)],
                write_statistics=parquet.schema_arrow.names,
            ) as writer:
                for portion in _portions(log, parquet, schema, estimator, done):
                    writer.write_batch(portion)
        building.rename(target)
    finally:
        with contextlib.suppress(OSError):
            building.unlink(missing_ok=True)
    return done


def _portions(
    log: CallLog, parquet: pq.ParquetFile, schema: pa.Schema, estimator: Estimator, done: Backfill
) -> Iterator[pa.RecordBatch]:
    for batch, calls, kept in log.calls(parquet):
        made = estimator.estimate(calls)
        done.add(batch.num_rows, made)
        columns = [*batch.columns, *_columns(made, kept, batch.num_rows)]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _columns(made: EstimateBatch, kept: Ints, n: int) -> list[pa.Array]:
    if len(kept) == n:
        return [
            *(arrow.nullable(getattr(made, name)) for name in _NUMBERS),
            *(arrow.text_array(getattr(made, source)) for source in _TEXTS.values()),
        ]
    columns = []
    for name in _NUMBERS:
        wide = np.full(n, np.nan)
        wide[kept] = getattr(made, name)
        columns.append(arrow.nullable(wide))
    for source in _TEXTS.values():
        column: Column = getattr(made, source)
        codes = np.zeros(n, dtype=np.int32)
        codes[kept] = column.codes
        columns.append(arrow.text_array(Column(codes, column.names)))
    return columns


def _schema(found: pa.Schema, estimator: Estimator, prefix: str) -> pa.Schema:
    fields = [
        *(pa.field(prefix + name, pa.float64()) for name in _NUMBERS),
        *(pa.field(prefix + name, TEXT) for name in _TEXTS),
    ]
    for field in fields:
        if field.name in found.names:
            raise ColumnMapError(
                f"the file has a column {field.name!r} already; give our columns another --prefix, or leave "
                "those of an earlier run out"
            )
    edition, kind = estimator.edition, estimator.grid.kind
    about: dict[str | bytes, Any] = {
        **(found.metadata or {}),
        "wattspan.edition": edition.label,
        "wattspan.edition_digest": edition.digest,
        "wattspan.signal": kind.signal,
        "wattspan.factor_type": kind.factor_type,
    }
    return pa.schema([*found, *fields], metadata=about)
