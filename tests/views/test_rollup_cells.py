"""Cells answer as the rows do, whatever was asked and whatever happened to the lake before."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lakes import DAY, ESTIMATOR, HOUR, MONDAY, lake_of, lake_of_captures, with_cells
from span_trees import Span, call, rows_of

from wattspan.estimator import Estimator
from wattspan.lake import segments
from wattspan.lake.cells import add_cells
from wattspan.lake.check import check
from wattspan.lake.compact import compact, retire
from wattspan.lake.compute import ComputeSettings, ComputeSpans
from wattspan.lake.estimate_sets import estimate_as
from wattspan.lake.features import FeatureRules
from wattspan.lake.reader import Snapshot, open_snapshot
from wattspan.lake.rules import FeatureRule
from wattspan.lake.seal import Sealer
from wattspan.lake.settings import LakeSettings
from wattspan.lake.writer import LakeWriter
from wattspan.views.cells import cells_of
from wattspan.views.dimensions import NAMES, Filter
from wattspan.views.rollup import Question, roll_up
from wattspan.views.unknown import unknowns

RULES = FeatureRules(
    [FeatureRule(feature="Ask", span="ask*"), FeatureRule(feature="Find", span="find", service="s2")]
)
MODELS = (("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"), ("openai", "a-model-of-our-own"))
TOLERANCE = 1e-12
"""No addend is negative, so the order of n of them changes a sum by at most (n - 1) 2^-53 of it: 1e-13 for
the thousand rows of the largest lake here."""


def same(ours: object, theirs: object) -> None:
    """Equal to the digit; sums of floats to TOLERANCE."""
    if isinstance(ours, dict):
        assert isinstance(theirs, dict)
        assert ours.keys() == theirs.keys()
        for key in ours:
            same(ours[key], theirs[key])
    elif isinstance(ours, list):
        assert isinstance(theirs, list)
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            same(mine, other)
    elif isinstance(ours, float):
        assert math.isclose(ours, theirs, rel_tol=TOLERANCE)
    else:
        assert ours == theirs


def without_cells(snapshot: Snapshot) -> Snapshot:
    bare = tuple(replace(one, cells=None) for one in snapshot.manifest.segments)
    return Snapshot(snapshot.folder, replace(snapshot.manifest, segments=bare))


def answers_agree(snapshot: Snapshot, question: Question) -> None:
    assert all(one.cells is not None for one in snapshot.manifest.segments)
    ours, theirs = (roll_up(one, question).as_dict() for one in (snapshot, without_cells(snapshot)))
    # groups of the same energy may change places by the last digit of it
    for answer in (ours, theirs):
        answer["groups"].sort(key=lambda group: [str(group[name]) for name in question.by])
    same(ours, theirs)
    mine, others = (
        sorted((one.as_dict() for one in unknowns(lake, question)), key=lambda one: one["what"])
        for lake in (snapshot, without_cells(snapshot))
    )
    same(mine, others)


texts = st.sampled_from(("", "s1", "s2"))


@st.composite
def spans(draw: st.DrawFn, depth: int = 0) -> Span:
    start = MONDAY + draw(st.sampled_from((0, 1, DAY // 2, DAY - 1, DAY, 2 * DAY)))
    above = {
        "service": draw(texts),
        "agent": draw(st.sampled_from(("", "", "planner", "writer"))),
        "tool": draw(st.sampled_from(("", "", "search"))),
        "status": draw(st.sampled_from((0, 0, 2))),
        "kept": draw(st.sampled_from((np.nan, 1.0, 0.25, 0.1))),
        "start_unix_ns": start,
        "attributes": draw(st.sampled_from(({}, {"app.plan": "gold"}))),
    }
    if depth == 3 or draw(st.booleans()):
        provider, model = draw(st.sampled_from(MODELS))
        output = draw(st.integers(0, 2_000))
        tokens = {"input_tokens": draw(st.integers(0, 50_000)), "output_tokens": output}
        made = call(
            provider=provider,
            model=model,
            has_usage=draw(st.booleans()),
            reasoning_tokens=draw(st.integers(0, output)),
            **tokens,
            **above,
        )
        if draw(st.booleans()):
            # a copy above it, of another instrumentation, which knows more or less of it
            cached = tokens["input_tokens"] // 2
            copy = call(provider=provider, model=model, cache_read_tokens=cached, **tokens)
            return replace(copy, children=[made], start_unix_ns=start)
        return made
    children = draw(st.lists(spans(depth=depth + 1), max_size=3))
    return Span(draw(st.sampled_from(("ask one", "find", "work"))), children, **above)


traces = st.lists(st.lists(spans(), min_size=1, max_size=2), min_size=1, max_size=5)
bounds = st.none() | st.sampled_from(
    [MONDAY - DAY, MONDAY, MONDAY + 1, MONDAY + HOUR, MONDAY + DAY // 2, MONDAY + DAY, MONDAY + 3 * DAY]
)
filters = st.lists(
    st.builds(
        Filter,
        st.sampled_from(("feature", "model", "service", "agent", "provider", "tier", "attribute:app.plan")),
        st.sampled_from(("*", "", "s1", "gpt*", "Ask", "gold")),
        st.booleans(),
    ),
    max_size=2,
)
questions = st.builds(
    Question,
    st.lists(st.sampled_from((*NAMES, "attribute:app.plan")), unique=True, max_size=3).map(tuple),
    filters.map(tuple),
    bounds,
    bounds,
    st.none(),
    st.just(True),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    traces=traces,
    asked=st.lists(questions, min_size=1, max_size=4),
    rate=st.sampled_from((None, 1.0, 0.5)),
    has_compute=st.booleans(),
    piece=st.sampled_from((1, 3, 500)),
)
def test_any_question_has_one_answer_from_cells_and_from_rows(
    tmp_path_factory: pytest.TempPathFactory,
    traces: list[list[Span]],
    asked: list[Question],
    rate: float | None,
    has_compute: bool,
    piece: int,
) -> None:
    folder = tmp_path_factory.mktemp("lake")
    compute = ComputeSpans(ESTIMATOR, ComputeSettings()) if has_compute else None
    with pytest.MonkeyPatch.context() as patch:
        # traces lie across row groups, and cells come piece by piece
        patch.setattr(segments, "ROW_GROUP_ROWS", piece)
        patch.setattr(segments, "PIECE_ROWS", 2 * piece)
        with LakeWriter(folder, Sealer(ESTIMATOR, RULES, rate, compute)) as writer:
            writer.ingest([rows_of(*traces)[0]])
            writer.seal_all()
        snapshot = with_cells(open_snapshot(folder))
    for question in asked:
        answers_agree(snapshot, question)


def test_the_captures_have_one_answer_by_every_dimension(tmp_path: Path) -> None:
    snapshot = with_cells(lake_of_captures(tmp_path, RULES.rules))
    for name in NAMES:
        answers_agree(snapshot, Question((name,), percentiles=True))
    answers_agree(snapshot, Question(("day", "feature", "model", "agent", "tier")))


def gpt(tokens: int, day: int = 0, **columns: object) -> Span:
    start = MONDAY + day * DAY
    return call(
        provider="openai",
        model="gpt-4o",
        input_tokens=tokens,
        output_tokens=tokens // 10,
        start_unix_ns=start,
        **columns,
    )


@contextlib.contextmanager
def summed(folder: Path) -> Iterator[LakeWriter]:
    """A lake of three segments with cells, 12 calls in all."""
    with LakeWriter(folder, Sealer(ESTIMATOR, RULES, 1.0), LakeSettings(grace_s=0)) as writer:
        for number in range(3):
            tree = Span("ask", [gpt(1_000 + number), gpt(50, 1)], start_unix_ns=MONDAY)
            rows, _ = rows_of(*([tree] for _ in range(number + 1)))
            shifted = rows.trace_id.copy()
            shifted[:, 0] = number
            writer.ingest([replace(rows, trace_id=shifted)])
            writer.seal_all()
        assert add_cells(writer, cells_of, from_rows=1) == 3
        yield writer


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[tuple[Path, LakeWriter]]:
    with summed(tmp_path) as writer:
        yield tmp_path, writer


def agrees(folder: Path, calls: int) -> None:
    snapshot = open_snapshot(folder)
    for by in ((), ("feature",), ("day", "model"), ("hour",)):
        answers_agree(snapshot, Question(by, percentiles=True))
    assert roll_up(snapshot, Question()).total.recorded == calls
    assert check(folder).findings == []


def test_cells_follow_late_spans_compaction_and_other_estimates(lake: tuple[Path, LakeWriter]) -> None:
    folder, writer = lake
    agrees(folder, 12)
    late, _ = rows_of([Span("late", [gpt(70), gpt(80, 2)], start_unix_ns=MONDAY)])
    late = replace(late, trace_id=late.trace_id.copy(), span_id=late.span_id + np.uint64(100))
    late.trace_id[:, 0] = 1
    writer.ingest([late])
    writer.seal_all()
    # the rejoined trace and what is left of its old segment are new files: their rows are read until summed
    lacking = [one for one in writer.manifest.segments if one.cells is None]
    assert len(lacking) == 2
    assert roll_up(open_snapshot(folder), Question()).total.recorded == 14
    assert add_cells(writer, cells_of, from_rows=1) == 2
    writer.tick()
    agrees(folder, 14)
    direct = Sealer(Estimator(factor_type="direct"), RULES, 1.0)
    estimate_as("direct", writer, direct)
    agrees(folder, 14)
    question = Question(("model",), estimate_set="direct")
    other = roll_up(open_snapshot(folder), question).total
    assert other.recorded == 14
    assert other.co2e_g.central < roll_up(open_snapshot(folder), Question()).total.co2e_g.central
    assert compact(writer, everything=True) == 4
    assert add_cells(writer, cells_of, from_rows=1) == 1
    writer.tick()
    agrees(folder, 14)
    assert len([path for path in (folder / "cells").rglob("*") if path.is_file()]) == 1


def test_what_cells_say_is_not_read_from_rows(lake: tuple[Path, LakeWriter]) -> None:
    folder, writer = lake
    wanted = roll_up(open_snapshot(folder), Question(("day", "feature", "model"))).as_dict()
    for one in writer.manifest.segments:
        (folder / one.file).unlink()
    snapshot = open_snapshot(folder)
    same(roll_up(snapshot, Question(("day", "feature", "model"))).as_dict(), wanted)
    # half a day is answered from cells where the segment is wholly in it
    inside = Question(start_unix_ns=MONDAY - HOUR - 1, end_unix_ns=MONDAY + DAY + HOUR)
    assert roll_up(snapshot, inside).total.recorded == 12
    with pytest.raises(Exception, match=r"No files found|Cannot open|No such file"):
        roll_up(snapshot, Question(start_unix_ns=MONDAY + 1))


def test_small_segments_are_left_without_cells(tmp_path: Path) -> None:
    lake_of(tmp_path, [gpt(100)])
    with LakeWriter(tmp_path, Sealer(ESTIMATOR, RULES, 1.0)) as writer:
        assert add_cells(writer, cells_of) == 0


def test_damaged_cells_are_found_and_made_anew_from_the_rows(tmp_path: Path) -> None:
    folder = tmp_path
    with summed(folder) as writer:
        broken, missing, _ = (one.cells for one in writer.manifest.segments)
    assert broken is not None
    assert missing is not None
    data = bytearray((folder / broken.file).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / broken.file).write_bytes(data)
    (folder / missing.file).unlink()
    assert [(one.file, one.what) for one in check(folder).findings] == [
        (broken.file, "cells of a segment: not the bytes that were written"),
        (missing.file, "cells of a segment: cannot be read: No such file or directory"),
    ]
    assert [one.mended for one in check(folder, repair=True, cells=cells_of).findings] == ["made anew"] * 2
    agrees(folder, 12)
    (folder / broken.file).unlink()
    assert [one.mended for one in check(folder, repair=True).findings] == ["left out: the rows are read"]
    assert roll_up(open_snapshot(folder), Question()).total.recorded == 12


def test_spans_of_a_dropped_day_that_are_sent_again_change_nothing(tmp_path: Path) -> None:
    sealer, keep = Sealer(ESTIMATOR, RULES, 1.0), LakeSettings(retention_days=3)
    rows, _ = rows_of(
        [Span("ask", [gpt(100), gpt(200, 1)], start_unix_ns=MONDAY)], [gpt(300, 1)], [gpt(400, 4)]
    )
    with LakeWriter(tmp_path, sealer, keep) as writer:
        writer.ingest([rows])
        writer.seal_all()
        before = roll_up(open_snapshot(tmp_path), Question(("day",))).as_dict()
        assert retire(writer, dt.date(2026, 11, 28), cells_of) == ["2026-11-23", "2026-11-24"]
        for again in (rows, rows.take(np.array([2])), rows.take(np.array([3]))):
            writer.ingest([again])
            writer.seal_all()
        same(roll_up(open_snapshot(tmp_path), Question(("day",))).as_dict(), before)
        assert writer.retired_spans == 4 + 1 + 1
        # what was not in the lake when its day went is not in the sums either
        new = replace(rows.take(np.array([3])), trace_id=np.full((1, 16), 9, dtype=np.uint8))
        writer.ingest([new])
        writer.seal_all()
        assert retire(writer, dt.date(2026, 11, 28), cells_of) == ["2026-11-24"]
    assert roll_up(open_snapshot(tmp_path), Question()).total.recorded == 5
    assert check(tmp_path).findings == []


def test_a_lost_manifest_finds_the_sums_of_dropped_days_again(tmp_path: Path) -> None:
    lake_of(tmp_path, [gpt(100)], [gpt(200, 4)], rules=RULES.rules)
    keep = LakeSettings(retention_days=3)
    with LakeWriter(tmp_path, Sealer(ESTIMATOR, RULES, 1.0), keep) as writer:
        retire(writer, dt.date(2026, 11, 28), cells_of)
        retired = writer.manifest.retired
    before = roll_up(open_snapshot(tmp_path), Question(("day",))).as_dict()
    (tmp_path / "manifest.json").unlink()
    check(tmp_path, repair=True)
    assert open_snapshot(tmp_path).manifest.retired == retired
    same(roll_up(open_snapshot(tmp_path), Question(("day",))).as_dict(), before)
    (tmp_path / retired[0].cells.file).write_bytes(b"")
    assert [one.mended for one in check(tmp_path, repair=True).findings] == [
        "left out of the manifest, moved to damaged/",
        "deleted",
    ]
