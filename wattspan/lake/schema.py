"""The columns of a segment: one row a span, whole traces together, in the order of the tree.

Raw columns say what the span said and never change; derived ones come from rules (ownership, features,
sampling) or from an estimator and can be made again from the raw ones. `docs/design/lake.md` is this table
for readers.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

TEXT: Final = pa.dictionary(pa.int32(), pa.string())
"""Texts that repeat; "" where there is none."""

IDENTITY: Final = (
    pa.field("trace_id", pa.binary(16)),
    pa.field("span_id", pa.uint64()),
    pa.field("parent_span_id", pa.uint64()),
)
"""`span_id` and `parent_span_id`: big-endian value of the 8 bytes, 0 = none."""

SPAN: Final = (
    pa.field("start_unix_ns", pa.int64()),
    pa.field("duration_ns", pa.int64()),
    pa.field("kind", pa.int8()),
    pa.field("status", pa.int8()),
    pa.field("service", TEXT),
    pa.field("scope", TEXT),
    pa.field("name", TEXT),
    pa.field("agent", TEXT),
    pa.field("tool", TEXT),
    pa.field("cpu_ns", pa.int64()),
    pa.field("attributes", pa.map_(TEXT, TEXT)),
)
"""`kind` and `status` as OTLP numbers them. `cpu_ns`: processor time the span reports; null where it reports
none. `attributes`: those on the allow-list, of the span and its resource; no content, no user ids."""

CALL: Final = (
    pa.field("role", pa.int8()),
    pa.field("call_start_unix_ns", pa.int64()),
    pa.field("operation", TEXT),
    pa.field("model", TEXT),
    pa.field("request_model", TEXT),
    pa.field("provider", TEXT),
    pa.field("host", TEXT),
    pa.field("span_region", TEXT),
    pa.field("span_cloud", TEXT),
    pa.field("reported_region", TEXT),
    pa.field("resource_region", TEXT),
    pa.field("resource_cloud", TEXT),
    pa.field("is_self_hosted", pa.bool_()),
    pa.field("reasoning_effort", TEXT),
    pa.field("has_usage", pa.bool_()),
    pa.field("is_error", pa.bool_()),
    pa.field("is_continuation", pa.bool_()),
    pa.field("response_hash", pa.uint64()),
    pa.field("input_tokens", pa.int64()),
    pa.field("cache_read_tokens", pa.int64()),
    pa.field("cache_write_tokens", pa.int64()),
    pa.field("output_tokens", pa.int64()),
    pa.field("reasoning_tokens", pa.int64()),
    pa.field("reported_energy_kwh", pa.float64()),
    pa.field("is_measured", pa.bool_()),
    pa.field("reported_cost_usd", pa.float64()),
)
"""As `calls.CallBatch` has them, before copies added facts; null where the span is neither call nor aggregate
(`role` as `otlp.dialects` numbers it). `call_start_unix_ns`: start of a call that began before its span did
(a streamed response logged apart), null where it is the span's. `response_hash`: of the provider's response
id, 0 = none."""

TOKENS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)

TREE: Final = (
    pa.field("pre", pa.int32()),
    pa.field("subtree_size", pa.int32()),
    pa.field("depth", pa.int32()),
    pa.field("own_ns", pa.int64()),
    pa.field("is_owner", pa.bool_()),
    pa.field("owner_span_id", pa.uint64()),
    *(pa.field(f"owned_{name}", pa.int64()) for name in TOKENS),
)
"""Pre-order number within the trace from 0, spans in the subtree with the span itself, depth from 0 (a root;
spans whose parent is missing are roots too), duration not covered by children, ownership of calls (null, 0
elsewhere). `owned_*`: tokens of an owner that its copies knew and it did not, null where the raw count stands
(coalesce of the two is what was estimated)."""

RULES: Final = (
    pa.field("feature", TEXT),
    pa.field("request", pa.int8()),
    pa.field("weight", pa.float64()),
    pa.field("sampling", TEXT),
)
"""`feature`: "" = unmapped. `request`: 1 on the span that is one completed inference of its feature, 2 on one
that failed, 0 elsewhere. `weight`: spans this one stands for; `sampling`: how that is known (all | traced |
configured | unknown)."""

ESTIMATE: Final = (
    pa.field("energy_kwh", pa.float64()),
    pa.field("co2e_g", pa.float64()),
    pa.field("embodied_g", pa.float64()),
    pa.field("water_ml", pa.float64()),
    pa.field("pue", pa.float64()),
    pa.field("intensity_g_per_kwh", pa.float64()),
    pa.field("basis", TEXT),
    pa.field("evidence", TEXT),
    pa.field("resolved_model", TEXT),
    pa.field("region", TEXT),
    pa.field("region_source", TEXT),
    pa.field("zone", TEXT),
    pa.field("grid_source", TEXT),
    pa.field("grid_resolution", TEXT),
    pa.field("grid_accounting", TEXT),
    pa.field("grid_reason", TEXT),
    pa.field("spread", TEXT),
    pa.field("plan", TEXT),
    pa.field("cost_usd", pa.float64()),
    pa.field("cost_source", TEXT),
)
"""As `calls.EstimateBatch`; null and "" where there is no figure. `basis`: measured | reported | modelled |
no_usage | failed | duplicate (calls), compute (other spans, where the user opted in), "" (none).
`evidence`: the tier, or compute. `spread`: the shared errors of the row as `lake.spread` writes them; bands
are made from it and never stored. `plan`: the constants of
the estimate as `lake.plans` writes them. `cost_source`: span | genai-prices."""

KEPT_SHARE: Final = pa.field("kept_share", pa.float64())
"""Share of traces that sampling kept, as the span says; null where it says nothing. Raw."""

SEGMENT: Final = pa.schema([*IDENTITY, *SPAN, KEPT_SHARE, *CALL, *TREE, *RULES, *ESTIMATE])
"""A segment file; rows sorted by trace id, then `pre`."""

ESTIMATES: Final = pa.schema(list(ESTIMATE))
"""A file of other estimates beside a segment: the same rows in the same order."""
