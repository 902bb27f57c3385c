"""What another model, region, cache or less reasoning would change over a set of calls.

Both sides go through the same estimator; the difference is a ratio, with the band that the errors they share
leave. A ratio within one model still errs by what its parts err by against each other, so a call is split
into fresh input, cached input and output, and the parts get the errors that the edition gives them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wattspan.calls import CallBatch, Column, EstimateBatch, Factor
from wattspan.calls.batch import Flags, Floats
from wattspan.decisions.plans import plan_of
from wattspan.decisions.ratio import Term, plain, ratio
from wattspan.decisions.regions import named_region
from wattspan.estimator import Z90, Band, Estimator, Terms
from wattspan.methodology import Edition

CHAT = "chat"
"""Kind of the models whose calls have a cache and reasoning."""

_CACHED, _OUTPUT = 1, 2
"""Parts of a call after fresh input, as `_part_shares` orders them."""


class WhatIfError(ValueError):
    """A change cannot be made; the message says what was found and what is allowed."""


class UnknownModelError(WhatIfError):
    """The registry does not know the model: a comparison with an unknown size says nothing."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different; None and "" leave things as they are."""

    model: str = ""
    region: str = ""
    cached_share: float | None = None
    """Share of each call's input tokens that is read from a prompt cache."""
    reasoning_factor: float | None = None
    """Reasoning tokens are multiplied by this; the output shrinks by what is taken away."""

    def __post_init__(self) -> None:
        if not (self.region or self.is_of_tokens_or_model):
            raise WhatIfError("nothing is changed: give a model, region, cached share or reasoning factor")
        if self.cached_share is not None and not 0 <= self.cached_share <= 1:
            raise WhatIfError(f"the cached share is {self.cached_share:g}; allowed: 0 to 1")
        if self.reasoning_factor is not None and not 0 <= self.reasoning_factor < math.inf:
            raise WhatIfError(f"the reasoning factor is {self.reasoning_factor:g}; allowed: 0 and above")

    @property
    def is_of_tokens_or_model(self) -> bool:
        """More than the place changes, so a figure that was reported for the old call says nothing."""
        return bool(self.model) or self.cached_share is not None or self.reasoning_factor is not None


@dataclass(frozen=True, slots=True)
class Difference:
    """Energy or carbon as it is and as it would be."""

    base: Band
    changed: Band
    ratio: Band
    """changed / base, sharper than either."""

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        """As plain values, for JSON; None where there is nothing to compare."""
        return {"base": plain(self.base), "changed": plain(self.changed), "ratio": plain(self.ratio)}


