"""`batches`: the rows of a Parquet file, some at a time, of any columns."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq


def batches(
    parquet: pq.ParquetFile, most_rows: int, columns: list[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows in their order, up to `most_rows` at a time.

    Arrow cannot read a batch of dictionary-coded texts within structures or maps that lies in two row groups
    ("Nested data conversions not implemented for chunked array outputs"): such files are read group by group.
    """
    every = range(parquet.num_row_groups)
    groups = [[group] for group in every] if any(map(_is_coded_inside, parquet.schema_arrow)) else [[*every]]
    for chosen in groups:
        yield from parquet.iter_batches(most_rows, row_groups=chosen, columns=columns, use_threads=False)


def _is_coded_inside(field: pa.Field) -> bool:
    inside = [field.type.field(number) for number in range(field.type.num_fields)]
    return any(pa.types.is_dictionary(one.type) or _is_coded_inside(one) for one in inside)
