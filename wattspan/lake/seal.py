"""`Sealer`: the spans of whole traces to the rows of a segment: tree, owners, features, estimates, cost."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa

from wattspan.calls import CallBatch, Column, EstimateBatch
from wattspan.estimator import Estimator, Plan
from wattspan.lake import arrow, spread
from wattspan.lake.compute import ComputeSpans
from wattspan.lake.cost import costs
from wattspan.lake.features import FeatureRules
from wattspan.lake.ownership import own
from wattspan.lake.plans import PlanTexts
from wattspan.lake.rows import Ints, SpanRows, Tree
from wattspan.lake.sampling import weights
from wattspan.lake.schema import ESTIMATE, SEGMENT, TOKENS
from wattspan.lake.tree import once_each, plant, span_keys
from wattspan.otlp.attributes import DUPLICATE
from wattspan.otlp.dialects import CALL


@dataclass(frozen=True, slots=True)
class Sealer:
    """What derived columns are made with."""

    estimator: Estimator
    features: FeatureRules
    sampling_rate: float | None = None
    """Share of traces that the user's own sampling keeps, where spans do not say."""
    compute: ComputeSpans | None = None
    """Estimates spans that are no model calls; None where the user did not opt in."""
    plans: PlanTexts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plans", PlanTexts(self.estimator))

    def seal(self, raw: pa.Table) -> pa.Table:
        """The rows of a segment from the raw columns of whole traces, in any order, copies among them."""
        return self.seal_rows(arrow.from_arrow(raw))

    def seal_rows(self, rows: SpanRows) -> pa.Table:
        """As `seal`."""
        keys = span_keys(rows.trace_id, rows.span_id, rows.start_unix_ns, rows.duration_ns)
        kept = once_each(keys, rows.carries)
        if len(kept) < len(rows):
            rows = rows.take(kept)
        order, tree = plant(
            rows.trace_id, rows.span_id, rows.parent_span_id, rows.start_unix_ns, rows.duration_ns
        )
        return self._derived(rows.take(order), tree)

    def derive_again(self, sealed: pa.Table) -> pa.Table:
        """Sealed rows with their derived columns made anew; the raw ones stay as they are."""
        return self.seal(sealed)

    def _derived(self, rows: SpanRows, tree: Tree) -> pa.Table:
        n, at = len(rows), rows.call_rows
        calls, is_owner, owner_span_id = own(rows)
        features = self.features.assign(rows, tree)
        sampling = weights(rows, tree, self.sampling_rate)
        owner = np.zeros(n, dtype=np.uint64)
        owner[at] = owner_span_id
        flags = np.zeros(n, dtype=np.bool_)
        flags[at] = is_owner
        derived: dict[str, Any] = {
            "pre": pa.array(tree.pre),
            "subtree_size": pa.array(tree.subtree_size),
            "depth": pa.array(tree.depth),
            "own_ns": pa.array(tree.own_ns),
            "is_owner": arrow.flags(flags, arrow.Validity(rows.is_call)),
            "owner_span_id": pa.array(owner),
            "feature": arrow.text_array(features.feature),
            "request": pa.array(features.request),
            "weight": pa.array(sampling.weight),
            "sampling": arrow.text_array(sampling.sampling),
            **self.estimates(rows, calls, is_owner),
        }
        raw = dict(zip(arrow.RAW.names, arrow.raw_arrays(rows), strict=True))
        return pa.table(
            [derived[field.name] if field.name in derived else raw[field.name] for field in SEGMENT],
            schema=SEGMENT,
        )

    def estimates(self, rows: SpanRows, calls: CallBatch, is_owner: Any) -> dict[str, pa.Array]:
        """The ESTIMATE columns of sealed rows; `calls` and `is_owner` as `own` gives them."""
        n = len(rows)
        owners = np.flatnonzero(is_owner)
        owned = calls.take(owners)
        made = self.estimator.estimate(owned)
        at = rows.call_rows[owners]
        cost = costs(owned, rows.reported_cost_usd[owners])
        every, at_every = made, at
        if self.compute is not None:
            at_compute, found = self.compute.estimate(rows)
            every, at_every = EstimateBatch.concatenate([made, found]), np.concatenate([at, at_compute])
        columns = _placed(every, at_every, n)
        columns["plan"] = _text(self._plan_texts(owned, made), at, n)
        copies = rows.call_rows[np.flatnonzero(~is_owner & (rows.role == CALL))]
        basis = Column.concatenate([every.basis, Column.constant(DUPLICATE, len(copies))])
        columns["basis"] = _text(basis, np.concatenate([at_every, copies]), n)
        columns["cost_usd"] = _number(cost.cost_usd, at, n)
        columns["cost_source"] = _text(cost.source, at, n)
        for name in TOKENS:
            value, raw = getattr(owned, name), getattr(rows.calls, name)[owners]
            differs = value != raw
            wide, absent = np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.bool_)
            wide[at[differs]], absent[at[differs]] = value[differs], False
            columns[f"owned_{name}"] = pa.array(wide, mask=absent)
        return columns

    def _plan_texts(self, owned: CallBatch, made: EstimateBatch) -> Column:
        """The constants of each estimate, "" where there is no figure."""
        if made.plans is None:
            # Those of a live grid are of an hour; the constants are those of all hours.
            of_row, plans = self.estimator.plans(owned)
        else:
            used, of_row = _used(made.plans.of_row)
            plans = [cast(Plan, made.plans.of(number)) for number in used]
        texts = Column.of([self.plans.of(plan) for plan in plans])
        codes = np.where(np.isfinite(made.energy_kwh), texts.codes[of_row] if plans else 0, 0)
        return Column(codes.astype(np.int32), texts.names)


def _used(codes: Ints) -> tuple[list[int], Ints]:
    """The distinct codes, and the place of each among them."""
    there = np.bincount(codes) > 0
    return np.flatnonzero(there).tolist(), (np.cumsum(there) - 1)[codes]


_TEXTS: Final = {
    "evidence": "tier",
    "resolved_model": "model",
    **{
        name: name
        for name in (
            "region",
            "region_source",
            "zone",
            "grid_source",
            "grid_resolution",
            "grid_accounting",
            "grid_reason",
        )
    },
}


def _placed(made: EstimateBatch, at: Any, n: int) -> dict[str, pa.Array]:
    """Estimates on their rows; null and "" elsewhere."""
    has_figure = np.isfinite(made.energy_kwh)
    known = {field.name for field in fields(EstimateBatch)}
    columns = {
        f.name: _number(getattr(made, f.name), at, n)
        for f in ESTIMATE
        if pa.types.is_floating(f.type) and f.name in known
    }
    for name, source in _TEXTS.items():
        columns[name] = _text(getattr(made, source), at, n)
    texts = Column.of([spread.written(item) for item in made.spreads])
    codes = np.where(has_figure, texts.codes[made.spread] if len(texts.codes) else 0, 0)
    columns["spread"] = _text(Column(codes.astype(np.int32), texts.names), at, n)
    return columns


def _number(values: Any, at: Any, n: int) -> pa.Array:
    wide = np.full(n, np.nan)
    wide[at] = values
    return arrow.nullable(wide)


def _text(column: Column, at: Any, n: int) -> pa.Array:
    codes = np.zeros(n, dtype=np.int32)
    codes[at] = column.codes
    return arrow.text_array(Column(codes, column.names))
