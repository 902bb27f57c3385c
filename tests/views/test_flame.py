"""Flame graphs: sums of subtrees, bands whose shared errors stay, folding, what changed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.views.frame_trees import F, frames_of
from wattspan.calls import Column
from wattspan.views.flame import MOST_FRAMES, flame
from wattspan.views.flame_change import change
from wattspan.views.frames import Figures, Frames

ASK = F(
    "ask",
    own_ns=5e6,
    children=(
        F("retrieve", own_ns=2e6),
        F(
            "answer",
            own_ns=1e6,
            children=(
                F("chat a", 0.002, 0.8, 0.01, 1200, 3e9),
                F("chat b", 0.001, 0.1, 0.02, 300, 1e9, evidence="open", region="eu-north-1"),
            ),
        ),
    ),
)


def test_a_subtree_is_the_sum_of_what_is_in_it() -> None:
    graph = flame(frames_of(ASK))
    energy, carbon, cost, tokens, time = graph.total
    assert energy.tolist() == pytest.approx([0.003, 0, 0.003, 0.002, 0.001], abs=1e-15)
    assert carbon.tolist() == pytest.approx([0.9, 0, 0.9, 0.8, 0.1])
    assert cost.tolist() == pytest.approx([0.03, 0, 0.03, 0.01, 0.02])
    assert tokens.tolist() == [1500, 0, 1500, 1200, 300]
    assert time.tolist() == [4_008_000_000, 2_000_000, 4_001_000_000, 3e9, 1e9]


def test_intensity_is_carbon_over_energy_and_absent_where_there_is_none() -> None:
    intensity = flame(frames_of(ASK)).intensity_g_per_kwh
    assert intensity[[0, 3, 4]].tolist() == pytest.approx([300, 400, 100])
    assert np.isnan(intensity[1])


def test_what_most_of_the_energy_has_is_named_and_whether_it_is_all() -> None:
    graph = flame(frames_of(ASK))
    assert graph.evidence.text.texts() == ["closed", "", "closed", "closed", "open"]
    assert graph.evidence.is_only.tolist() == [False, True, False, True, True]
    assert graph.region.text.texts()[4] == "eu-north-1"


def test_a_shared_error_does_not_average_out_in_a_subtree() -> None:
    # one error of x2, shared by both calls: 2^1.64 = 3.1167 each way, for a call and for their sum
    graph = flame(frames_of(ASK))
    assert graph.energy.high[[0, 3]].tolist() == pytest.approx([0.0093500, 0.0062333], rel=1e-4)
    assert graph.energy.low[[0, 3]].tolist() == pytest.approx([0.00096257, 0.00064171], rel=1e-4)
    assert graph.energy.high[1] == 0


def test_errors_of_their_own_average_out_in_a_subtree() -> None:
    two = F(
        "ask",
        children=(F("a", 1.0, errors=(("model:a", 2.0),)), F("b", 1.0, errors=(("model:b", 2.0),))),
    )
    graph = flame(frames_of(two))
    # s^2 = ln(1 + (e^0.480453 - 1) / 2) = 0.26881, mean 2 x 1.271537: 2.54307 exp(-0.13440 +- 1.64 x 0.51847)
    assert graph.energy.low[0] == pytest.approx(0.9500, rel=1e-3)
    assert graph.energy.high[0] == pytest.approx(5.2031, rel=1e-3)


def test_small_subtrees_of_large_traces_are_folded_and_nothing_is_lost() -> None:
    n = MOST_FRAMES + 10
    depth = np.array([0, 1, 1, *[2] * (n - 3)], dtype=np.int32)
    own = np.zeros((5, n))
    own[0, 1], own[0, 3:] = 1000.0, 0.001
    own[0, 4] = 40.0
    frames = Frames(
        name=Column.of(["root", "big", "many", *["small"] * (n - 3)]),
        depth=depth,
        own=own,
        figures=Figures(
            np.flatnonzero(own[0]),
            own[0][own[0] > 0],
            np.zeros(n - 2),
            Column.constant("closed", n - 2),
            Column.constant("", n - 2),
            Column.constant("", n - 2),
            Column.constant("", n - 2),
        ),
        span_id=np.arange(n, dtype=np.uint64),
    )
    graph = flame(frames)
    assert graph.frames.name.texts() == ["root", "big", "many", "other", "small"]
    assert graph.folded == n - 5
    assert graph.total[0].tolist() == pytest.approx([1090.006, 1000, 90.006, 50.006, 40])
    assert graph.frames.span_id.tolist() == [0, 1, 2, 0, 4]


def test_what_changed_has_both_sides_and_shows_what_is_gone() -> None:
    before = F("week 1", children=(F("search", 2.0), F("chat", 3.0)))
    after = F("week 2", children=(F("chat", 4.5), F("plan", 1.0)))
    found = change(frames_of(before), frames_of(after))
    assert found.frames.name.texts() == ["week 2", "chat", "plan", "search"]
    assert found.before[0].tolist() == [5, 3, 0, 2]
    assert found.after[0].tolist() == [5.5, 4.5, 1, 0]
    assert found.frames.own[0].tolist() == [0, 4.5, 1, 2]
    assert found.share[0].tolist() == pytest.approx([0.5 / 5.5, 1 / 3, 1, -1])
