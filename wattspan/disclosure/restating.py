"""`Restater`: asks another edition what sealed rows would be under it, from the rows alone.

A row names its model, provider, place and constants, not what its calls looked like. For each kind of row a
question to the planner is sought which, put to the row's own edition, gives the very constants that were
sealed; the other edition's answer to that question is the row's under the other methodology. A kind for which
there is no such question (its constants come from what the user declared, or were not modelled) stays as it
is, and how much of a figure that is, is told with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final, NamedTuple

from wattspan.disclosure.cells import INTENSITY_UNITS_PER_G, REPORTED, WITHOUT_FIGURE, Cell
from wattspan.disclosure.coefficients import Vector, direct_of, errors_id, errors_of, of_plan_text
from wattspan.disclosure.figure import GapRule, Sealed, Spread
from wattspan.disclosure.restatement import CHANGED, Intensity, Kind, Restated, Restatement, kind_of
from wattspan.disclosure.rules import Rules
from wattspan.estimator import Deployment, Estimator, Plan
from wattspan.estimator.plan import PlanKey
from wattspan.lake.plans import PlanTexts, read_plan
from wattspan.methodology import Edition

_UNKNOWN: Final = "model:unknown/"
"""How the error of a model that the registry does not know is named: its name on the span follows."""
_OF_EDITION: Final = ("annual", "typical-hour")
"""Resolutions of intensities that an edition has; others came from a feed."""


class _Question(NamedTuple):
    key: PlanKey
    resolution: str
    """As configured: a place without typical hours has an annual figure under both."""


class Methodology:
    """An edition with what the user declared: what plans of calls are made from."""

    def __init__(
        self,
        edition: Edition,
        factor_type: str,
        deployments: Sequence[Deployment] = (),
        rules: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.edition = edition
        self.deployments = tuple(deployments)
        self._factor_type, self._rules = factor_type, rules
        self._estimators: dict[str, tuple[Estimator, PlanTexts]] = {}

    def plan(self, key: PlanKey, resolution: str) -> Plan:
        """The plan of calls, with the edition's own intensity: annual, or of typical hours."""
        return self._of(resolution)[0].planner.plan(key)

    def constants(self, plan: Plan, resolution: str) -> tuple[Vector, str]:
        """The sealed form of a plan: coefficients, and the direct intensity in micrograms ("" for none)."""
        content = read_plan(self._of(resolution)[1].of(plan))
        return of_plan_text(content), direct_of(content)

    def _of(self, resolution: str) -> tuple[Estimator, PlanTexts]:
        found = self._estimators.get(resolution)
        if found is None:
            estimator = Estimator(
                self.edition,
                deployments=self.deployments,
                rules=self._rules,
                factor_type=self._factor_type,
                resolution=resolution,
            )
            found = self._estimators[resolution] = estimator, PlanTexts(estimator)
        return found


