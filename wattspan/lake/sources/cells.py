"""Cells of a table as numbers, times and texts: what each holds, what is missing, what is wrong."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from wattspan.calls import Column

Values = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]

MISSING_WORDS: Final = frozenset({"", r"\n", "null", "none", "nan", "n/a", "na"})
"""Texts that mean that there is no value, in lower case: of CSV files, ClickHouse (\\N) and pandas."""

_TRUTHS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "error", "failed", "failure"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "ok", "success", "succeeded"), False),
}
_LEAST_YEAR, _MOST_YEAR = 1990, 2200
_LEAST_NS = int(dt.datetime(_LEAST_YEAR, 1, 1, tzinfo=dt.UTC).timestamp()) * 10**9
_MOST_NS = int(dt.datetime(_MOST_YEAR, 1, 1, tzinfo=dt.UTC).timestamp()) * 10**9
TIMES_ALLOWED: Final = (
    f"a time of {_LEAST_YEAR} to {_MOST_YEAR - 1}: ISO 8601 (without a zone it is UTC), or seconds, milli-, "
    "micro- or nanoseconds since 1970"
)
TRUTHS_ALLOWED: Final = "true, false, yes, no, 1, 0, ok, error"
TEXTS_ALLOWED: Final = "text in UTF-8 (for another encoding give --encoding)"


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A column read as one kind of value; all three of length n."""

    values: Values
    """0 where there is none."""
    missing: Flags
    """The cell is empty."""
    bad: Flags
    """The cell holds something that is not allowed."""


def is_nested(kind: pa.DataType) -> bool:
    """Whether cells of this type hold lists, maps or structures."""
    return bool(pa.types.is_nested(kind))


def whole_numbers(column: pa.Array, most: int) -> Cells:
    """Whole numbers in [0, most], also written as "12.0"."""
    return _numbers(column, np.dtype(np.int64), most)


def decimals(column: pa.Array, most: float) -> Cells:
    """Finite numbers in [0, most] as float64."""
    return _numbers(column, np.dtype(np.float64), most)


