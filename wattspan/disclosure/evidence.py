"""`Chain`: a sealed figure taken apart: by model and place, by day, by row, down to coefficients and sources.

Every number is that of `figure.reckon` over the sealed rows, added up another way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from wattspan.disclosure import canonical
from wattspan.disclosure.cells import WEIGHT_UNITS
from wattspan.disclosure.coefficients import Vector
from wattspan.disclosure.figure import Figure, Part, Sealed, parts_of_days, reckon
from wattspan.disclosure.folder import COMPARATIVE, TABLES, FolderError, read_content
from wattspan.disclosure.numbers import exactly
from wattspan.disclosure.subject import Subject
from wattspan.methodology import Edition, EditionError
from wattspan.methodology.models import Source


class Sum(NamedTuple):
    """Some parts of a figure, added up; their key is what they share."""

    key: tuple[str, ...]
    calls: Decimal
    """Of all kinds; what fills a gap counts as the calls it stands for."""
    input_tokens: Decimal
    output_tokens: Decimal
    energy_kwh: Decimal
    use_g: Decimal
    embodied_g: Decimal
    share: Decimal
    """Of the period's carbon."""
    is_gap: bool
    """All of it fills calls without usage."""

    @property
    def g_per_kwh(self) -> Decimal | None:
        """The intensity in the mean, weighted by energy; None for no energy."""
        with exactly():
            return self.use_g / self.energy_kwh if self.energy_kwh else None


class ModelSources(NamedTuple):
    """What the edition knows of one model and from where."""

    model: str
    tier: str
    reason: str
    sources: tuple[Source, ...]
    evidence: tuple[str, ...]
    """Rows of the measurements behind it."""


class SourceTable(NamedTuple):
    """Lines of one table of the edition, as they were sealed beside the figure."""

    path: str
    sha256: str
    """Of the whole table in the edition."""
    licence: str
    text: str


@dataclass(frozen=True, slots=True)
class Chain:
    """A disclosure from its figure to its rows."""

    subject: Subject
    sealed: Sealed
    figure: Figure
    days: tuple[Part, ...]
    """The figure's parts with each day apart."""
    tables: tuple[SourceTable, ...]
    """Source rows of the coefficients; () in a folder that was sealed without them."""
    comparative: Mapping[str, Any] | None
    """`comparative.json`: the period before under both methodologies, where they differ."""

    def by_source(self) -> list[Sum]:
        """By model, provider, region, zone, evidence, grid source and coefficients; the most carbon first."""
        return self._sums(
            lambda part: (
                part.cell.model or part.cell.basis,
                part.cell.provider,
                part.cell.region,
                part.cell.zone,
                part.cell.evidence or part.cell.basis,
                part.cell.grid_source,
                part.cell.vector,
            )
        )

    def by_day(self) -> list[Sum]:
        """By day, oldest first."""
        return sorted(self._sums(lambda part: (part.cell.day,), self.days), key=lambda found: found.key)

    def rows(self, day: str) -> list[Sum]:
        """The sealed rows of one day, the most carbon first; what fills gaps is apart. [] for another day."""
        return self._sums(
            lambda part: (
                part.cell.model or part.cell.basis,
                part.cell.region,
                part.cell.basis,
                part.cell.evidence,
                part.cell.grid_source,
                part.cell.grid_resolution,
                part.cell.vector,
                part.cell.spread,
                "gap" if part.is_gap else "",
            ),
            [part for part in self.days if part.cell.day == day],
        )

    def vectors(self) -> Mapping[str, Vector]:
        """The coefficients that were used, by id."""
        used = {part.cell.vector for part in self.figure.parts}
        return {name: self.sealed.vectors[name] for name in sorted(used)}

    def model_sources(self) -> list[ModelSources] | None:
        """What the edition knows of the models; None where that edition is not installed, or is another."""
        method = self.subject.method
        try:
            edition = Edition.load(method.edition.partition(" ")[0])
        except EditionError:
            return None
        if edition.digest != method.edition_digest:
            return None
        found = []
        for name in sorted({part.cell.model for part in self.figure.parts if part.cell.model}):
            model = edition.registry.models.get(name)
            if model is not None:
                found.append(ModelSources(name, model.tier, model.reason, model.sources, model.evidence))
        return found

    def _sums(self, key: Callable[[Part], tuple[str, ...]], parts: Iterable[Part] | None = None) -> list[Sum]:
        grouped: dict[tuple[str, ...], list[Part]] = {}
        for part in self.figure.parts if parts is None else parts:
            grouped.setdefault(key(part), []).append(part)
        with exactly():
            whole_g = self.figure.co2e_kg * 1000
            made = [_sum(name, members, whole_g) for name, members in grouped.items()]
        return sorted(made, key=lambda one: (-one.share, one.key))


def chain(files: Mapping[str, bytes]) -> Chain:
    """The chain of a sealed folder. Raises FolderError, CellsError, NoFigureError or CanonicalError."""
    content, _ = read_content(files)
    sealed, feature = content.sealed, content.subject.feature.key
    return Chain(
        content.subject,
        sealed,
        reckon(sealed, feature),
        parts_of_days(sealed, feature),
        _tables(files),
        canonical.read(files[COMPARATIVE], COMPARATIVE) if COMPARATIVE in files else None,
    )


def _tables(files: Mapping[str, bytes]) -> tuple[SourceTable, ...]:
    if TABLES not in files:
        return ()
    try:
        found = canonical.read(files[TABLES], TABLES)["files"]
        return tuple(SourceTable(*(str(table[name]) for name in SourceTable._fields)) for table in found)
    except (KeyError, TypeError) as error:
        raise FolderError(f"{TABLES}: not a list of tables: {error}") from error


def _sum(key: tuple[str, ...], parts: list[Part], whole_g: Decimal) -> Sum:
    def total(value: Callable[[Part], Decimal]) -> Decimal:
        return sum((value(part) for part in parts), Decimal(0))

    return Sum(
        key=key,
        calls=total(lambda part: part.share * part.cell.calls / WEIGHT_UNITS),
        input_tokens=total(
            lambda part: part.share * (part.cell.moments.fresh + part.cell.moments.cached) / WEIGHT_UNITS
        ),
        output_tokens=total(lambda part: part.share * part.cell.moments.output / WEIGHT_UNITS),
        energy_kwh=total(lambda part: part.energy_kwh),
        use_g=total(lambda part: part.use_g),
        embodied_g=total(lambda part: part.embodied_g),
        share=total(lambda part: part.co2e_g) / whole_g,
        is_gap=all(part.is_gap for part in parts),
    )
