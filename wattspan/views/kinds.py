"""`Kind`: what figures must have in common to be added up. Figures of two kinds never are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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

    @property
    def key(self) -> str:
        """As it stands in an address."""
        return f"{self.edition_digest[:12]}.{self.signal}.{self.factor_type}"

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


def chosen(there: Sequence[Kind], key: str | None) -> Kind | None:
    """The kind with a key, or the newest edition's where none is named; None where there is none.

    Raises QueryError where the key is not among `there`.
    """
    if key is None:
        return there[-1] if there else None
    for kind in there:
        if kind.key == key:
            return kind
    allowed = ", ".join(f"{kind.key} ({kind})" for kind in there) or "none"
    raise QueryError(f"this period has no figures of kind {key!r}; there are: {allowed}")


def kind_of(part: Segment | RetiredDay | EstimateSet) -> Kind:
    """The kind of a segment's own figures, of what stays of them, or of a named set of estimates."""
    return Kind(part.edition, part.edition_digest, part.signal, part.factor_type)
