"""A formula run over columns in one pass gives the digits that numpy gives, operator by operator."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattspan.calls import CallBatch
from wattspan.estimator import Estimator, program
from wattspan.estimator.program import OPERATIONS, Program

needs_runner = pytest.mark.skipif(not program.HAS_RUNNER, reason="the runner is not built")

NUMBERS = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1.0, math.inf, math.nan]))
COLUMNS = {"x": "float64", "n": "int64", "yes": "bool"}


def formula_of(steps: list[tuple[int, int, int, int]]) -> Any:
    """A formula that takes `steps` one after the other: (operation, operands among the values so far)."""

    def formula(constants: Any, columns: Any, choose: Any) -> list[Any]:
        values = [*constants, columns["x"], columns["n"], choose(columns["yes"], 1.0, -0.0)]
        for code, *places in steps:
            a, b, c = (values[place % len(values)] for place in places)
            match OPERATIONS[code]:
                case "add":
                    values.append(a + b)
                case "subtract":
                    values.append(a - 2.5)
                case "multiply":
                    values.append(a * b)
                case "divide":
                    values.append(a / b)
                case "above":
                    values.append(choose(a > b, c, 7.0))
                case "both":
                    values.append(choose((a > b) & columns["yes"], a, c))
                case "invert":
                    values.append(choose(~(a > b), math.nan, b))
                case "choose":
                    values.append(choose(columns["yes"], b, c))
        return values[2:]

    return formula


def bits(columns: Any) -> list[list[bytes]]:
    """The columns to the bit; all NaN are one."""
    return [[b"nan" if v != v else struct.pack("<d", v) for v in c.tolist()] for c in columns]


@needs_runner
@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(OPERATIONS) - 1), *(st.integers(0, 40) for _ in range(3))),
        min_size=1,
        max_size=30,
    ),
    st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=4),
    st.lists(st.tuples(NUMBERS, st.integers(-(2**63), 2**63 - 1), st.booleans()), max_size=5),
    st.sampled_from([1, 40, 129]),
    st.lists(st.integers(-3, 0), max_size=3),
)
def test_a_formula_has_the_same_digits_in_one_pass_as_by_numpy(steps, plans, rows, times, wanted):
    made = Program(formula_of(steps), 2, COLUMNS, [0, len(steps), *wanted])
    rows = rows * times
    columns = {
        "x": np.array([row[0] for row in rows], dtype=np.float64),
        "n": np.array([row[1] for row in rows], dtype=np.int64),
        "yes": np.array([row[2] for row in rows], dtype=np.bool_),
    }
    table = np.array(plans).T.copy()
    lines = np.arange(len(rows)) % len(plans)
    with np.errstate(all="ignore"):
        by_numpy = made._by_numpy(table, lines, list(columns.values()))
    assert bits(made.over(table, lines, columns)) == bits(by_numpy)


def test_a_formula_by_hand():
    def formula(constants: Any, columns: Any, choose: Any) -> list[Any]:
        (rate,) = constants
        cost = columns["n"] * rate + 1.0
        return [cost, choose(columns["yes"] & (cost > 10.0), cost, math.nan), rate, columns["x"]]

    found = Program(formula, 1, COLUMNS, range(4)).over(
        np.array([[2.0, 3.0]]),
        np.array([0, 1, 1]),
        {"x": np.array([0.5, 1.5, 2.5]), "n": np.array([4, 5, 6]), "yes": np.array([True, True, False])},
    )
    assert bits(found) == bits(
        np.array([[9.0, 16.0, 19.0], [math.nan, 16.0, math.nan], [2.0, 3.0, 3.0], [0.5, 1.5, 2.5]])
    )


def test_a_formula_cannot_branch_on_a_column():
    with pytest.raises(TypeError, match=r"use choose\(condition, a, b\)"):
        Program(
            lambda constants, columns, choose: [1.0 if columns["x"] > 0 else 2.0], 0, {"x": "float64"}, [0]
        )


@needs_runner
def test_columns_of_another_type_or_length_are_refused():
    made = Program(lambda constants, columns, choose: [columns["x"] + constants[0]], 1, {"x": "float64"}, [0])
    table, lines = np.zeros((1, 2)), np.zeros(3, dtype=np.int64)
    with pytest.raises(ValueError, match=r"int64\[3\] was given where float64\[3\] is wanted"):
        made.over(table, lines, {"x": np.zeros(3, dtype=np.int64)})
    with pytest.raises(ValueError, match=r"float64\[2\] was given where float64\[3\] is wanted"):
        made.over(table, lines, {"x": np.zeros(2)})
    with pytest.raises(ValueError, match=r"row 1 has its constants in column 2 of 2"):
        made.over(table, np.array([0, 2, 0]), {"x": np.zeros(3)})
    with pytest.raises(ValueError, match=r"names what is not there"):
        program._program.run(struct.pack("5i", 0, 0, 0, 1, 0), 1, [], b"", table, lines, [])
    every_other = np.arange(6.0)[::2]
    assert made.over(table, lines, {"x": every_other})[0].tolist() == [0.0, 2.0, 4.0]


@needs_runner
def test_estimates_are_the_same_to_the_bit_without_the_runner(monkeypatch):
    rng = np.random.default_rng(3)
    n = 1000
    calls = CallBatch.of(
        n,
        model=[("gpt-4o", "claude-sonnet-4-5", "nobody-knows")[i % 3] for i in range(n)],
        provider="openai",
        input_tokens=rng.integers(0, 5000, n),
        cache_read_tokens=rng.integers(0, 2, n) * 0,
        output_tokens=rng.integers(0, 900, n),
        has_usage=rng.random(n) > 0.1,
        is_error=rng.random(n) > 0.8,
        reported_energy_kwh=np.where(rng.random(n) > 0.9, rng.random(n), np.nan),
        is_measured=rng.random(n) > 0.5,
        start_unix_ns=rng.integers(1_790_000_000 * 10**9, 1_795_000_000 * 10**9, n),
    )
    for resolution in ("annual", "typical-hour"):
        estimator = Estimator(resolution=resolution)
        one = estimator.estimate(calls)
        with monkeypatch.context() as patch:
            patch.setattr(program, "HAS_RUNNER", False)
            other = estimator.estimate(calls)
        names = [name for name in one.__slots__ if isinstance(getattr(one, name), np.ndarray)]
        assert len(names) == 15
        assert bits(getattr(one, name) for name in names) == bits(getattr(other, name) for name in names)
        assert one.basis.texts() == other.basis.texts()
        assert set(one.basis.texts()) == {"measured", "reported", "modelled", "no_usage", "failed"}
