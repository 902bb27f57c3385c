"""`Kind`: what figures must have in common to be added up. Figures of two kinds never are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from wattspan.lake.manifest import EstimateSet, RetiredDay, Segment
from wattspan.views.dimensions import QueryError


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """Methodology edition and kind of grid signal."""

    edition: str
    edition_digest: str
    signal: str
    factor_type: str

    def __str__(self) -> str:
        return f"edition {self.edition}, {self.signal}, {self.factor_type}"

    def as_dict(self) -> dict[str, str]:
        """Plain values."""
        return asdict(self)


class MixedKindsError(QueryError):
    """The lake holds figures of several kinds in this period; the question must be for one of them."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.kinds = tuple(kinds)
        super().__init__(
            "figures of different methods or grid signals are never added up; this period has "
            f"{' and '.join(map(str, self.kinds))}. Ask for each of them apart, or estimate all spans again "
            "by one method"
        )


def kind_of(part: Segment | RetiredDay | EstimateSet) -> Kind:
    """The kind of a segment's own figures, of what stays of them, or of a named set of estimates."""
    return Kind(part.edition, part.edition_digest, part.signal, part.factor_type)
