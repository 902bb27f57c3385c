from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from lakes import (
    DAY,
    ESTIMATOR,
    HOUR,
    MONDAY,
    bodies,
    lake_of,
    lake_of_captures,
    with_spans_dropped,
)
from span_trees import Span, call

from wattspan.calls import CallBatch
from wattspan.lake.compact import retire
from wattspan.lake.features import FeatureRules
from wattspan.lake.manifest import EstimateSet
from wattspan.lake.reader import Snapshot, open_snapshot
from wattspan.lake.rules import FeatureRule
from wattspan.lake.schema import ESTIMATES
from wattspan.lake.seal import Sealer
from wattspan.lake.settings import LakeSettings
from wattspan.lake.spread import read
from wattspan.lake.writer import LakeWriter
from wattspan.otlp.enrich import Enricher
from wattspan.otlp.summary import Summary
from wattspan.views.cells import cells_of
from wattspan.views.dimensions import NAMES, Filter, QueryError, parse_filter
from wattspan.views.group import Group
from wattspan.views.kinds import MixedKindsError
from wattspan.views.rollup import Question, RollUp, kinds, roll_up

CHAT = FeatureRule(feature="Chat", span="*chat*")


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return lake_of_captures(tmp_path_factory.mktemp("lake"), [CHAT])


@pytest.fixture(scope="module")
def summary() -> Summary:
    found = Summary()
    for window in Enricher(ESTIMATOR).protobuf(bodies()):
        found.add_window(window)
    return found


def by_key(rolled: RollUp) -> dict[tuple[str, ...], Group]:
    return {group.key: group for group in rolled.groups}


