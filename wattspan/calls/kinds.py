"""`Kinds`: calls by what their texts say. A batch has few kinds of calls, and many rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from wattspan.calls.column import Codes, Column, Flags
from wattspan.calls.combinations import combinations


class CallKind(NamedTuple):
    """The texts of a call: calls that say the same, but for numbers and times, are of one kind."""

    operation: str = ""
    model: str = ""
    request_model: str = ""
    provider: str = ""
    host: str = ""
    span_region: str = ""
    span_cloud: str = ""
    reported_region: str = ""
    resource_region: str = ""
    resource_cloud: str = ""
    service: str = ""
    is_self_hosted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Kinds:
    """The kind of each call of a batch."""

    of_row: Codes
    """int32[n]: index into `kinds`."""
    kinds: Sequence[CallKind]
    """Among them may be kinds that no row has."""

    def column(self, name: str) -> Column:
        """One of the texts, as a column."""
        index: dict[str, int] = {"": 0}
        codes = [index.setdefault(getattr(kind, name), len(index)) for kind in self.kinds]
        return Column(np.array(codes, dtype=np.int32)[self.of_row], tuple(index))

    @classmethod
    def of_columns(cls, columns: Sequence[Column], is_self_hosted: Flags) -> Kinds:
        """The kinds of calls whose texts are in `columns`, in the order of the fields of `CallKind`."""
        is_own = Column(is_self_hosted.astype(np.int32), ("", "own"))
        of_row, texts = combinations([*columns, is_own], len(is_self_hosted))
        return cls(of_row.astype(np.int32), [CallKind._make((*one[:-1], bool(one[-1]))) for one in texts])