class WhatIf:
    """A change over a set of calls, gathered batch by batch."""

    def __init__(self, estimator: Estimator, change: Change) -> None:
        """Raises UnknownModelError, UnknownRegionError, WhatIfError."""
        self.change = change
        self.calls = 0
        """Calls with a figure on both sides: the others are not compared."""
        self.without_carbon = 0
        """Of them, calls without a carbon figure on one side: only their energy is compared."""
        self.changed_calls = 0
        """Calls whose figure is another one."""
        self.kept_reported = 0
        """Calls left as they are because their energy was measured or reported."""
        self.kept_other_kind = 0
        """Calls left as they are because they go to another kind of model (embeddings, say)."""
        self.kept_place = 0
        """Calls that stay where they are: a rule or a deployment says where they run."""
        self.without_reasoning = 0
        """Calls whose reasoning tokens are not known, or none."""
        self.moved = 0
        """Calls whose place is another one."""
        self._estimator = estimator
        self._form = _form_errors(estimator.edition)
        self._phi = estimator.edition.form.cached_share
        self._base, self._changed = _Side(), _Side()
        self._region = named_region(estimator.places, change.region) if change.region else None
        self._kind = _kind_of(estimator, change.model) if change.model else CHAT

    def add(self, calls: CallBatch, estimates: EstimateBatch) -> None:
        """Add calls (each once) and their estimates as they are."""
        changed = self._changed_calls(calls, estimates, np.isfinite(estimates.energy_kwh))
        others = self._estimator.estimate(changed)
        has_figure = np.isfinite(estimates.energy_kwh) & np.isfinite(others.energy_kwh)
        has_carbon = np.isfinite(estimates.co2e_g) & np.isfinite(others.co2e_g)
        is_other = has_figure & (others.energy_kwh != estimates.energy_kwh)
        is_other |= has_figure & (np.nan_to_num(others.co2e_g) != np.nan_to_num(estimates.co2e_g))
        self.calls += int(has_figure.sum())
        self.without_carbon += int((has_figure & ~has_carbon).sum())
        self.changed_calls += int(is_other.sum())
        self._count_places(estimates, others, has_figure)
        for side, batch, found in ((self._base, calls, estimates), (self._changed, changed, others)):
            comparable = replace(
                found,
                energy_kwh=np.where(has_figure, found.energy_kwh, np.nan),
                co2e_g=np.where(has_carbon, found.co2e_g, np.nan),
            )
            side.add(batch, comparable, self._phi, self._form)

    @property
    def energy_kwh(self) -> Difference:
        """Energy of the calls with a figure."""
        return self._difference(carbon=False)

    @property
    def co2e_g(self) -> Difference:
        """Carbon of the calls with a carbon figure."""
        return self._difference(carbon=True)

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "calls": self.calls,
            "changed_calls": self.changed_calls,
            "moved_calls": self.moved,
            "without_carbon": self.without_carbon,
            "kept": {
                "measured_or_reported": self.kept_reported,
                "other_kind_of_model": self.kept_other_kind,
                "place_held_by_rule": self.kept_place,
                "without_reasoning_tokens": self.without_reasoning,
            },
            "energy_kwh": self.energy_kwh.as_dict(),
            "co2e_g": self.co2e_g.as_dict(),
        }

    def _difference(self, *, carbon: bool) -> Difference:
        base, changed = self._base, self._changed
        return Difference(
            base.level(carbon=carbon),
            changed.level(carbon=carbon),
            ratio(changed.terms(carbon=carbon), base.terms(carbon=carbon)),
        )

    def _changed_calls(self, calls: CallBatch, estimates: EstimateBatch, has_figure: Flags) -> CallBatch:
        change = self.change
        if change.is_of_tokens_or_model:
            is_modelled = _is(estimates.basis, "modelled")
            self.kept_reported += int((has_figure & ~is_modelled).sum())
            is_of_kind = self._is_of_kind(calls)
            self.kept_other_kind += int((is_modelled & ~is_of_kind).sum())
            rows = is_modelled & is_of_kind
            if change.model:
                calls = replace(calls, model=_with(calls.model, change.model, rows))
            if change.cached_share is not None:
                calls = _with_cached_share(calls, change.cached_share, rows)
            if change.reasoning_factor is not None:
                self.without_reasoning += int((rows & (calls.reasoning_tokens == 0)).sum())
                calls = _with_reasoning(calls, change.reasoning_factor, rows)
        if self._region:
            everywhere = np.ones(len(calls), dtype=np.bool_)
            calls = replace(
                calls,
                span_region=_with(calls.span_region, self._region.region, everywhere),
                span_cloud=_with(calls.span_cloud, self._region.cloud, everywhere),
            )
        return calls

    def _is_of_kind(self, calls: CallBatch) -> Flags:
        registry = self._estimator.edition.registry
        key = np.zeros(len(calls), dtype=np.int64)
        for column in (calls.operation, calls.model, calls.request_model):
            key = key * len(column.names) + column.codes
        _, first, which = np.unique(key, return_index=True, return_inverse=True)
        is_of_kind = []
        for row in first.tolist():
            model = plan_of(self._estimator, calls, row).model or registry.unknown(calls.operation[row])
            is_of_kind.append(model.kind == self._kind)
        return np.array(is_of_kind, dtype=np.bool_)[which]

    def _count_places(self, base: EstimateBatch, changed: EstimateBatch, has_figure: Flags) -> None:
        number = {name: i for i, name in enumerate((*base.region.names, *changed.region.names))}
        was, now = (
            np.array([number[name] for name in column.names])[column.codes]
            for column in (base.region, changed.region)
        )
        self.moved += int((has_figure & (was != now)).sum())
        if self._region:
            self.kept_place += int((has_figure & ~_is(changed.region_source, "span")).sum())


