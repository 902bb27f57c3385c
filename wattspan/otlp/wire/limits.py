"""Bounds on one request, and the faults of a malformed one: the same for both implementations.

Protobuf allows a span of 2 bytes, so a few megabytes could ask for gigabytes of columns. These bounds
lie above anything that a valid request of 64 MiB (OTLP's limit) can hold.
"""

from __future__ import annotations

from typing import Final

MOST_BYTES: Final = 2**31 - 1
"""Length of a message: protobuf's own bound."""

MOST_DEPTH: Final = 100
"""Submessages and groups inside one another: the bound of protobuf's C++, Java and Python parsers."""

MOST_ROWS: Final = 2**21
"""Spans, scopes or resources of one request; 64 MiB of spans with ids and times hold 1.4 million."""

MOST_CELLS: Final = 2**26
"""Rows times the keys that at least one of them carries: 256 MiB of value indices."""

FAULTS: Final = (
    "no fault",
    "a varint is cut off; the message ends inside it",
    "a varint has more than 10 bytes",
    "a field's tag has more than 5 bytes or is above 2^32 - 1",
    "a field has number 0; numbers begin at 1",
    "a field has wire type 6 or 7; allowed are 0 to 5",
    "a length has more than 5 bytes or is above 2^31 - 1",
    "a field's length reaches past the end of its message",
    "a fixed-width field is cut off; the message ends inside it",
    "a group ends that was not begun, or another than the innermost open one",
    "a group is not closed before its message ends",
    f"more than {MOST_DEPTH} messages and groups are nested in one another",
    f"more than {MOST_ROWS} spans, scopes or resources in one request; send or split it into smaller ones",
    "too many different attribute keys times spans for one request; send or split it into smaller ones",
    "more than 2^31 - 1 bytes in one message; send or split it into smaller ones",
)
"""What a fault of the scan means, by its number (`cursor.pxd` has the same numbers)."""

VARINT_CUT, VARINT_LONG, TAG_LONG, FIELD_ZERO, WIRE_TYPE, LENGTH_LONG, LENGTH_PAST, FIXED_CUT = range(1, 9)
GROUP_END, GROUP_OPEN, TOO_DEEP, TOO_MANY_ROWS, TOO_MANY_CELLS, TOO_MANY_BYTES = range(9, 15)
