"""Token counts and energies of spans: numbers in any spelling, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wattspan.otlp.dialects.embedded import allowed_counts, allowed_energy, whole_number
from wattspan.otlp.dialects.table import Table
from wattspan.otlp.dialects.view import Codes, Flags, Floats, Ints, View
from wattspan.otlp.wire import ARRAY, BOOL, BYTES, DOUBLE, INT, KVLIST, STRING


@dataclass(frozen=True, slots=True)
class Problem:
    """An attribute that could not be used; the rest of its span was."""

    span: int
    """Row of the span in its table."""
    key: str
    """The attribute, with the path inside it where it holds an object."""
    found: str
    """What was there, shortened."""
    allowed: str
    """What may be there."""

    def __str__(self) -> str:
        return f"span {self.span}: {self.key} is {self.found}, which must be {self.allowed}; it was ignored"


@dataclass(slots=True)
class Count:
    """One count of each span: `values` int64[n], 0 where not `present`."""

    values: Ints
    present: Flags


_KINDS = {BOOL: "a truth value", ARRAY: "an array", KVLIST: "a map", BYTES: "bytes"}


def read_counts(view: View, fields: Sequence[str], rules: Table, problems: list[Problem]) -> dict[str, Count]:
    """The counts of `fields` that at least one span of the table carries.

    Whole numbers from 0 to the table's limit count, also as doubles and texts. Anything else is a problem,
    and the next key of the field is tried.
    """
    carried = [field for field in fields if field in view.carried]
    if not carried:
        return {}
    at = np.concatenate([view.first(field) for field in carried])
    spans = view.spans
    kind = spans.value_type[at]
    number = spans.value_double[at]
    present = at >= 0
    good = present & ((kind == INT) | (kind == DOUBLE)) & (number >= 0) & (number <= rules.most_tokens)
    # NaN fails the comparisons above, so the cast sees finite numbers only.
    values = np.where(good, number, 0.0).astype(np.int64)
    good &= values == number
    odd = np.flatnonzero(present & ~good)
    if len(odd):
        values[odd] = 0
        _mend(view, carried, odd, values, good, rules, problems)
    shape = (len(carried), view.n)
    values, good = values.reshape(shape), good.reshape(shape)
    return {field: Count(values[line], good[line]) for line, field in enumerate(carried)}


def _mend(
    view: View,
    carried: Sequence[str],
    odd: Ints,
    values: Ints,
    good: Flags,
    rules: Table,
    problems: list[Problem],
) -> None:
    rows = np.arange(view.spans.n)[view.rows]
    for place in odd.tolist():
        field, row = carried[place // view.n], place % view.n
        for key in view.carried[field]:
            at = int(view.spans.span_index.values[view.spans.span_index.line[key], rows[row]])
            if at < 0:
                continue
            value, shown = _value(view, at)
            if value == "":
                continue
            count = whole_number(value, rules.most_tokens)
            if count is not None:
                values[place], good[place] = count, True
                break
            problems.append(Problem(int(rows[row]), view.key(key), shown, allowed_counts(rules)))


def _value(view: View, at: int) -> tuple[object, str]:
    spans = view.spans
    kind = int(spans.value_type[at])
    if kind == INT:
        number = int(spans.value_int[at])
        return number, str(number)
    if kind == DOUBLE:
        return float(spans.value_double[at]), repr(float(spans.value_double[at]))
    if kind == STRING:
        raw = spans.texts[int(spans.value_text[at])]
        text = raw[:80].decode("utf-8", "replace").strip()
        return (text if len(raw) <= 80 else text + "..."), repr(text)
    return ("", "") if kind == 0 else (None, _KINDS[kind])


def read_energy(view: View, rules: Table, problems: list[Problem]) -> tuple[Floats, Flags]:
    """Energy that the spans carry, kWh (NaN where none), and whether it was metered by the user."""
    energy_kwh = np.full(view.n, np.nan)
    is_measured = np.zeros(view.n, dtype=np.bool_)
    if "energy" not in view.carried:
        return energy_kwh, is_measured
    rows = np.arange(view.spans.n)[view.rows]
    by_key = {energy.key: energy for energy in rules.energy}
    for place in view.carried["energy"]:
        energy = by_key[view.key(place)]
        at = view.at(place)
        wanted = (at >= 0) & np.isnan(energy_kwh)
        ours = view.has(energy.unless) if energy.unless else None
        if ours is not None:
            wanted &= ~ours
        for row in np.flatnonzero(wanted).tolist():
            value, shown = _value(view, int(at[row]))
            if value == "":
                continue
            number = _number(value) * energy.kwh
            if 0 <= number <= rules.most_energy_kwh:
                energy_kwh[row], is_measured[row] = number, energy.is_measured
            else:
                problems.append(Problem(int(rows[row]), energy.key, shown, allowed_energy(rules)))
    return energy_kwh, is_measured


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, int | float | str) else float("nan")
    except ValueError:
        return float("nan")


def fold(
    counts: dict[str, Count], cache_outside: Codes, reasoning_outside: Codes, n: int
) -> tuple[Count, Count, Count, Count, Count]:
    """Input, output, cache read, cache write and reasoning such that input has the cache and output the
    reasoning.

    `cache_outside`, `reasoning_outside`: int32[n], 1 = left out, -1 = inside, 0 = the numbers decide: a part
    that is larger than its whole was left out, and so was one without which the total is not reached. Where
    only the total of an input or output without parts is known it is used.
    """
    nothing = Count(np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_))
    whole = {
        name: counts.get(name, nothing)
        for name in ("input", "output", "cache_read", "cache_write", "reasoning")
    }
    total = counts.get("total")
    cached = None
    if "cache_read" in counts or "cache_write" in counts:
        cached = whole["cache_read"].values + whole["cache_write"].values
    if total is not None:
        _from_total(whole, total)
    if cached is not None and cached.any():
        whole["input"] = _with_part(whole["input"], cached, cache_outside, whole["output"], total)
    if "reasoning" in counts and whole["reasoning"].values.any():
        part = whole["reasoning"].values
        whole["output"] = _with_part(whole["output"], part, reasoning_outside, whole["input"], total)
    _drop_parts_without_whole(whole)
    return whole["input"], whole["output"], whole["cache_read"], whole["cache_write"], whole["reasoning"]


def output_from_total(counts: dict[str, Count], where: Flags) -> Count:
    """Output tokens: the total less the input `where` that is more than the span says."""
    total, input = counts["total"], counts["input"]
    said = counts.get("output", Count(np.zeros_like(total.values), np.zeros_like(total.present)))
    rest = total.values - input.values
    more = where & total.present & input.present & (rest > said.values)
    return Count(np.where(more, rest, said.values), said.present | more)


def _with_part(whole: Count, part: Ints, outside: Codes, other: Count, total: Count | None) -> Count:
    left_out = (outside > 0) | (part > whole.values)
    if total is not None:
        reached = total.values - other.values - whole.values
        left_out |= (outside == 0) & total.present & (reached == part)
    left_out &= whole.present
    return Count(whole.values + part * left_out, whole.present) if left_out.any() else whole


def _drop_parts_without_whole(whole: dict[str, Count]) -> None:
    # A span that has reasoning tokens and no output (Vercel's steps) says nothing about a call.
    for name, parts in (("input", ("cache_read", "cache_write")), ("output", ("reasoning",))):
        lost = ~whole[name].present
        for part in parts:
            if (lost & whole[part].present).any():
                whole[part] = Count(np.where(lost, 0, whole[part].values), whole[part].present & ~lost)


def _from_total(whole: dict[str, Count], total: Count) -> None:
    for name, other in (("input", "output"), ("output", "input")):
        known = whole[other]
        missing = total.present & ~whole[name].present & known.present & (total.values >= known.values)
        if missing.any():
            rest = np.where(missing, total.values - known.values, whole[name].values)
            whole[name] = Count(rest, whole[name].present | missing)
