"""`Program`: a formula of plain operators, written down once and run over columns in one pass.

The formulas stay what they are, Python functions of numbers or arrays. Called with `Value`s they leave a list
of operations, which `_program` runs for some rows at a time: the same operations in the same order, so the
same digits as numpy's, without an array for every operator. Where it was not built numpy does the work.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wattspan.calls.column import Floats, Ints

try:
    from wattspan.estimator import _program
except ImportError:
    HAS_RUNNER = False
else:
    HAS_RUNNER = True

CHUNK_ROWS: Final = 65_536
"""Rows that numpy works on at a time: their columns stay in the processor's cache."""
OPERATIONS: Final = ("add", "subtract", "multiply", "divide", "above", "both", "invert", "choose")
LOADS: Final = ("constant", "float64", "int64", "bool")
_CODES: Final = {name: code for code, name in enumerate((*OPERATIONS, *LOADS))}

Choose = Callable[[Any, Any, Any], Any]
"""`choose(condition, a, b)`: a where the condition holds, b elsewhere; `np.where` for arrays."""


class Value:
    """A column that a formula works with while it is written down."""

    __slots__ = ("_program", "place")

    def __init__(self, program: Program, place: int) -> None:
        self._program = program
        self.place = place

    def __add__(self, other: Any) -> Value:
        return self._program.note("add", self, other)

    def __sub__(self, other: Any) -> Value:
        return self._program.note("subtract", self, other)

    def __mul__(self, other: Any) -> Value:
        return self._program.note("multiply", self, other)

    def __truediv__(self, other: Any) -> Value:
        return self._program.note("divide", self, other)

    def __gt__(self, other: Any) -> Value:
        return self._program.note("above", self, other)

    def __and__(self, other: Any) -> Value:
        return self._program.note("both", self, other)

    def __invert__(self) -> Value:
        return self._program.note("invert", self)

    def __bool__(self) -> bool:
        raise TypeError("a formula cannot branch on a column; use choose(condition, a, b)")


class Program:
    """One formula over constants by row and columns, to columns of float64."""

    def __init__(
        self,
        formula: Callable[[Sequence[Any], Mapping[str, Any], Choose], Sequence[Any]],
        constants: int,
        columns: Mapping[str, str],
        wanted: Sequence[int],
    ) -> None:
        """`formula(constants, columns, choose)` gives columns, of which `over` returns those `wanted`.

        `constants`: how many there are. `columns`: float64, int64 or bool by name. What no wanted column
        hangs on is not worked out.
        """
        self._formula = formula
        self._columns = dict(columns)
        self._notes: list[tuple[int, ...]] = []
        self._literals: list[float] = []
        self._literal_of: dict[bytes, Value] = {}
        loaded = [self._value((_CODES["constant"], line, 0, 0)) for line in range(constants)]
        named = {
            name: self._value((_CODES[kind], place, 0, 0))
            for place, (name, kind) in enumerate(columns.items())
        }
        found = formula(loaded, named, lambda condition, a, b: self.note("choose", condition, a, b))
        self._wanted = wanted
        self._results = [self._known(found[place]).place for place in wanted]
        self._steps, self._registers = self._allotted()

    def note(self, operation: str, *operands: Any) -> Value:
        """Write an operation down."""
        places = [self._known(operand).place for operand in operands]
        return self._value((_CODES[operation], *places, *[0] * (3 - len(places))))

    def _value(self, note: tuple[int, ...]) -> Value:
        self._notes.append(note)
        return Value(self, len(self._notes) - 1)

    def _known(self, operand: Any) -> Value:
        if isinstance(operand, Value):
            return operand
        bits = struct.pack("<d", operand)
        if bits not in self._literal_of:
            self._literals.append(float(operand))
            self._literal_of[bits] = self._value((-len(self._literals), 0, 0, 0))
        return self._literal_of[bits]

    def _allotted(self) -> tuple[bytes, int]:
        """The steps, with a register for each value: literals keep theirs, others hand it on in the end."""
        last = [-1] * len(self._notes)
        for place in self._results:
            last[place] = len(self._notes)
        for place, (code, *operands) in reversed(list(enumerate(self._notes))):
            for operand in operands[: _arity(code)] if last[place] >= 0 else ():
                last[operand] = max(last[operand], place)
        register = [-code - 1 if code < 0 else -1 for code, *_ in self._notes]
        free: list[int] = []
        used = len(self._literals)
        steps = []
        for place, (code, *operands) in enumerate(self._notes):
            if code < 0 or last[place] < 0:
                continue
            arity = _arity(code)
            read = [register[operand] for operand in operands[:arity]]
            free += [
                register[operand]
                for operand in dict.fromkeys(operands[:arity])
                if last[operand] == place and self._notes[operand][0] >= 0
            ]
            if not free:
                free.append(used)
                used += 1
            register[place] = free.pop()
            operands[:arity] = read
            steps.append(struct.pack("5i", code, register[place], *operands))
        results = (register[place] for place in self._results)
        self._result_registers = struct.pack(f"{len(self._results)}i", *results)
        return b"".join(steps), used

    def over(self, table: Floats, lines: Ints, columns: Mapping[str, npt.NDArray[Any]]) -> list[Floats]:
        """The results for n rows, float64[n] each.

        `table`: float64[constants, any]; `lines`: int64[n], the column of each row in it. `columns`: as they
        were named, of n rows each.
        """
        given = [columns[name] for name in self._columns]
        if not HAS_RUNNER:
            return self._by_numpy(table, lines, given)
        return _program.run(
            self._steps, self._registers, self._literals, self._result_registers, table, lines, given
        )

    def _by_numpy(self, table: Floats, lines: Ints, given: Sequence[npt.NDArray[Any]]) -> list[Floats]:
        made = np.empty((len(self._results), len(lines)))
        for begin in range(0, len(lines), CHUNK_ROWS):
            rows = slice(begin, begin + CHUNK_ROWS)
            named = {
                name: column[rows] if kind == "bool" else column[rows].astype(np.float64)
                for (name, kind), column in zip(self._columns.items(), given, strict=True)
            }
            constants = list(table.take(lines[rows], axis=1))
            found = self._formula(constants, named, np.where)
            for place, wanted in enumerate(self._wanted):
                made[place, rows] = found[wanted]
        return list(made)


def _arity(code: int) -> int:
    if code < 0 or code >= len(OPERATIONS):
        return 0
    return {"invert": 1, "choose": 3}.get(OPERATIONS[code], 2)