def times(column: pa.Array) -> Cells:
    """Nanoseconds since 1970 UTC: from timestamps, dates, ISO 8601 texts (no zone: UTC) or numbers.

    A number's size tells its unit: seconds, milli-, micro- and nanoseconds since 1970 do not overlap between
    1990 and 2199.
    """
    column = _decoded(column)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _checked_times(_cast(column, pa.timestamp("ns")))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _epochs(_numbers(column, np.dtype(np.float64), math.inf), column)
    if not _is_text(kind):
        return _all_bad(column, np.dtype(np.int64))
    for target in (pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
        try:
            return _checked_times(pc.cast(_without_empty(column), target))
        except pa.ArrowInvalid:
            continue
    return _each(column, _time, np.dtype(np.int64))


def truths(column: pa.Array) -> Cells:
    """True or false, in words or as 1 and 0."""
    column = _decoded(column)
    if pa.types.is_boolean(column.type):
        missing = _nulls(column)
        values = pc.fill_null(column, False).to_numpy(zero_copy_only=False)
        return Cells(values, missing, np.zeros(len(column), dtype=np.bool_))
    if pa.types.is_integer(column.type):
        numbers = _numbers(column, np.dtype(np.int64), 1)
        return Cells(numbers.values == 1, numbers.missing, numbers.bad)
    return _each(column, _truth, np.dtype(np.bool_))


def texts(column: pa.Array) -> tuple[Column, Flags]:
    """Texts, "" where there is none, and which cells are none; numbers are written out."""
    n = len(column)
    if pa.types.is_dictionary(column.type):
        coded = column
    else:
        if not _is_text(column.type) and not is_nested(column.type):
            column = pc.cast(column, pa.string())
        if not _is_text(column.type):
            return Column.constant("", n), np.ones(n, dtype=np.bool_)
        coded = pc.dictionary_encode(column)
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    index: dict[str, int] = {"": 0}
    of_code = np.zeros(len(coded.dictionary) + 1, dtype=np.int32)
    is_bad = np.zeros(len(of_code), dtype=np.bool_)
    for code, text in enumerate(coded.dictionary.to_pylist()):
        decoded = _utf8(text)
        is_bad[code] = decoded is None
        of_code[code] = index.setdefault((decoded or "").strip(), len(index))
    return Column(of_code[codes], tuple(index)), is_bad[codes]


def shown(value: object) -> str:
    """A cell as an error message quotes it."""
    if isinstance(value, bytes):
        value = _utf8(value) or value
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _utf8(text: object) -> str | None:
    if not isinstance(text, bytes):
        return "" if text is None else str(text)
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _nulls(column: pa.Array) -> Flags:
    nulls: Flags = column.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    return nulls


def _all_bad(column: pa.Array, dtype: np.dtype[Any]) -> Cells:
    missing = _nulls(column) if not pa.types.is_null(column.type) else np.ones(len(column), dtype=np.bool_)
    return Cells(np.zeros(len(column), dtype=dtype), missing, ~missing)


def _cast(column: pa.Array, target: pa.DataType) -> pa.Array:
    # Times outside the range of nanoseconds overflow; they are found out by their year.
    return pc.cast(column, target, safe=False)


def _without_empty(column: pa.Array) -> pa.Array:
    """The texts, null where they are empty. Raises ArrowInvalid for what is not UTF-8."""
    texts = column if pa.types.is_string(column.type) else pc.cast(column, pa.string())
    is_empty = pc.equal(pc.binary_length(texts), 0)
    return pc.if_else(is_empty, None, texts) if pc.any(is_empty).as_py() else texts


def _numbers(column: pa.Array, dtype: np.dtype[Any], most: float) -> Cells:
    column = _decoded(column)
    kind = column.type
    target = pa.from_numpy_dtype(dtype)
    if pa.types.is_null(kind) or pa.types.is_boolean(kind) or is_nested(kind):
        return _all_bad(column, dtype)
    try:
        if _is_text(kind):
            read = pc.cast(_without_empty(column), target)
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            column = pc.if_else(pc.is_nan(column), None, column) if pa.types.is_floating(kind) else column
            read = pc.cast(column, target)
        else:
            return _all_bad(column, dtype)
    except pa.ArrowInvalid:
        return _each(column, lambda value: _number(value, dtype, most), dtype)
    missing = _nulls(read)
    if missing.any():
        read = pc.fill_null(read, 0)
    values = read.to_numpy(zero_copy_only=False)
    bad = ~((values >= 0) & (values <= most))
    if bad.any():
        values = np.where(bad, dtype.type(0), values)
    return Cells(values, missing, bad)


def _number(value: object, dtype: np.dtype[Any], most: float) -> float | int | None:
    """A cell as a number; None where it is none. Raises ValueError for what is not allowed."""
    text = _utf8(value)
    if text is None:
        raise ValueError("not UTF-8")
    text = text.strip()
    if text.lower() in MISSING_WORDS:
        return None
    if not text.isascii() or "_" in text or len(text) > 40:
        raise ValueError("not a number")
    number = float(text)
    if not 0 <= number <= most:
        raise ValueError("out of range")
    if dtype.kind == "f":
        return number
    if number != math.floor(number):
        raise ValueError("not whole")
    return int(number)


def _truth(value: object) -> bool | None:
    text = (_utf8(value) or "").strip().lower()
    if text in MISSING_WORDS:
        return None
    if text not in _TRUTHS:
        raise ValueError("neither true nor false")
    return _TRUTHS[text]


def _time(value: object) -> int | None:
    text = _utf8(value)
    if text is None:
        raise ValueError("not UTF-8")
    text = text.strip()
    if text.lower() in MISSING_WORDS:
        return None
    target = pa.timestamp("ns")
    if text[-1] in "Zz" or (len(text) > 10 and ("+" in text[10:] or "-" in text[10:])):
        target = pa.timestamp("ns", "UTC")
    try:
        found = pc.cast(pa.array([text.replace("z", "Z")]), target).cast(pa.int64())[0].as_py()
    except pa.ArrowInvalid:
        found = _epoch_ns(float(text))
    if not _LEAST_NS <= found < _MOST_NS:
        raise ValueError("out of range")
    return int(found)


def _each(column: pa.Array, read: Callable[[object], Any], dtype: np.dtype[Any]) -> Cells:
    """Cell by cell: for columns in which at least one is out of the ordinary."""
    n = len(column)
    values = np.zeros(n, dtype=dtype)
    missing, bad = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    for row, cell in enumerate(column.to_pylist()):
        try:
            value = None if cell is None else read(cell)
        except (ValueError, OverflowError):
            bad[row] = True
            continue
        if value is None:
            missing[row] = True
        else:
            values[row] = value
    return Cells(values, missing, bad)


def _checked_times(stamps: pa.Array) -> Cells:
    missing = _nulls(stamps)
    values = pc.fill_null(stamps.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    bad = ~missing & ~((values >= _LEAST_NS) & (values < _MOST_NS))
    return Cells(np.where(bad, 0, values), missing, bad)


def _epochs(numbers: Cells, column: pa.Array) -> Cells:
    seconds = numbers.values
    unit_ns = np.select([seconds < 1e11, seconds < 1e14, seconds < 1e17], [10**9, 10**6, 10**3], 1)
    whole = column
    if pa.types.is_integer(column.type) and len(column):
        exact = pc.fill_null(whole, 0).to_numpy(zero_copy_only=False).astype(np.int64)
        values = exact * unit_ns
    else:
        values = np.rint(seconds * unit_ns).astype(np.int64)
    bad = numbers.bad | (~numbers.missing & ~((values >= _LEAST_NS) & (values < _MOST_NS)))
    return Cells(np.where(bad | numbers.missing, 0, values), numbers.missing, bad)


def _epoch_ns(number: float) -> int:
    for limit, unit_ns in ((1e11, 10**9), (1e14, 10**6), (1e17, 10**3)):
        if number < limit:
            return round(number * unit_ns)
    return round(number)
