"""Which spans are compute, for how long, and what energy the lake gives them: against numbers by hand."""

import numpy as np
import pyarrow as pa
import pytest

from wattspan.calls import EstimateBatch
from wattspan.estimator import Estimator
from wattspan.lake import arrow
from wattspan.lake.compute import ComputeSettings, compute_spans
from wattspan.lake.spans import SpanSource
from wattspan.lake.tree import plant
from wattspan.otlp.wire import DOUBLE, INT, STRING, SpanTableBuilder

SECOND = 10**9
START = 1_750_000_000 * SECOND
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
SOURCE = SpanSource()
TYPES = {str: STRING, int: INT, float: DOUBLE}
CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 100}
DATABASE = {"db.system.name": "postgresql"}


def trace(*spans, service="shop"):
    """Rows in the order of their tree, and the tree.

    A span: name, parent's name or "", begin and end in seconds, kind, attributes, service.
    """
    builder = SpanTableBuilder(SOURCE.keys)
    ids = {name: number.to_bytes(8, "big") for number, (name, *_) in enumerate(spans, 1)}
    for name, parent, begin, end, kind, *more in spans:
        attributes = more[0] if more else {}
        own_service = more[1] if len(more) > 1 else service
        builder.resource(
            [
                ("service.name", STRING, own_service),
                ("cloud.region", STRING, "eu-west-3"),
                ("cloud.provider", STRING, "aws"),
            ]
        )
        builder.scope("app")
        builder.span(
            trace_id=bytes(15) + b"\1",
            span_id=ids[name],
            parent_span_id=ids.get(parent, b""),
            start_unix_ns=START + round(begin * SECOND),
            end_unix_ns=START + round(end * SECOND),
            kind=kind,
            name=name,
            attributes=[(key, TYPES[type(value)], value) for key, value in attributes.items()],
        )
    rows = SOURCE.rows(builder.build())
    order, tree = plant(
        rows.trace_id, rows.span_id, rows.parent_span_id, rows.start_unix_ns, rows.duration_ns
    )
    table = pa.Table.from_batches([arrow.to_arrow(rows)]).take(pa.array(order)).combine_chunks()
    return arrow.from_arrow(table), tree


def seconds(*spans, settings=ComputeSettings(), **options):  # noqa: B008 (frozen)
    """Seconds counted by span name; processor time is marked by "cpu"."""
    rows, tree = trace(*spans, **options)
    at, batch = compute_spans(rows, tree, settings)
    return {
        rows.name[row] + (" cpu" if batch.is_cpu_time[index] else ""): batch.time_ns[index] / SECOND
        for index, row in enumerate(at.tolist())
    }


def test_own_time_is_what_no_child_covers():
    assert seconds(
        ("POST /ask", "", 0, 10, SERVER),
        ("retrieve", "POST /ask", 1, 4, INTERNAL),
        ("rank", "POST /ask", 3, 6, INTERNAL),
    ) == {"POST /ask": 5, "retrieve": 3, "rank": 3}


def test_time_spent_awaiting_a_model_is_not_counted():
    assert seconds(
        ("POST /ask", "", 0, 10, SERVER),
        ("chat", "POST /ask", 1, 9, CLIENT, CALL),
    ) == {"POST /ask": 2}


def test_a_call_that_outlives_the_span_that_began_it_is_awaited_higher_up():
    # "schedule" only begins the task; the server span awaits it from 2 to 9
    assert seconds(
        ("POST /ask", "", 0, 10, SERVER),
        ("schedule", "POST /ask", 1, 2, INTERNAL),
        ("chat", "schedule", 1.5, 9, CLIENT, CALL),
    ) == {"POST /ask": 2, "schedule": 0.5}


def test_calls_awaited_at_once_from_deep_down_are_taken_off_once():
    assert seconds(
        ("POST /ask", "", 0, 20, SERVER),
        ("plan", "POST /ask", 0, 2, INTERNAL),
        ("step", "plan", 0, 1, INTERNAL),
        ("chat 1", "step", 0.5, 8, CLIENT, CALL),
        ("chat 2", "step", 0.5, 12, CLIENT, CALL),
        ("work", "POST /ask", 11, 14, INTERNAL),
    ) == {"POST /ask": 6, "step": 0.5, "work": 3}


