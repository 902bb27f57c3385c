from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattspan.calls import Factor, SpreadClass
from wattspan.lake.spread import read, written

FACTORS = st.lists(st.builds(Factor, st.text(), st.floats(0, 3)), max_size=4).map(tuple)


@given(FACTORS, FACTORS)
def test_every_spread_reads_back_bit_for_bit(energy: tuple[Factor, ...], other: tuple[Factor, ...]) -> None:
    for spread in (SpreadClass(energy, energy + other), SpreadClass(energy, other)):
        assert read(written(spread)) == spread


def test_the_text_can_be_read_by_anyone() -> None:
    method, zone = Factor("method", 0.5), Factor("zone:FR", 0.0625)
    assert (
        written(SpreadClass((method,), (method, zone)))
        == '{"energy":[["method",0.5]],"grid":[["zone:FR",0.0625]]}'
    )
    assert written(SpreadClass((), ())) == ""


@pytest.mark.parametrize(
    "text", ["x", "[]", '{"energy":[["a"]]}', '{"energy":[]}', '{"energy":[["a","b"]],"grid":[]}']
)
def test_a_text_that_is_no_spread_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a spread"):
        read(text)
