"""Trace and span ids for rows that have none: of the same row always the same, of two rows never."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wattspan.calls import Column

Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

_MISSING: Final = np.uint64(0xA076_1D64_78BD_642F)
_GOLDEN: Final = np.uint64(0x9E37_79B9_7F4A_7C15)
_MIX: Final = np.uint64(0xD6E8_FEB8_6659_FD93)
_HALF: Final = np.uint64(32)


def text_hash(text: str) -> int:
    """64 bits of BLAKE2b of a text."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def text_hashes(column: Column) -> Hashes:
    """`text_hash` of each row of a column; each distinct text is hashed once."""
    return np.array([text_hash(name) for name in column.names], dtype=np.uint64)[column.codes]


def number_bits(values: npt.NDArray[Any], missing: Flags) -> Hashes:
    """The 64 bits of whole or decimal numbers; a missing one is unlike every number there is."""
    if values.dtype.kind == "f":
        bits = (values + 0.0).view(np.uint64)  # -0.0 is 0.0
    else:
        bits = values.astype(np.int64).view(np.uint64)
    return np.where(missing, _MISSING, bits) if missing.any() else bits


def row_hashes(label: str, fields: Iterable[tuple[str, Hashes]], n: int) -> Hashes:
    """uint64[2, n]: 128 bits of each row's content, from `label` and the named `fields` in their order."""
    halves = np.empty((2, n), dtype=np.uint64)
    halves[0] = text_hash(f"wattspan row, high, {label}")
    halves[1] = text_hash(f"wattspan row, low, {label}")
    for name, bits in fields:
        seed = np.uint64(text_hash(name))
        for half in halves:
            half ^= bits
            half += seed
            _stir(half)
    return halves


def ids(hashes: Hashes, occurrence: Ints) -> tuple[Bytes, Hashes]:
    """Trace ids uint8[n, 16] and span ids uint64[n] of rows by content and number among equal ones."""
    halves = hashes.copy()
    halves[1] += occurrence.view(np.uint64)
    _stir(halves[1])
    halves[0] ^= halves[1]
    _stir(halves[0])
    trace_id = np.ascontiguousarray(halves.T.astype(">u8")).view(np.uint8).reshape(-1, 16)
    span_id = halves[0] + _GOLDEN
    _stir(span_id)
    span_id[span_id == 0] = 1
    return trace_id, span_id


def _stir(words: Hashes) -> None:
    """Spread every bit of each word over the whole word (the finaliser of a multiply-xorshift hash)."""
    words *= _GOLDEN
    words ^= words >> _HALF
    words *= _MIX
    words ^= words >> _HALF


class Occurrences:
    """Numbers equal rows of one file in their order: the first is 0, the next 1.

    Holds 8 bytes a row, and a few more where rows are equal.
    """

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._repeated: dict[int, int] = {}

    def number(self, contents: Hashes, start_unix_ns: Ints) -> Ints:
        """The number of each row among the rows of the same content so far.

        `start_unix_ns` must be part of the content: rows of other times are not looked through.
        """
        n = len(contents)
        if not n:
            return np.zeros(0, dtype=np.int64)
        span = int(start_unix_ns.min()), int(start_unix_ns.max())
        ordered = np.sort(contents)
        if (ordered[1:] != ordered[:-1]).all() and not self._before(ordered, span).any():
            self._keep(_Run(ordered, *span))
            return np.zeros(n, dtype=np.int64)
        return self._number_equals(contents, span)

    def _number_equals(self, contents: Hashes, span: tuple[int, int]) -> Ints:
        n = len(contents)
        order = np.argsort(contents, kind="stable")
        ordered = contents[order]
        firsts = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])
        size = np.diff(firsts, append=n)
        distinct = ordered[firsts]
        before = self._before(distinct, span)
        occurrence = np.empty(n, dtype=np.int64)
        occurrence[order] = np.arange(n) - np.repeat(firsts - before, size)
        total = before + size
        for at in np.flatnonzero(total > 1).tolist():
            self._repeated[int(distinct[at])] = int(total[at])
        self._keep(_Run(distinct[before == 0], *span))
        return occurrence

    def _before(self, distinct: Hashes, span: tuple[int, int]) -> Ints:
        before = np.zeros(len(distinct), dtype=np.int64)
        for run in self._runs:
            if run.least > span[1] or run.most < span[0]:
                continue
            at = np.minimum(np.searchsorted(run.contents, distinct), len(run.contents) - 1)
            for place in np.flatnonzero(run.contents[at] == distinct).tolist():
                before[place] = self._repeated.get(int(distinct[place]), 1)
        return before

    def _keep(self, run: _Run) -> None:
        if not len(run.contents):
            return
        # Runs of like size are merged, so that a row is looked for in a few of them.
        while self._runs and len(self._runs[-1].contents) <= 2 * len(run.contents):
            last = self._runs.pop()
            merged = np.concatenate([last.contents, run.contents])
            merged.sort(kind="stable")
            run = _Run(merged, min(last.least, run.least), max(last.most, run.most))
        self._runs.append(run)


class _Run:
    """Contents of rows, sorted, and the times they lie between."""

    __slots__ = ("contents", "least", "most")

    def __init__(self, contents: Hashes, least: int, most: int) -> None:
        self.contents = contents
        self.least = least
        self.most = most
