from __future__ import annotations

import pytest
from pydantic import ValidationError
from span_trees import Span, call, rows_of

from wattspan.lake.features import FeatureRules
from wattspan.lake.rules import FeatureRule


def assigned(rules: list[dict[str, object]], *traces: list[Span]) -> list[tuple[str, str, int]]:
    """(name, feature, request) of each span."""
    rows, tree = rows_of(*traces)
    found = FeatureRules([FeatureRule.model_validate(rule) for rule in rules]).assign(rows, tree)
    return list(zip(rows.name.texts(), found.feature.texts(), found.request.tolist(), strict=True))


ASK = {"feature": "Ask", "span": "POST /ask"}


def test_all_below_the_matching_span_belongs_to_its_feature_and_it_is_one_inference() -> None:
    trace = [Span("gateway", [Span("POST /ask", [Span("retrieve", [call("embed")]), call("chat")])])]
    assert assigned([ASK], trace) == [
        ("gateway", "", 0),
        ("POST /ask", "Ask", 1),
        ("retrieve", "Ask", 0),
        ("embed", "Ask", 0),
        ("chat", "Ask", 0),
    ]


def test_a_trace_that_no_rule_matches_is_one_inference_of_the_unmapped_feature() -> None:
    assert assigned([ASK], [Span("job", [call(), call()])]) == [
        ("job", "", 1),
        ("chat", "", 0),
        ("chat", "", 0),
    ]


def test_calls_beside_the_matches_of_a_trace_are_unmapped_and_no_inference() -> None:
    trace = [Span("worker", [call("route"), Span("POST /ask", [call()])])]
    assert assigned([ASK], trace) == [
        ("worker", "", 0),
        ("route", "", 0),
        ("POST /ask", "Ask", 1),
        ("chat", "Ask", 0),
    ]


def test_a_deeper_match_of_another_feature_stays_part_of_the_outer_request() -> None:
    translate = {"feature": "Translate", "span": "translate"}
    trace = [Span("POST /ask", [Span("translate", [call()]), Span("POST /ask", [call()])])]
    assert [(feature, request) for _, feature, request in assigned([translate, ASK], trace)] == [
        ("Ask", 1),
        ("Ask", 0),
        ("Ask", 0),
        ("Ask", 0),
        ("Ask", 0),
    ]


def test_several_topmost_matches_in_one_trace_are_several_inferences() -> None:
    trace = [Span("nightly", [Span("POST /ask", [call()]), Span("POST /ask", [call()], status=2)])]
    assert [(feature, request) for _, feature, request in assigned([ASK], trace)] == [
        ("", 0),
        ("Ask", 1),
        ("Ask", 0),
        ("Ask", 2),
        ("Ask", 0),
    ]


def test_a_retried_request_counts_once_completed_and_a_retry_below_it_counts_not_at_all() -> None:
    failed, retried = (
        [Span("POST /ask", [call(is_error=True)], status=2)],
        [Span("POST /ask", [call(is_error=True), call()])],
    )
    requests = [(name, request) for name, _, request in assigned([ASK], failed, retried) if request]
    assert requests == [("POST /ask", 2), ("POST /ask", 1)]


def test_a_request_without_a_model_call_is_no_inference() -> None:
    requests = [
        request
        for _, _, request in assigned([ASK], [Span("POST /ask", [Span("cache hit")])], [Span("GET /health")])
    ]
    assert requests == [0, 0, 0]


def test_an_agent_span_whose_calls_are_not_traced_makes_an_inference_by_its_own_usage() -> None:
    restated = call("invoke_agent", role=1)
    silent = call("invoke_agent", role=1, has_usage=False)
    assert assigned([], [Span("a", [restated])], [Span("b", [silent])]) == [
        ("a", "", 1),
        ("invoke_agent", "", 0),
        ("b", "", 0),
        ("invoke_agent", "", 0),
    ]


def test_a_bare_call_is_its_own_request_and_fails_with_it() -> None:
    assert assigned([], [call()], [call(is_error=True)]) == [("chat", "", 1), ("chat", "", 2)]