def test_a_call_that_outlives_the_whole_trace_is_cut_at_its_ancestors_end():
    assert seconds(
        ("job", "", 0, 10, CONSUMER),
        ("schedule", "job", 1, 2, INTERNAL),
        ("chat", "schedule", 1.5, 99, CLIENT, CALL),
    ) == {"job": 1, "schedule": 0.5}


def test_what_is_below_a_model_call_is_the_models_time():
    assert (
        seconds(
            ("chat", "", 0, 9, CLIENT, CALL),
            ("POST api", "chat", 1, 8, CLIENT),
            ("decode", "POST api", 2, 7, INTERNAL),
        )
        == {}
    )


def test_processor_time_goes_before_own_time():
    assert seconds(
        ("POST /ask", "", 0, 10, SERVER),
        ("parse", "POST /ask", 1, 4, INTERNAL, {"process.cpu.time": 0.25}),
    ) == {"POST /ask": 7, "parse cpu": 0.25}


def test_processor_time_of_a_span_holds_that_of_the_spans_below_it_in_its_service():
    assert seconds(
        ("POST /ask", "", 0, 10, SERVER, {"process.cpu.time": 2.0}),
        ("parse", "POST /ask", 1, 4, INTERNAL, {"process.cpu.time": 0.5}),
        ("rank", "POST /ask", 4, 5, INTERNAL),
        ("store", "POST /ask", 5, 6, SERVER, {}, "store"),
    ) == {"POST /ask cpu": 1.5, "parse cpu": 0.5, "store": 1}


def test_a_client_span_to_a_database_is_the_databases_work_and_other_clients_wait():
    spans = (
        ("POST /ask", "", 0, 10, SERVER),
        ("SELECT", "POST /ask", 1, 4, CLIENT, DATABASE),
        ("GET weather", "POST /ask", 4, 9, CLIENT),
    )
    assert seconds(*spans) == {"POST /ask": 2, "SELECT": 3}
    assert seconds(*spans, settings=ComputeSettings(client_spans="none")) == {"POST /ask": 2}
    assert seconds(*spans, settings=ComputeSettings(client_spans="all")) == {
        "POST /ask": 2,
        "SELECT": 3,
        "GET weather": 5,
    }


def test_a_client_span_whose_server_is_in_the_trace_is_counted_there():
    assert seconds(
        ("ask", "", 0, 10, CLIENT, DATABASE),
        ("query", "ask", 2, 8, SERVER, {}, "database"),
    ) == {"query": 6}


def test_an_agent_that_sums_up_its_calls_works_between_them_and_one_without_calls_is_left_out():
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 100}
    assert seconds(
        ("agent", "", 0, 10, INTERNAL, agent),
        ("chat", "agent", 1, 9, CLIENT, CALL),
    ) == {"agent": 2}
    assert seconds(("agent", "", 0, 10, INTERNAL, agent)) == {}


def test_region_cloud_and_service_come_from_the_resource():
    rows, tree = trace(("job", "", 0, 10, CONSUMER))
    _, batch = compute_spans(rows, tree, ComputeSettings())
    assert (batch.region[0], batch.cloud[0], batch.service[0]) == ("eu-west-3", "aws", "shop")
    assert batch.start_unix_ns.tolist() == [START]


def test_no_spans_are_no_compute():
    rows, tree = trace(("chat", "", 0, 1, CLIENT, CALL))
    at, batch = compute_spans(rows, tree, ComputeSettings())
    assert (len(at), len(batch)) == (0, 0)


def test_estimates_of_two_kinds_cannot_stand_in_one_table():
    calls = trace(("chat", "", 0, 1, CLIENT, CALL))[0].calls
    both = [Estimator(factor_type=kind).estimate(calls) for kind in ("lifecycle", "direct")]
    with pytest.raises(ValueError, match="they are of one kind"):
        EstimateBatch.concatenate(both)


def test_estimates_below_one_another_keep_their_errors():
    calls = trace(("chat", "", 0, 1, CLIENT, CALL))[0].calls
    estimator = Estimator()
    one, other = estimator.estimate(calls), estimator.estimate(calls)
    both = EstimateBatch.concatenate([one, other])
    assert np.array_equal(both.energy_kwh, np.concatenate([one.energy_kwh, other.energy_kwh]))
    assert both.spreads[both.spread[1]] == other.spreads[other.spread[0]]
    assert both.model.texts() == one.model.texts() * 2
