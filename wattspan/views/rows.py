"""`Stream`: rows of segments on their way into a query, with columns that a file does not have.

Plain questions read the files as they are. Where a question needs what spans have from those above them
(agent, tool, attributes), another set of estimates, or weights of samples, the rows pass through here, a
segment at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wattspan.calls import Column
from wattspan.lake.arrow import text_array, text_column, whole
from wattspan.lake.inherit import nearest, parent_rows
from wattspan.lake.manifest import Segment
from wattspan.lake.rows import Flags, Floats, Ints
from wattspan.lake.schema import ESTIMATES, SEGMENT, TEXT, TOKENS
from wattspan.lake.segments import whole_traces

TEXTS: Final = (
    "feature",
    "service",
    "model",
    "request_model",
    "reasoning_effort",
    "provider",
    "region",
    "region_source",
    "resolved_model",
    "evidence",
    "basis",
    "sampling",
    "spread",
    "cost_source",
)
NUMBERS: Final = (
    "start_unix_ns",
    "call_start_unix_ns",
    "is_owner",
    "request",
    "weight",
    *TOKENS,
    *(f"owned_{name}" for name in TOKENS),
    "energy_kwh",
    "co2e_g",
    "embodied_g",
    "cost_usd",
)
_TREE: Final = ("pre", "subtree_size", "depth", "parent_span_id")


@dataclass(frozen=True, slots=True)
class Stream:
    """What to add to the rows of `segments`."""

    folder: Path
    segments: tuple[Segment, ...]
    estimate_set: str | None = None
    """Every segment has it."""
    attributes: tuple[str, ...] = ()
    inherits: tuple[str, ...] = ()
    """Of "agent" and "tool"."""
    of_traces: bool = False
    """`trace_energy_kwh` and `trace_co2e_g`: sums over the calls of the span's trace."""
    of_requests: bool = False
    """`request_energy_kwh`: on each request the sum of its calls, null elsewhere."""

    @property
    def schema(self) -> pa.Schema:
        """The columns of the stream."""
        fields = [pa.field(name, TEXT) for name in TEXTS]
        fields += [SEGMENT.field(name) for name in NUMBERS]
        fields += [pa.field(f"inherited_{name}", TEXT) for name in self.inherits]
        fields += [pa.field(f"attribute_{i}", TEXT) for i in range(len(self.attributes))]
        if self.of_traces:
            fields += [pa.field("trace_energy_kwh", pa.float64()), pa.field("trace_co2e_g", pa.float64())]
        if self.of_requests:
            fields += [pa.field("request_energy_kwh", pa.float64())]
        return pa.schema(fields)

    def reader(self) -> pa.RecordBatchReader:
        """The rows; to be read once."""
        batches = (batch for piece in self.pieces() for batch in piece.to_batches(max_chunksize=65_536))
        return pa.RecordBatchReader.from_batches(self.schema, batches)

    def pieces(self) -> Iterator[pa.Table]:
        """The rows as tables of whole traces."""
        for segment in self.segments:
            yield from self._pieces(segment)

    def _pieces(self, segment: Segment) -> Iterator[pa.Table]:
        needed = [*TEXTS, *NUMBERS, *self.inherits]
        is_plain = not (self.inherits or self.attributes or self.of_traces or self.of_requests)
        needed += _TREE[:1] if is_plain else _TREE
        if self.attributes:
            needed.append("attributes")
        estimates = None
        if self.estimate_set is not None:
            names = [name for name in ESTIMATES.names if name in needed]
            file = self.folder / segment.estimates[self.estimate_set]
            estimates = pq.read_table(file, columns=names, memory_map=True)
        done = 0
        for rows in whole_traces(self.folder, segment, needed):
            if estimates is not None:
                rows = _with(rows, estimates.slice(done, rows.num_rows))
            done += rows.num_rows
            yield self._made(rows)

    def _made(self, rows: pa.Table) -> pa.Table:
        """The columns of the stream of some whole traces."""
        made: dict[str, Any] = {name: rows.column(name) for name in (*TEXTS, *NUMBERS)}
        if self.inherits or self.attributes:
            parent = parent_rows(rows.column("depth").to_numpy())
            for name in self.inherits:
                said = text_column(rows.column(name))
                made[f"inherited_{name}"] = _taken(said, nearest(said.codes > 0, parent))
            for number, key in enumerate(self.attributes):
                own, place = _attribute(rows.column("attributes"), key)
                source = nearest(place >= 0, parent)
                made[f"attribute_{number}"] = _taken(own, np.where(source >= 0, place[source], -1))
        if self.of_traces:
            energy, carbon = (_counted(rows, name) for name in ("energy_kwh", "co2e_g"))
            trace = np.cumsum(rows.column("pre").to_numpy() == 0) - 1
            made["trace_energy_kwh"] = pa.array(np.bincount(trace, energy)[trace])
            made["trace_co2e_g"] = pa.array(np.bincount(trace, carbon)[trace])
        if self.of_requests:
            sums = _request_sums(rows, _counted(rows, "energy_kwh"))
            made["request_energy_kwh"] = pa.array(sums, mask=~(sums > 0))
        return pa.table([made[field.name] for field in self.schema], schema=self.schema)


