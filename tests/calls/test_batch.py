import math

import numpy as np
import pytest

from wattspan.calls import CallBatch, Column


def test_text_columns_are_coded_in_order_of_appearance():
    column = Column.of(["b", "", "a", "b"])
    assert column.names == ("", "b", "a")
    assert column.codes.tolist() == [1, 0, 2, 1]
    assert column.texts() == ["b", "", "a", "b"]


def test_concatenated_columns_share_one_dictionary():
    column = Column.concatenate([Column.of(["x", "y"]), Column.of(["y", "", "z"])])
    assert column.texts() == ["x", "y", "y", "", "z"]
    assert column.names == ("", "x", "y", "z")


def test_what_is_not_given_is_empty_and_usage_is_assumed():
    calls = CallBatch.of(2, input_tokens=[3, 4], model="gpt-4o")
    assert calls.output_tokens.tolist() == [0, 0]
    assert calls.has_usage.tolist() == [True, True]
    assert math.isnan(calls.reported_energy_kwh[0])
    assert calls.model.texts() == ["gpt-4o", "gpt-4o"]
    assert calls.provider.texts() == ["", ""]


def test_an_unknown_column_is_refused_by_name():
    with pytest.raises(ValueError, match=r"unknown columns \['tokens'\]"):
        CallBatch.of(1, tokens=3)


def test_columns_of_unequal_length_are_refused():
    calls = CallBatch.of(2)
    with pytest.raises(ValueError, match="column provider has 3 rows, input_tokens has 2"):
        CallBatch(
            **{
                **{name: getattr(calls, name) for name in calls.__slots__},
                "provider": Column.constant("x", 3),
            }
        )


def test_taking_and_joining_rows_keeps_them_whole():
    calls = CallBatch.of(3, input_tokens=[1, 2, 3], model=["a", "b", "c"], is_error=[False, True, False])
    back = CallBatch.concatenate([calls.take(np.array([2])), calls.take(np.array([0, 1]))])
    assert back.input_tokens.tolist() == [3, 1, 2]
    assert back.model.texts() == ["c", "a", "b"]
    assert back.is_error.tolist() == [False, False, True]
