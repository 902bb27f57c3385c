"""Daily rows as they are sealed: the same rows give the same bytes, and anything else is named."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.disclosure.sealed_rows import cell, sealed
from wattspan.disclosure.cells import (
    COLUMNS,
    CellsError,
    read_cells,
    read_requests,
    write_cells,
    write_requests,
)
from wattspan.estimator.moments import Moments

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
sums = st.builds(Moments, *[st.integers(0, 10**40)] * 7)


@given(
    st.lists(
        st.builds(
            lambda a, b, m, w: cell(feature=a, model=b, moments=m, weighted=w), texts, texts, sums, sums
        )
    )
)
def test_rows_come_back_as_they_went_in(rows) -> None:
    data = write_cells(rows)
    assert write_cells(read_cells(data)) == data
    assert sorted(read_cells(data), key=lambda c: c.key) == sorted(rows, key=lambda c: c.key)


def test_the_order_of_rows_does_not_change_the_bytes() -> None:
    rows = [cell(day=f"2026-07-{day:02}") for day in (3, 1, 2)]
    assert write_cells(rows) == write_cells(reversed(rows))


def test_requests_come_back_as_they_went_in() -> None:
    counts = sealed(cell()).requests
    assert read_requests(write_requests(counts)) == list(counts)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.replace("calls,rows", "calls,row"), "line 1: found columns"),
        (lambda t: t.replace(",100000000,100,", ",-5,100,"), "line 2, calls: found '-5'"),
        (lambda t: t.replace(",100000000,100,", ",1e8,100,"), "line 2, calls: found '1e8'"),
        (lambda t: t.replace(",100000000,100,", ",١٢,100,"), "line 2, calls: found '١٢'"),
        (lambda t: t + "a,b\n", f"line 3: 2 cells, not {len(COLUMNS)}"),
        (lambda t: t + '"open', "not a CSV file"),
        (lambda t: t + "a," + "9" * 90 + "\n", "line 3"),
    ],
)
def test_a_damaged_row_is_named(damage, message) -> None:
    text = damage(write_cells([cell()]).decode())
    with pytest.raises(CellsError, match=re.escape(message)):
        read_cells(text.encode())


def test_no_column_holds_prompts_or_users() -> None:
    assert not {"user", "prompt", "session", "trace"} & {part for c in COLUMNS for part in c.split("_")}


def test_what_tells_rows_apart_is_in_their_key() -> None:
    one = cell()
    for name in ("day", "feature", "region", "zone", "vector", "spread", "sampling", "direct"):
        assert replace(one, **{name: "other"}).key != one.key
