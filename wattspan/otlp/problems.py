"""`Problem`: what was wrong with a piece of the input, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the input that was not as it should be. The rest of the input went through."""

    reason: str
    """What was found and what is allowed."""
    file: str = ""
    offset: int | None = None
    """Bytes from the start of the file, once decompressed."""
    line: int | None = None
    """Line of a text file, from 1."""
    row: int | None = None
    """Row of a table, from 1."""
    trace_id: str = ""
    span_id: str = ""
    key: str = ""
    """The attribute."""

    def __str__(self) -> str:
        place = [self.file] if self.file else []
        if self.offset is not None:
            place.append(f"byte {self.offset}")
        if self.line is not None:
            place.append(f"line {self.line}")
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.span_id or self.trace_id:
            place.append(f"span {self.span_id or '?'} of trace {self.trace_id or '?'}")
        if self.key:
            place.append(self.key)
        return f"{', '.join(place)}: {self.reason}" if place else self.reason

    def as_dict(self) -> dict[str, Any]:
        """The fields that are set."""
        fields = {
            "file": self.file,
            "offset": self.offset,
            "line": self.line,
            "row": self.row,
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "key": self.key,
            "reason": self.reason,
        }
        return {name: value for name, value in fields.items() if value not in ("", None)}
