"""`WireError`: what is wrong with OTLP protobuf bytes, and at which byte."""

from __future__ import annotations


class WireError(ValueError):
    """The bytes are not a valid OTLP trace message, or larger than what one call reads."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(f"byte {offset}: {what}")
        self.offset = offset
        """Offset of the byte where the broken field begins."""
        self.what = what
        """What was found there, and what is allowed."""

    def __reduce__(self) -> tuple[type[WireError], tuple[int, str]]:
        return type(self), (self.offset, self.what)