def _with(rows: pa.Table, estimates: pa.Table) -> pa.Table:
    """The rows with other estimates of theirs."""
    for name in estimates.column_names:
        rows = rows.set_column(rows.schema.get_field_index(name), name, estimates.column(name))
    return rows


def _taken(values: Column, source: Ints) -> pa.Array:
    """The value of row `source` for each row; "" where there is none."""
    codes = np.zeros(len(source), dtype=np.int32)
    is_there = source >= 0
    codes[is_there] = values.codes[source[is_there]]
    return text_array(Column(codes, values.names))


def _attribute(column: pa.ChunkedArray, key: str) -> tuple[Column, Ints]:
    """All values of the map, and for each row the place of its own, -1 where it has none."""
    array = whole(column)
    place = np.full(len(array), -1, dtype=np.int64)
    offsets = array.offsets.to_numpy()
    pairs = np.flatnonzero(pc.equal(array.keys, key).to_numpy(zero_copy_only=False))
    row = np.searchsorted(offsets, pairs, side="right") - 1
    there = (row >= 0) & (row < len(array))
    place[row[there]] = pairs[there]
    return text_column(array.items), place


def counts(rows: pa.Table) -> Flags:
    """bool[n]: the row's energy belongs in sums: the owner of a call, or a compute span the user opted in
    for."""
    owner = rows.column("is_owner").fill_null(False).to_numpy()
    basis = text_column(rows.column("basis"))
    if "compute" in basis.names:
        owner = owner | (basis.codes == basis.names.index("compute"))
    flags: Flags = owner
    return flags


def _counted(rows: pa.Table, name: str) -> Floats:
    values = np.nan_to_num(rows.column(name).fill_null(0.0).to_numpy(), nan=0.0)
    return np.where(counts(rows), values, 0.0)


def _request_sums(rows: pa.Table, energy: Floats) -> Floats:
    """Energy of each request on its row, 0 elsewhere."""
    n = rows.num_rows
    of = request_rows(rows)
    there = of >= 0
    sums = np.zeros(n)
    np.add.at(sums, of[there], energy[there])
    return sums


def request_rows(rows: pa.Table) -> Ints:
    """int64[n]: row of the request that each span belongs to, -1 for none (`lake.features` decides what is
    one)."""
    n = rows.num_rows
    here = np.arange(n)
    request = np.flatnonzero(rows.column("request").to_numpy() > 0)
    if not len(request):
        return np.full(n, -1, dtype=np.int64)
    size = rows.column("subtree_size").to_numpy()
    last = np.searchsorted(request, here, side="right") - 1
    above = request[np.maximum(last, 0)]
    within = (last >= 0) & (here < above + size[above])
    # Spans whose parent got lost belong to the request that stands for their trace, if they are of its
    # feature.
    starts = np.flatnonzero(rows.column("pre").to_numpy() == 0)
    trace = np.cumsum(rows.column("pre").to_numpy() == 0) - 1
    root = starts.copy()
    true = np.flatnonzero(
        (rows.column("depth").to_numpy() == 0) & (rows.column("parent_span_id").to_numpy() == 0)
    )[::-1]
    root[trace[true]] = true
    stands = root[trace]
    feature = text_column(rows.column("feature")).codes
    is_request = np.zeros(n, dtype=np.bool_)
    is_request[request] = True
    adopted = is_request[stands] & (feature == feature[stands])
    of: Ints = np.where(within, above, np.where(adopted, stands, -1))
    return of