class _Side:
    """Sums of one side of the comparison, by their errors."""

    def __init__(self) -> None:
        self._levels = {False: Terms(), True: Terms()}
        self._sums: dict[bool, dict[tuple[Factor, ...], float]] = {False: {}, True: {}}

    def add(self, calls: CallBatch, estimates: EstimateBatch, phi: float, form: _FormErrors) -> None:
        parts = _part_shares(calls, estimates, phi)
        for carbon, sums in self._sums.items():
            self._levels[carbon].add_batch(estimates, carbon=carbon)
            values = np.nan_to_num(estimates.co2e_g if carbon else estimates.energy_kwh, nan=0.0)
            for part, share in enumerate(parts):
                by_spread = np.bincount(
                    estimates.spread, weights=values * share, minlength=len(estimates.spreads)
                )
                for spread, value in zip(estimates.spreads, by_spread.tolist(), strict=True):
                    if value > 0:
                        factors = spread.carbon if carbon else spread.energy
                        key = (*factors, *form.of_part(part, spread.energy))
                        sums[key] = sums.get(key, 0.0) + value

    def level(self, *, carbon: bool) -> Band:
        return self._levels[carbon].band()

    def terms(self, *, carbon: bool) -> list[Term]:
        return [(value, factors) for factors, value in self._sums[carbon].items()]


@dataclass(frozen=True, slots=True)
class _FormErrors:
    """Errors of the parts of a call against its output, for all models alike."""

    prefill: Factor
    cached: Factor

    def of_part(self, part: int, errors: Sequence[Factor]) -> tuple[Factor, ...]:
        """What fresh input (0), cached input (1) and output (2) err by, for a call with these errors.

        The method's error is that of the assumed batch and software, which decide what an output token costs
        and hardly what an input token does.
        """
        if part == _OUTPUT:
            return ()
        batch = [Factor(f"{self.prefill.key}: {key}", ln_g) for key, ln_g in errors if key == "method"]
        return (self.prefill, *batch, *((self.cached,) if part == _CACHED else ()))


def _form_errors(edition: Edition) -> _FormErrors:
    """From the ranges (90 %) that the edition gives the energy of prefill and of a cached token."""
    prefill = edition.read_json("form.json")["prefill"]

    def ln_g(name: str) -> float:
        return math.log(prefill[name]["high"] / prefill[name]["low"]) / 2 / Z90

    return _FormErrors(
        Factor("prefill against decode", ln_g("prefill_j_per_b")),
        Factor("cached share of prefill", ln_g("cached_share")),
    )


def _part_shares(calls: CallBatch, estimates: EstimateBatch, phi: float) -> tuple[Floats, Floats, Floats]:
    """Shares of each call's energy that fresh input, cached input and output take: all output if reported."""
    gpu_kwh = estimates.prefill_kwh + estimates.decode_kwh
    with np.errstate(invalid="ignore"):
        prefill = np.nan_to_num(estimates.prefill_kwh / gpu_kwh, nan=0.0)
        weighted = phi * calls.cache_read_tokens
        cached = weighted / (calls.input_tokens - calls.cache_read_tokens + weighted)
    cached = prefill * np.nan_to_num(cached, nan=0.0)
    return prefill - cached, cached, 1.0 - prefill


def _kind_of(estimator: Estimator, name: str) -> str:
    model = estimator.edition.registry.resolve(name).model
    if model is None:
        raise UnknownModelError(f"edition {estimator.edition.label} does not know the model {name!r}")
    return model.kind


def _with_cached_share(calls: CallBatch, share: float, rows: Flags) -> CallBatch:
    cached = np.where(rows, np.rint(calls.input_tokens * share).astype(np.int64), calls.cache_read_tokens)
    writes = np.minimum(calls.cache_write_tokens, calls.input_tokens - cached)
    return replace(calls, cache_read_tokens=cached, cache_write_tokens=writes)


def _with_reasoning(calls: CallBatch, factor: float, rows: Flags) -> CallBatch:
    wanted = np.rint(calls.reasoning_tokens * factor).astype(np.int64)
    reasoning = np.where(rows, wanted, calls.reasoning_tokens)
    output = calls.output_tokens - calls.reasoning_tokens + reasoning
    return replace(calls, reasoning_tokens=reasoning, output_tokens=output)


def _with(column: Column, text: str, rows: Flags) -> Column:
    """The column with `text` in the chosen rows."""
    if not text:
        return Column(np.where(rows, 0, column.codes).astype(np.int32), column.names)
    codes = np.where(rows, len(column.names), column.codes).astype(np.int32)
    return Column(codes, (*column.names, text))


def _is(column: Column, text: str) -> Flags:
    return np.array([name == text for name in column.names], dtype=np.bool_)[column.codes]