class Restater:
    """From rows under `own` to rows under `other`."""

    def __init__(self, own: Methodology, other: Methodology) -> None:
        self._own, self._other = own, other
        operations = own.edition.read_json("models.json")["rules"]["operations"]
        self._operations = ("", *sorted(operations))
        self._precisions = sorted(own.edition.form.precisions)
        self._questions: dict[Kind, _Question | None] = {}

    def restatement(self, sealed: Sealed, rules: Rules, gap_rule: GapRule) -> Restatement:
        """What the kinds of `sealed` become; `rules` and `gap_rule` are those of the other methodology."""
        vectors: dict[str, Vector] = {}
        spreads: dict[str, Spread] = {}
        changes: dict[Kind, Restated] = {}
        models: dict[tuple[str, str], str] = {}
        silent: dict[Kind, Cell] = {}
        for cell in sealed.cells:
            kind = kind_of(cell)
            if cell.basis in WITHOUT_FIGURE:
                silent[kind] = cell
            elif kind not in changes and (change := self._change(cell, sealed, vectors, spreads)):
                changes[kind] = change
                models[cell.model, cell.provider] = change.texts[CHANGED.index("model")]
        for kind, cell in silent.items():
            # what fills a gap is sought by the model's name: it goes with its model
            name = models.get((cell.model, cell.provider), cell.model)
            if name != cell.model:
                changes[kind] = Restated(_texts(replace(cell, model=name)), None)
        return Restatement(changes, vectors, spreads, rules, gap_rule)

    def _change(
        self, cell: Cell, sealed: Sealed, vectors: dict[str, Vector], spreads: dict[str, Spread]
    ) -> Restated | None:
        """What a row becomes; None where nobody can tell."""
        question = self._question(cell, sealed)
        if question is None:
            return None
        own, other = (methodology.plan(*question) for methodology in (self._own, self._other))
        vector, direct = self._other.constants(other, question.resolution)
        energy = _energy_errors(other, cell)
        intensity, grid = None, other.intensity
        if cell.grid_resolution in _OF_EDITION:
            if not grid.has_figure:
                return None
            intensity = Intensity(_micrograms(own), _micrograms(other))
            made = replace(
                cell,
                zone=grid.zone,
                grid_source=grid.origin,
                grid_resolution=grid.resolution,
                grid_accounting=grid.accounting,
            )
            carbon = errors_of((*_energy_factors(other, cell), *grid.factors))
        else:
            # the hour came from a feed: its figure and its errors are no edition's
            made, kept = cell, sealed.spreads[cell.spread]
            of_energy = {key for key, _ in kept.energy}
            carbon = tuple(sorted((*energy, *(pair for pair in kept.carbon if pair[0] not in of_energy))))
        spread = errors_id(energy, carbon)
        vectors[vector.id], spreads[spread] = vector, Spread(energy, carbon)
        made = replace(
            made,
            model=other.model.id if other.model else "",
            region=other.place.label,
            evidence=cell.evidence if cell.basis in REPORTED else other.tier,
            direct=direct,
            vector=vector.id,
            spread=spread,
        )
        return Restated(_texts(made), intensity)

    def _question(self, cell: Cell, sealed: Sealed) -> _Question | None:
        kind = kind_of(cell)
        if kind not in self._questions:
            is_of_edition = cell.grid_resolution in _OF_EDITION
            resolutions = _OF_EDITION if is_of_edition else _OF_EDITION[:1]
            asked = (
                question
                for key in self._candidates(cell, sealed)
                for question in (_Question(key, resolution) for resolution in resolutions)
                if self._gives(question, cell, sealed.spreads[cell.spread], is_of_edition)
            )
            self._questions[kind] = None if cell.basis == "compute" else next(asked, None)
        return self._questions[kind]

    def _gives(self, question: _Question, cell: Cell, spread: Spread, is_of_edition: bool) -> bool:
        """Whether the row's own edition answers with the very constants of the row."""
        plan = self._own.plan(*question)
        if plan.place.label != cell.region or (plan.model.id if plan.model else "") != cell.model:
            return False
        vector, direct = self._own.constants(plan, question.resolution)
        if (vector.id, direct) != (cell.vector, cell.direct) or _energy_errors(plan, cell) != spread.energy:
            return False
        if not is_of_edition:
            return True
        grid = plan.intensity
        if errors_of((*_energy_factors(plan, cell), *grid.factors)) != spread.carbon:
            return False
        told = (cell.zone, cell.grid_source, cell.grid_resolution, cell.grid_accounting)
        return told == (grid.zone, grid.origin, grid.resolution, grid.accounting)

    def _candidates(self, cell: Cell, sealed: Sealed) -> Iterator[PlanKey]:
        declared = [tuple(map(_sample, (d.model, d.host, d.service))) for d in self._own.deployments]
        for (operation, model), place, own, (request_model, host, service) in product(
            self._names(cell, sealed),
            _places(cell),
            (False, True),
            dict.fromkeys([("", "", ""), *declared]),
        ):
            yield PlanKey(
                operation,
                model,
                request_model=request_model,
                provider=cell.provider,
                host=host,
                service=service,
                is_self_hosted=own,
                year=int(cell.day[:4]),
                **place,
            )

    def _names(self, cell: Cell, sealed: Sealed) -> Iterable[tuple[str, str]]:
        """Operation and model that a row may have been about."""
        if cell.model:
            return [("", cell.model), *(("", f"{cell.model}-{precision}") for precision in self._precisions)]
        errors = sealed.spreads[cell.spread].energy
        names = [key.removeprefix(_UNKNOWN) for key, _ in errors if key.startswith(_UNKNOWN)]
        return list(product(self._operations, names or [""]))


def _places(cell: Cell) -> list[dict[str, str]]:
    """What may have told the place of a row."""
    cloud, _, name = cell.region.rpartition("/")
    alone: dict[str, str] = {}
    named = [{"span_region": name, "span_cloud": cloud}, {"reported_region": name}]
    return [alone, *named] if cell.region_source in ("geography_mix", "world", "rule") else [*named, alone]


def _sample(pattern: str) -> str:
    """A text that a deployment's pattern matches."""
    return "".join(letter for letter in pattern if letter not in "*?[]")


def _energy_factors(plan: Plan, cell: Cell) -> Sequence[Any]:
    return (plan.reported_spread if cell.basis in REPORTED else plan.spread).energy


def _energy_errors(plan: Plan, cell: Cell) -> Any:
    return errors_of(_energy_factors(plan, cell))


def _micrograms(plan: Plan) -> int:
    return round(plan.intensity.g_per_kwh * INTENSITY_UNITS_PER_G) if plan.intensity.has_figure else 0


def _texts(cell: Cell) -> tuple[str, ...]:
    return tuple(getattr(cell, name) for name in CHANGED)
