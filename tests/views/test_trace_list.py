"""The list of traces: what it shows is what SQL over all spans says, in pages, by any order and filter."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lakes import DAY, ESTIMATOR, MONDAY, lake_of_captures
from span_trees import Span, rows_of
from test_rollup_cells import RULES, gpt, traces

from wattspan.lake import segments
from wattspan.lake.reader import Snapshot, open_snapshot
from wattspan.lake.seal import Sealer
from wattspan.lake.writer import LakeWriter
from wattspan.views.dimensions import UNMAPPED, QueryError
from wattspan.views.traces import ORDERS, TraceFilter, TraceRow, list_traces

COLUMNS = {
    "energy": "energy_kwh",
    "carbon": "co2e_g",
    "cost": "cost_usd",
    "tokens": "tokens",
    "calls": "calls",
    "spans": "spans",
    "duration": "duration_ns",
    "start": "start_unix_ns",
}
# Written before the list was: one query over everything.
EVERY_TRACE = """
WITH chosen AS (
  SELECT lower(hex(trace_id)) AS trace_id, name, service, feature, pre, start_unix_ns, duration_ns,
    coalesce(is_owner, false) AS owns, status, energy_kwh, co2e_g, cost_usd, resolved_model, model,
    coalesce(owned_input_tokens, input_tokens, 0) + coalesce(owned_output_tokens, output_tokens, 0) AS tokens
  FROM spans
), traces AS (
  SELECT trace_id, arg_min(name, pre) AS name, arg_min(service, pre) AS service,
    coalesce(max(feature) FILTER (feature <> ''), '') AS feature, min(start_unix_ns) AS start_unix_ns,
    max(start_unix_ns + duration_ns) - min(start_unix_ns) AS duration_ns, count(*) AS spans,
    count(*) FILTER (owns) AS calls, coalesce(sum(tokens) FILTER (owns), 0)::BIGINT AS tokens,
    coalesce(sum(energy_kwh), 0) AS energy_kwh, coalesce(sum(co2e_g), 0) AS co2e_g,
    coalesce(sum(cost_usd), 0) AS cost_usd, count(*) FILTER (status = 2) AS errors,
    ($feature IS NULL OR bool_or(feature = $feature)) AND ($service IS NULL OR bool_or(service = $service))
      AND ($model IS NULL OR bool_or(owns AND (resolved_model = $model OR model = $model)))
      AND ($text IS NULL OR bool_or(contains(lower(name), lower($text))) OR trace_id = lower($text))
      AS is_wanted
  FROM chosen GROUP BY trace_id
)
SELECT * EXCLUDE (is_wanted) FROM traces WHERE is_wanted
  AND ($first IS NULL OR start_unix_ns >= $first) AND ($end IS NULL OR start_unix_ns < $end)
"""


def told(snapshot: Snapshot, chosen: TraceFilter) -> dict[str, TraceRow]:
    values = {
        "feature": "" if chosen.feature == UNMAPPED else chosen.feature,
        "service": chosen.service,
        "model": chosen.model,
        "text": chosen.text,
        "first": chosen.start_unix_ns,
        "end": chosen.end_unix_ns,
    }
    rows = snapshot.connect().execute(EVERY_TRACE, values).fetchall()
    return {row[0]: TraceRow(*row) for row in rows}


def agrees(snapshot: Snapshot, chosen: TraceFilter, order: str, ascending: bool, size: int) -> None:
    wanted = told(snapshot, chosen)
    found: list[TraceRow] = []
    while page := list_traces(
        snapshot, chosen, order, ascending=ascending, limit=size, offset=len(found)
    ).rows:
        found += page
    assert list_traces(snapshot, chosen, order, limit=1).total == len(wanted)
    assert len(found) == len(wanted)
    assert {row.trace_id for row in found} == wanted.keys()
    for row in found:
        theirs = wanted[row.trace_id]
        assert row[:9] == theirs[:9]
        assert row.errors == theirs.errors
        # sums of floats may be added in another order
        assert row[9:12] == pytest.approx(theirs[9:12], rel=1e-12)
    values = [getattr(wanted[row.trace_id], COLUMNS[order]) for row in found]
    for before, after in pairwise(values):
        assert before == pytest.approx(after, rel=1e-12) or (before < after) == ascending


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    traces=traces,
    order=st.sampled_from(ORDERS),
    ascending=st.booleans(),
    size=st.integers(1, 4),
    chosen=st.builds(
        TraceFilter,
        st.none() | st.sampled_from((MONDAY, MONDAY + 1, MONDAY + DAY)),
        st.none() | st.sampled_from((MONDAY + 1, MONDAY + DAY, MONDAY + 3 * DAY)),
        st.none() | st.sampled_from(("Ask", "Find", UNMAPPED)),
        st.none() | st.sampled_from(("", "s1")),
        st.none() | st.sampled_from(("openai/gpt-4o", "gpt-4o", "a-model-of-our-own")),
        st.none() | st.sampled_from(("ASK", "chat", "0" * 31 + "1", "nothing")),
    ),
)
def test_pages_are_what_one_query_over_all_spans_says(
    tmp_path_factory: pytest.TempPathFactory,
    traces: list[list[Span]],
    order: str,
    ascending: bool,
    size: int,
    chosen: TraceFilter,
) -> None:
    folder = tmp_path_factory.mktemp("lake")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "ROW_GROUP_ROWS", 2)
        patch.setattr(segments, "PIECE_ROWS", 4)
        with LakeWriter(folder, Sealer(ESTIMATOR, RULES, 1.0)) as writer:
            writer.ingest([rows_of(*traces)[0]])
            writer.seal_all()
        agrees(open_snapshot(folder), chosen, order, ascending, size)


@pytest.mark.parametrize("order", ORDERS)
def test_all_captures_by_each_order(tmp_path: Path, order: str) -> None:
    agrees(lake_of_captures(tmp_path, RULES.rules), TraceFilter(), order, False, 7)


def test_files_of_other_days_are_not_read(tmp_path: Path) -> None:
    with LakeWriter(tmp_path, Sealer(ESTIMATOR, RULES, 1.0)) as writer:
        writer.ingest([rows_of([gpt(100)], [gpt(200, 4)])[0]])
        writer.seal_all()
        first, _ = writer.manifest.segments
    (tmp_path / first.file).unlink()
    page = list_traces(open_snapshot(tmp_path), TraceFilter(start_unix_ns=MONDAY + 2 * DAY))
    assert (page.total, [row.tokens for row in page.rows]) == (1, [220])


def test_an_order_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="cannot be sorted by 'colour'; allowed: energy, carbon"):
        list_traces(lake_of_captures(tmp_path), order="colour")