def test_spans_whose_parent_is_lost_belong_to_the_request_of_the_first_span_of_their_trace() -> None:
    trace = [
        Span("POST /ask", [call()]),
        Span("lost", [Span("POST /ask", [call()])], is_orphan=True),
    ]
    assert assigned([ASK], trace) == [
        ("POST /ask", "Ask", 1),
        ("chat", "Ask", 0),
        ("lost", "Ask", 0),
        ("POST /ask", "Ask", 0),
        ("chat", "Ask", 0),
    ]


def test_the_calls_of_a_request_may_all_hang_from_a_lost_parent() -> None:
    trace = [Span("POST /ask"), Span("lost", [call()], is_orphan=True)]
    assert [request for *_, request in assigned([ASK], trace)] == [1, 0, 0]


def test_without_the_first_span_each_topmost_match_stands_for_itself() -> None:
    trace = [
        Span("POST /ask", [call()], is_orphan=True),
        Span("other", [call()], is_orphan=True),
    ]
    assert assigned([ASK], trace) == [
        ("POST /ask", "Ask", 1),
        ("chat", "Ask", 0),
        ("other", "", 0),
        ("chat", "", 0),
    ]


def test_an_unmapped_trace_of_orphans_is_one_inference_of_its_first_span() -> None:
    trace = [call("a", is_orphan=True), call("b", is_orphan=True), Span("root")]
    assert assigned([], trace) == [("a", "", 0), ("b", "", 0), ("root", "", 1)]
    assert assigned([], trace[:2]) == [("a", "", 1), ("b", "", 0)]


def test_the_first_rule_that_matches_a_span_names_its_feature() -> None:
    rules = [
        {"feature": "Invoices", "service": "billing-*", "route": ["/ask/*", "/chat"]},
        {"feature": "Billing", "service": "billing-*"},
    ]
    traces = [
        [Span("a", [call()], service="billing-eu", attributes={"http.route": "/ask/{id}"})],
        [Span("b", [call()], service="billing-eu", attributes={"http.route": "/report"})],
        [Span("c", [call()], service="Billing-eu")],
    ]
    assert [feature for name, feature, _ in assigned(rules, *traces) if name != "chat"] == [
        "Invoices",
        "Billing",
        "",
    ]


def test_all_conditions_of_a_rule_must_hold_and_an_absent_attribute_matches_no_glob() -> None:
    rules = [{"feature": "Pro", "root_span": "POST *", "attributes": {"plan": "*", "app.kind": ["a", "b"]}}]
    both, one = {"plan": "gold", "app.kind": "b"}, {"app.kind": "b"}
    traces = [
        [Span("POST /x", [Span("s", [call()], attributes=both)])],
        [Span("POST /x", [Span("s", [call()], attributes=one)])],
        [Span("GET /x", [Span("s", [call()], attributes=both)])],
    ]
    assert [feature for name, feature, _ in assigned(rules, *traces) if name == "s"] == ["Pro", "", ""]


def test_an_attribute_may_name_the_feature_itself() -> None:
    rules = [{"feature_from": "app.feature"}]
    traces = [[Span(name, [call()], attributes={"app.feature": name})] for name in ("search", "summary")]
    assert assigned(rules, *traces, [Span("x", [call()])]) == [
        ("search", "search", 1),
        ("chat", "search", 0),
        ("summary", "summary", 1),
        ("chat", "summary", 0),
        ("x", "", 1),
        ("chat", "", 0),
    ]


def test_the_rules_say_which_attributes_must_be_kept() -> None:
    rules = [
        FeatureRule(feature="A", route="/a", attributes={"baggage.plan": "x"}),
        FeatureRule(feature_from="app.feature"),
    ]
    assert FeatureRules(rules).keys == ("baggage.plan", "http.route", "app.feature")


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"feature": "A"}, "say which spans it is"),
        ({"service": "a"}, "give either feature"),
        ({"feature": "A", "feature_from": "b", "service": "a"}, "give either feature"),
        ({"feature": "A", "service": ""}, "at least 1 character"),
        ({"feature": "A", "servcie": "a"}, "Extra inputs are not permitted"),
    ],
)
def test_a_rule_that_says_too_little_or_too_much_is_refused(rule: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        FeatureRule.model_validate(rule)