def gpt(tokens: int = 1_000, **columns: object) -> Span:
    return call(provider="openai", model="gpt-4o", input_tokens=tokens, output_tokens=tokens // 10, **columns)


def kwh(tokens: int = 1_000) -> float:
    calls = CallBatch.of(
        1,
        provider="openai",
        model="gpt-4o",
        input_tokens=tokens,
        output_tokens=tokens // 10,
        start_unix_ns=MONDAY,
    )
    return float(ESTIMATOR.estimate(calls).energy_kwh[0])


def test_the_lake_of_all_captures_adds_up_to_what_enriching_them_says(
    captures: Snapshot, summary: Summary
) -> None:
    whole = roll_up(captures, Question()).total
    assert (whole.recorded, whole.calls) == (497, 497.0)
    assert summary.calls == 497
    assert {name.removesuffix("_tokens"): count for name, count in whole.tokens.items()} == summary.tokens
    for ours, theirs in ((whole.energy_kwh, summary.energy_kwh), (whole.co2e_g, summary.co2e_g)):
        assert [f"{value:.12e}" for value in ours] == [f"{value:.12e}" for value in theirs]
    assert whole.coverage == summary.coverage["energy"]
    assert whole.failed == summary.failed
    assert whole.energy_by_tier == pytest.approx(
        {tier: share.energy_kwh for tier, share in summary.by_tier.items() if share.energy_kwh}, rel=1e-12
    )


@pytest.mark.parametrize("name", [*NAMES, "attribute:gen_ai.agent.name"])
def test_whatever_it_is_split_by_the_parts_add_up_to_the_whole(captures: Snapshot, name: str) -> None:
    rolled = roll_up(captures, Question((name,)))
    assert len(rolled.groups) >= 1
    assert sum(group.calls for group in rolled.groups) == 497
    assert sum(group.tokens["output_tokens"] for group in rolled.groups) == 113_369
    central = math.fsum(group.energy_kwh.central for group in rolled.groups)
    assert central == pytest.approx(0.09837565582738022, rel=1e-12)
    assert rolled.total.energy_kwh.central == pytest.approx(central, rel=1e-12)
    # errors are shared, so parts added up bound by bound would be wrong: the whole is narrower than that
    assert rolled.total.energy_kwh.high <= math.fsum(g.energy_kwh.high for g in rolled.groups) * (1 + 1e-9)


def test_the_band_of_a_sum_holds_what_shared_errors_do_to_it(captures: Snapshot) -> None:
    """Against 100,000 draws: every factor drawn once a key, whatever number of calls shares it."""
    table = pq.read_table(
        captures.folder / captures.manifest.segments[0].file, columns=["spread", "energy_kwh", "co2e_g"]
    )
    rows = [row for row in table.to_pylist() if row["energy_kwh"] is not None]
    whole = roll_up(captures, Question()).total
    rng = np.random.default_rng(20261128)
    for of_carbon, value, band in ((0, "energy_kwh", whole.energy_kwh), (1, "co2e_g", whole.co2e_g)):
        draws: dict[str, np.ndarray] = {}
        terms: dict[str, float] = {}
        for row in rows:
            terms[row["spread"]] = terms.get(row["spread"], 0.0) + (row[value] or 0.0)
        sums = np.zeros(100_000)
        for text, central in terms.items():
            product = np.full(100_000, central)
            for key, ln_g in read(text)[of_carbon]:
                standard = draws.setdefault(key, rng.standard_normal(100_000))
                product = product * np.exp(ln_g * standard)
            sums += product
        inside = np.mean((sums >= band.low) & (sums <= band.high))
        # meant to enclose 90 %; one lognormal in the place of a sum of them errs on the wide side
        assert 0.88 < inside < 0.97


def test_a_million_calls_of_one_model_are_as_uncertain_as_one(tmp_path: Path) -> None:
    one = roll_up(lake_of(tmp_path / "1", [gpt()]), Question()).total.energy_kwh
    many = roll_up(lake_of(tmp_path / "2", *([gpt()] for _ in range(300))), Question()).total.energy_kwh
    assert many.central == pytest.approx(300 * one.central, rel=1e-12)
    assert many.high / many.central == pytest.approx(one.high / one.central, rel=1e-12)


def test_inferences_are_counted_by_feature_and_failed_ones_only_burn(tmp_path: Path) -> None:
    ask = FeatureRule(feature="Ask", span="POST /ask")
    traces = [[Span("POST /ask", [gpt(), gpt()])] for _ in range(3)]
    failed = [Span("POST /ask", [gpt()], status=2)]
    snapshot = lake_of(tmp_path, *traces, failed, [Span("job", [gpt()])], rules=[ask])
    found = by_key(roll_up(snapshot, Question(("feature",))))
    ask_group, unmapped = found[("Ask",)], found[("",)]
    assert ask_group.requests == (3.0, 1.0)
    assert ask_group.calls == 7
    assert ask_group.kwh_per_1000 is not None
    assert ask_group.kwh_per_1000.central == pytest.approx(1000 * 7 * kwh() / 3, rel=1e-12)
    assert ask_group.kgco2e_per_1000 is not None
    assert ask_group.kgco2e_per_1000.central == pytest.approx(ask_group.co2e_g.central / 3, rel=1e-12)
    assert unmapped.requests == (1.0, 0.0)
    assert roll_up(snapshot, Question(("feature",))).total.requests == (4.0, 1.0)


def test_requests_have_no_model_so_by_model_they_are_not_counted(captures: Snapshot) -> None:
    rolled = roll_up(captures, Question(("feature", "model")))
    assert rolled.total.requests is None
    assert "requests" not in rolled.as_dict()["total"]


def test_calls_belong_to_the_hour_and_day_in_which_they_start(tmp_path: Path) -> None:
    late = MONDAY + DAY - HOUR
    trace = [Span("job", [gpt(start_unix_ns=late), gpt(start_unix_ns=MONDAY + DAY)], start_unix_ns=late)]
    snapshot = lake_of(tmp_path, trace)
    hours = [(group.key, group.calls) for group in roll_up(snapshot, Question(("hour",))).groups]
    assert hours == [(("2026-11-23T23:00Z",), 1.0), (("2026-11-24T00:00Z",), 1.0)]
    tuesday = roll_up(snapshot, Question(("day",), start_unix_ns=MONDAY + DAY, end_unix_ns=MONDAY + 2 * DAY))
    assert [(group.key, group.calls) for group in tuesday.groups] == [(("2026-11-24",), 1.0)]
    assert roll_up(snapshot, Question(end_unix_ns=MONDAY + DAY)).total.calls == 1


def test_a_call_belongs_to_the_nearest_agent_tool_and_attribute_above_it(tmp_path: Path) -> None:
    inner = Span("inner", [Span("use", [gpt(3_000)], tool="search")], agent="reader")
    trace = [
        Span("ask", [Span("outer", [gpt(1_000), inner], agent="clerk")], attributes={"app.plan": "gold"})
    ]
    snapshot = lake_of(tmp_path, trace, [gpt(5_000)])
    for name, expected in (
        ("agent", {"clerk": 1_000, "reader": 3_000, "": 5_000}),
        ("tool", {"search": 3_000, "": 6_000}),
        ("attribute:app.plan", {"gold": 4_000, "": 5_000}),
    ):
        found = by_key(roll_up(snapshot, Question((name,))))
        assert {key: group.tokens["input_tokens"] for (key,), group in found.items()} == expected


def test_filters_of_one_kind_are_alternatives_and_of_several_all_hold(captures: Snapshot) -> None:
    def calls(*texts: str) -> float:
        return roll_up(captures, Question(where=tuple(map(parse_filter, texts)))).total.calls

    assert calls("model=openai/gpt-5") == 48
    assert calls("model=openai/gpt-5", "model=google/gemini-2.5-pro") == 56
    assert calls("model=openai/gpt-5", "feature=Chat") == 18
    assert calls("model=openai/gpt-5", "feature!=Chat") == 30
    assert calls("feature=(unmapped)") == 268
    assert calls("model=openai/*", "model!=*mini*") < calls("model=openai/*")


@pytest.mark.parametrize(
    "evil",
    ["x' OR '1'='1", "'; DROP TABLE parts; --", "$start", '"', "\\", "feature", "{1}", "%s", "x\x00y"],
)
def test_nothing_that_a_user_writes_becomes_sql(captures: Snapshot, evil: str) -> None:
    assert roll_up(captures, Question(where=(Filter("service", evil),))).total.calls == 0
    by_attribute = roll_up(captures, Question((f"attribute:{evil}",), (Filter(f"attribute:{evil}", "*"),)))
    assert by_attribute.total.calls == 497


def test_what_cannot_be_split_by_is_refused_with_what_can() -> None:
    with pytest.raises(QueryError, match="'colour' is nothing to split by; allowed: day, hour, feature"):
        Question(("colour",)) and parse_filter("colour=red")
    with pytest.raises(QueryError, match="write it as feature"):
        parse_filter("feature")
    with pytest.raises(QueryError, match="--from and --to"):
        parse_filter("day=2026-11-23")


def test_percentiles_are_within_one_percent_of_exact(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    tokens = np.exp(rng.normal(7, 1.5, 2_000)).astype(int) + 20
    spans = [[Span("POST /ask", [gpt(int(a)), gpt(int(b))])] for a, b in tokens.reshape(-1, 2)]
    snapshot = lake_of(tmp_path, *spans)
    rolled = roll_up(snapshot, Question(("feature",), percentiles=True))
    table = pq.read_table(snapshot.folder / snapshot.manifest.segments[0].file).to_pylist()
    energy = [row["energy_kwh"] for row in table if row["energy_kwh"]]
    pairs: dict[bytes, float] = {}
    for row in table:
        pairs[row["trace_id"]] = pairs.get(row["trace_id"], 0.0) + (row["energy_kwh"] or 0.0)
    for found, exact in ((rolled.total.call_kwh, energy), (rolled.total.request_kwh, list(pairs.values()))):
        assert found is not None
        for share, value in found.items():
            assert value == pytest.approx(
                float(np.quantile(exact, share, method="inverted_cdf")), rel=0.01
            ), share
    assert rolled.groups[0].call_kwh == rolled.total.call_kwh


def test_sampled_traces_are_scaled_labelled_and_widened(tmp_path: Path) -> None:
    def traces(n: int, kept: float) -> list[list[Span]]:
        return [[Span("ask", [gpt(), gpt()], kept=kept)] for _ in range(n)]

    all_of_them = roll_up(lake_of(tmp_path / "a", *traces(40, 1.0)), Question(("feature",))).total
    some = roll_up(lake_of(tmp_path / "b", *traces(10, 0.25)), Question(("feature",))).total
    assert (some.recorded, some.calls, some.requests) == (20, 80.0, (40.0, 0.0))
    assert some.energy_kwh.central == pytest.approx(all_of_them.energy_kwh.central, rel=1e-12)
    assert some.calls_by_sampling == {"traced": 80.0}
    assert (all_of_them.calls_by_sampling, all_of_them.is_sampled) == ({"all": 80.0}, False)
    # relative variance of 10 traces of equal size kept with probability 1/4: (1 - 1/4) / 10
    added = math.log1p(0.75 / 10)
    model = (math.log(all_of_them.energy_kwh.high / all_of_them.energy_kwh.central)) / 1.64
    s = math.sqrt(model**2 + added)
    whole = roll_up(lake_of(tmp_path / "c", *traces(10, 0.25)), Question()).total
    assert math.log(whole.energy_kwh.high / whole.energy_kwh.central) / 1.64 == pytest.approx(s, rel=1e-9)


def test_unknown_sampling_is_said_and_not_scaled(tmp_path: Path) -> None:
    whole = roll_up(lake_of(tmp_path, [gpt()], rate=None), Question()).total
    assert (whole.calls, whole.calls_by_sampling) == (1.0, {"unknown": 1.0})


def test_a_configured_rate_scales_too(tmp_path: Path) -> None:
    whole = roll_up(lake_of(tmp_path, [gpt()], rate=0.1), Question()).total
    assert (whole.calls, whole.calls_by_sampling) == (10.0, {"configured": 10.0})


def test_dropped_days_answer_from_their_cells_as_their_spans_did(captures: Snapshot) -> None:
    dropped = with_spans_dropped(captures)
    assert dropped.manifest.segments == ()
    for by in [(name,) for name in NAMES if name != "hour"] + [("feature", "model"), ("day", "feature"), ()]:
        for where in ((), (Filter("provider", "openai"),)):
            question = Question(by, where, percentiles=True)
            ours, theirs = roll_up(dropped, question).as_dict(), roll_up(captures, question).as_dict()
            assert _close(ours["total"], theirs["total"])
            assert _close(ours["groups"], theirs["groups"])


def _close(ours: object, theirs: object) -> bool:
    """Equal, floats to 1e-12: sums may be added in another order."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_close(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_close, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-11)
    return ours == theirs


def test_cells_and_spans_of_different_days_are_one_answer(tmp_path: Path) -> None:
    ask = FeatureRule(feature="Ask", span="POST /ask")
    traces = [
        [
            Span(
                "POST /ask",
                [gpt(start_unix_ns=MONDAY + day * DAY, kept=0.5)],
                start_unix_ns=MONDAY + day * DAY,
            )
        ]
        for day in (0, 1, 1, 2)
    ]
    snapshot = lake_of(tmp_path, *traces, rules=[ask])
    dropped = with_spans_dropped(snapshot, ["2026-11-23", "2026-11-24"])
    question = Question(("day", "feature"), end_unix_ns=MONDAY + 2 * DAY, percentiles=True)
    assert _close(roll_up(dropped, question).as_dict(), roll_up(snapshot, question).as_dict())
    whole = roll_up(dropped, Question(("feature",))).total
    assert (whole.calls, whole.requests) == (8.0, (8.0, 0.0))


def test_what_cells_cannot_say_is_said(tmp_path: Path) -> None:
    snapshot = with_spans_dropped(lake_of(tmp_path, [gpt(start_unix_ns=MONDAY)]))
    for question in (Question(("hour",)), Question(end_unix_ns=MONDAY + HOUR), Question(("attribute:x",))):
        rolled = roll_up(snapshot, question)
        assert rolled.total.calls == 0
        assert "days whose spans were dropped are not in this" in rolled.notes[0]


def test_figures_of_two_methods_are_never_added_up(tmp_path: Path) -> None:
    snapshot = lake_of(tmp_path, [gpt(start_unix_ns=MONDAY)], [gpt(start_unix_ns=MONDAY + DAY)])
    monday, tuesday = snapshot.manifest.segments
    mixed = Snapshot(
        tmp_path, replace(snapshot.manifest, segments=(monday, replace(tuesday, factor_type="direct")))
    )
    question = Question(("model",))
    direct, lifecycle = kinds(mixed, question)
    assert (direct.factor_type, lifecycle.factor_type) == ("direct", "lifecycle")
    with pytest.raises(MixedKindsError, match="never added up"):
        roll_up(mixed, question)
    for kind in (direct, lifecycle):
        assert roll_up(mixed, question, kind).total.calls == 1
    assert roll_up(mixed, Question(end_unix_ns=MONDAY + DAY)).kind == lifecycle


def test_another_set_of_estimates_is_read_in_the_place_of_the_resident_one(tmp_path: Path) -> None:
    snapshot = lake_of(tmp_path, [Span("ask", [gpt(), gpt(2_000)])])
    (segment,) = snapshot.manifest.segments
    rows = pq.read_table(tmp_path / segment.file, columns=ESTIMATES.names)
    doubled = rows.set_column(
        rows.schema.get_field_index("energy_kwh"),
        "energy_kwh",
        [[None if value is None else 2 * value for value in rows.column("energy_kwh").to_pylist()]],
    )
    file = "estimates/twice/1.parquet"
    (tmp_path / file).parent.mkdir(parents=True)
    pq.write_table(doubled, tmp_path / file)
    manifest = replace(
        snapshot.manifest,
        segments=(replace(segment, estimates={"twice": file}),),
        sets=(EstimateSet("twice", "2027.02", "0" * 64, "average", "lifecycle"),),
    )
    other = Snapshot(tmp_path, manifest)
    resident, twice = (roll_up(other, Question(("model",), estimate_set=name)) for name in (None, "twice"))
    assert twice.total.energy_kwh.central == pytest.approx(2 * resident.total.energy_kwh.central, rel=1e-12)
    assert twice.kind is not None
    assert twice.kind.edition == "2027.02"
    with pytest.raises(QueryError, match="no estimates called 'thrice'; it has twice"):
        roll_up(other, Question(estimate_set="thrice"))
    bare = Snapshot(tmp_path, replace(manifest, segments=(segment,)))
    with pytest.raises(QueryError, match="do not cover all of this period"):
        roll_up(bare, Question(estimate_set="twice"))


def test_an_empty_lake_has_an_empty_answer(tmp_path: Path) -> None:
    rolled = roll_up(
        Snapshot(tmp_path, replace(lake_of(tmp_path, [gpt()]).manifest, segments=())), Question(("day",))
    )
    assert (rolled.groups, rolled.kind, rolled.total.calls) == ((), None, 0.0)
    assert rolled.as_dict()["total"]["coverage"] == {"energy": None, "carbon": None, "cost": None}


def test_retention_leaves_the_same_figures_behind(tmp_path: Path) -> None:
    traces = [
        [Span("ask", [gpt(start_unix_ns=MONDAY + day * DAY)], start_unix_ns=MONDAY + day * DAY)]
        for day in (0, 0, 1, 4)
    ]
    before = roll_up(lake_of(tmp_path, *traces), Question(("day", "feature"), percentiles=True)).as_dict()
    sealer, settings = Sealer(ESTIMATOR, FeatureRules(), 1.0), LakeSettings(retention_days=3)
    with LakeWriter(tmp_path, sealer, settings) as writer:
        assert retire(writer, dt.date(2026, 11, 28), cells_of) == ["2026-11-23", "2026-11-24"]
        assert retire(writer, dt.date(2026, 11, 28), cells_of) == []
    snapshot = open_snapshot(tmp_path)
    assert [segment.day for segment in snapshot.manifest.segments] == ["2026-11-27"]
    assert [day.day for day in snapshot.manifest.retired] == ["2026-11-23", "2026-11-24"]
    after = roll_up(snapshot, Question(("day", "feature"), percentiles=True)).as_dict()
    assert _close(after, before)
