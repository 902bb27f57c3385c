"""`Templates`: the attributes of calls as bytes, encoded once for each plan, filled with numbers for each."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from wattspan.calls import EstimateBatch
from wattspan.calls.batch import Ints
from wattspan.otlp.attributes import ATTRIBUTES, Detail, Profile, of_duplicate, written
from wattspan.otlp.wire import IMPLEMENTATION, Additions, encode_columns

if IMPLEMENTATION == "cython":
    from wattspan.otlp.wire._templates import fill

MOST_TEMPLATES: Final = 16_384

_Choice = tuple[int, int, int]
"""Id of the plan, basis, and which of the numbers there are."""


class Templates:
    """Encodes what `attributes.written` says, for one profile and level of detail."""

    def __init__(self, profile: Profile, detail: Detail) -> None:
        self._profile: Profile = profile
        self._detail: Detail = detail
        self._numbers = [
            attribute
            for attribute in ATTRIBUTES
            if profile in attribute.profiles
            and attribute.type == "double"
            and (attribute.detail == "standard" or detail == "full")
        ]
        self._known: dict[_Choice, tuple[object, tuple[bytes, bytes]]] = {}

    def additions(
        self, estimates: EstimateBatch, rows: Ints, duplicate_rows: Ints, owners: list[int], n: int
    ) -> Additions | None:
        """The attributes of estimated calls and of duplicates, for `n` spans; None where no plans last.

        `rows`, `duplicate_rows`: spans, ascending. `owners`: span id of the owner of each duplicate.
        """
        plans = estimates.plans
        if plans is None or IMPLEMENTATION != "cython":
            return None
        numbers = [np.asarray(attribute.values(estimates), dtype=np.float64) for attribute in self._numbers]

        def template_of(row: int, finite: int) -> tuple[bytes, bytes]:
            plan = plans.of(int(plans.of_row[row]))
            choice = id(plan), int(estimates.basis.codes[row]), finite
            known = self._known.get(choice)
            if known is None:
                if len(self._known) >= MOST_TEMPLATES:
                    self._known.clear()
                # The plan is kept, so its id cannot be given to another meanwhile.
                known = self._known[choice] = plan, self._template(estimates, row)
            return known[1]

        others = [of_duplicate(owner, estimates.edition) for owner in owners]
        return fill(
            plans.of_row, estimates.basis.codes, numbers, rows, n, template_of, duplicate_rows, others
        )

    def _template(self, estimates: EstimateBatch, row: int) -> tuple[bytes, bytes]:
        """The bytes of one row, and the places of its numbers in them: pairs of offset and index."""
        text, holes = b"", []
        place = {attribute.name: index for index, attribute in enumerate(self._numbers)}
        only = np.zeros(1, dtype=np.int64)
        for column in written(estimates.take(np.array([row])), (), self._profile, self._detail):
            piece = encode_columns([column], only, 1).blob
            text += piece
            if piece and column.key in place:
                # A double is the last of its attribute.
                holes += [len(text) - 8, place[column.key]]
        return text, struct.pack(f"{len(holes)}i", *holes)
