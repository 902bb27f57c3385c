"""One call or ten million through the same formulas: tokens to energy, energy to carbon."""

from __future__ import annotations

import datetime as dt
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple, cast

import numpy as np

from wattspan.calls import CallBatch, CallKind, Column, EstimateBatch, Kinds, Plans
from wattspan.calls.batch import MOST_TOKENS, Codes, Flags, Floats, Ints
from wattspan.estimator.deployments import Deployment
from wattspan.estimator.energy import Coefficients
from wattspan.estimator.figures import BASES, MODELLED, Figures, energy_parts, figures
from wattspan.estimator.kinds import distinct, with_hours
from wattspan.estimator.plan import J_PER_KWH, Plan, PlanKey, Planner
from wattspan.estimator.program import Program
from wattspan.grid import Carbon, Embedded, Signal
from wattspan.grid.hourly import HourlySignal, HourlyValues
from wattspan.grid.intensity import FactorType
from wattspan.methodology import LATEST, Edition
from wattspan.places import Places, is_own_machine

MOST_PLANS = 4_096
"""Plans whose constants are kept from batch to batch."""
MOST_KINDS = 65_536
"""Kinds of calls whose plans are kept."""


class Estimate(NamedTuple):
    """Energy and carbon of one call. NaN where there is no figure; `low` and `high` enclose 90 %."""

    energy_kwh: float
    energy_kwh_low: float
    energy_kwh_high: float
    prefill_kwh: float
    decode_kwh: float
    host_kwh: float
    overhead_kwh: float
    co2e_g: float
    co2e_g_low: float
    co2e_g_high: float
    embodied_g: float
    water_ml: float
    basis: str
    plan: Plan
    """The constants that made it: model, tier, host, place, intensity, each with its source."""
    intensity_g_per_kwh: float
    edition: str

    def __repr__(self) -> str:
        return (
            f"Estimate({self.model_resolved or 'unknown model'}: {self.energy_kwh:.3g} kWh "
            f"[{self.energy_kwh_low:.2g}, {self.energy_kwh_high:.2g}], {self.co2e_g:.3g} gCO2e "
            f"[{self.co2e_g_low:.2g}, {self.co2e_g_high:.2g}], {self.tier}, {self.edition})"
        )

    @property
    def tier(self) -> str:
        """Evidence tier."""
        return self.plan.tier

    @property
    def model_resolved(self) -> str | None:
        """Model as the registry knows it; None where it is unknown."""
        return self.plan.model.id if self.plan.model else None

    @property
    def region(self) -> str:
        """Cloud region or geography that the carbon was reckoned for."""
        return self.plan.place.label

    @property
    def region_source(self) -> str:
        """How the region is known."""
        return self.plan.place.source

    @property
    def carbon(self) -> Carbon:
        """The operational carbon with its kind: adds up with estimates of the same kind only."""
        return Carbon(self.co2e_g, self.plan.intensity.kind)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values, None where there is no figure; names and units as on a span."""
        plan, place, grid = self.plan, self.plan.place, self.plan.intensity
        numbers = {
            name: value if math.isfinite(value) else None
            for name, value in zip(self._fields, self, strict=True)
            if isinstance(value, float)
        }
        has_figure = self.basis != "no_usage"
        return {
            "model_resolved": self.model_resolved,
            "tier": self.tier,
            "basis": self.basis,
            "edition": self.edition,
            **numbers,
            "pue": plan.pue if has_figure and math.isfinite(plan.pue) else None,
            "region": place.label,
            "region_source": place.source,
            "facility": place.facility,
            "gpu": plan.host.gpu,
            "batch": plan.host.batch,
            "grid": {
                "zone": grid.zone,
                "signal": grid.signal,
                "factor_type": grid.factor_type,
                "accounting": grid.accounting,
                "resolution": grid.resolution,
                "vintage": grid.vintage,
                "source": grid.source,
                "reason": grid.reason or None,
            },
            "spread": {factor.key: round(math.exp(factor.ln_g), 4) for factor in plan.spread.carbon},
        }


class Estimator:
    """Estimates calls by one edition, one kind of grid signal and what the user declared."""

    def __init__(
        self,
        edition: Edition | str = LATEST,
        *,
        deployments: Sequence[Deployment] = (),
        rules: Sequence[Mapping[str, Any]] = (),
        factor_type: str = "lifecycle",
        resolution: str = "annual",
        grid: Signal | None = None,
    ) -> None:
        """`grid`: another signal than the edition's own, such as a live one; it brings its own kind."""
        self.edition = Edition.load(edition) if isinstance(edition, str) else edition
        self.places = Places(self.edition.folder, rules)
        self.grid: Signal = grid or Embedded(
            self.edition.folder, factor_type=cast(FactorType, factor_type), resolution=resolution
        )
        self.planner = Planner(self.edition, self.places, self.grid, deployments)
        self._constants = _Constants()
        self._plan_of_kind: dict[tuple[int, int], tuple[CallKind, Plan | None]] = {}
        self._year = (0, 0, 0)
        self._label = self.edition.label
        self._is_hourly = resolution == "typical-hour"
        # Asked once: a look at the protocol costs more than a whole estimate of one call may.
        self._live = self.grid if isinstance(self.grid, HourlySignal) else None

    def estimate_call(
        self,
        *,
        model: str,
        input_tokens: float = 0,
        output_tokens: float = 0,
        cached_input_tokens: float = 0,
        cache_write_tokens: float = 0,
        reasoning_tokens: float = 0,
        provider: str = "",
        region: str = "",
        host: str = "",
        operation: str = "chat",
        at: dt.datetime | str | None = None,
    ) -> Estimate:
        """Estimate one call.

        `input_tokens` includes `cached_input_tokens` and `cache_write_tokens`; `output_tokens` includes
        `reasoning_tokens`. Writes cost a fresh prefill and reasoning is output, so neither is added again.
        `at`: time of the call, also as ISO 8601 text (naive times are UTC); None takes the newest
        grid vintage. `region`: with or without its cloud ("eu-west-3", "aws/eu-west-3"). Raises ValueError
        for counts that are negative, not finite, or parts larger than their whole.
        """
        if not (
            0 <= cached_input_tokens + cache_write_tokens <= input_tokens <= MOST_TOKENS
            and 0 <= reasoning_tokens <= output_tokens <= MOST_TOKENS
            and min(cached_input_tokens, cache_write_tokens) >= 0
        ):
            raise ValueError(
                f"token counts of one call are between 0 and {MOST_TOKENS:,}, with "
                "cached_input_tokens + cache_write_tokens <= input_tokens and "
                "reasoning_tokens <= output_tokens; found "
                f"{input_tokens=}, {output_tokens=}, {cached_input_tokens=}, {cache_write_tokens=}, "
                f"{reasoning_tokens=}"
            )
        if isinstance(at, str):
            at = dt.datetime.fromisoformat(at)
        if at is not None and at.tzinfo is not None:
            at = at.astimezone(dt.UTC)
        plan = self.planner.plan(self._key(operation, model, provider, host, region, at))
        if region and plan.place.source not in {"span", "rule"}:
            raise ValueError(f"region {region!r} is not known; `wattspan regions` lists those that are")
        intensity = plan.intensity.g_per_kwh
        if at is not None and (self._is_hourly or self._live is not None):
            plan, intensity = self._at_hour(plan, at)
        parts = energy_parts(
            plan.coefficients,
            plan.server_factor,
            plan.facility_factor,
            float(input_tokens),
            float(cached_input_tokens),
            float(output_tokens),
        )
        prefill, decode, host_kwh, overhead = parts
        it_kwh = prefill + decode + host_kwh
        energy = it_kwh + overhead
        if not energy:
            energy = it_kwh = math.nan
        co2e = energy * intensity
        e90, c90 = plan.energy_g90, plan.carbon_g90
        return Estimate(
            energy,
            energy / e90,
            energy * e90,
            prefill,
            decode,
            host_kwh,
            overhead,
            co2e,
            co2e / c90,
            co2e * c90,
            (prefill + decode) * J_PER_KWH * plan.embodied_g_per_gpu_j,
            it_kwh * plan.water_ml_per_it_kwh,
            "modelled" if energy == energy else "no_usage",
            plan,
            intensity,
            self._label,
        )

    def _key(
        self, operation: str, model: str, provider: str, host: str, region: str, at: dt.datetime | None
    ) -> PlanKey:
        day = ""
        if at is not None and (starts := self.planner.changes(model, provider)):
            day = starts[max(0, bisect_right(starts, at.date().isoformat()) - 1)]
        cloud, _, name = region.rpartition("/")
        return PlanKey(
            operation,
            model,
            "",
            provider,
            host,
            span_region=name,
            span_cloud=cloud,
            is_self_hosted=is_own_machine(provider, model, host),
            year=at.year if at else 0,
            day=day,
        )

    def _at_hour(self, plan: Plan, at: dt.datetime) -> tuple[Plan, float]:
        """The plan of a call in its hour, and the intensity."""
        start = np.array([at.replace(tzinfo=None)], dtype="datetime64[ns]").astype(np.int64)
        first = np.zeros(1, dtype=np.int32)
        if self._live is not None:
            hours = self._live.hourly([plan.place], first, start)
            if hours.codes[0] >= 0:
                return plan.at_hour(hours.intensities[hours.codes[0]]), float(hours.g_per_kwh[0])
        factor = self.grid.hour_factors((plan.intensity.shape_zone,), first, start)
        return plan, plan.intensity.g_per_kwh * float(factor[0])

    @property
    def grid_position(self) -> int:
        """State of a live grid's values, for `newer` later; 0 without one. Read it before estimating."""
        return 0 if self._live is None else self._live.position

    def newer(self, calls: CallBatch, position: int) -> Flags:
        """Of calls estimated when a live grid was at `position`: rows whose hour has another value now.

        bool[n], none of them without a live grid: an edition never changes (`HourlySignal.newer`).
        """
        if self._live is None:
            return np.zeros(len(calls), dtype=np.bool_)
        plan_of_row, plans = self.plans(calls)
        return self._live.newer([plan.place for plan in plans], plan_of_row, calls.start_unix_ns, position)

    def estimate(self, calls: CallBatch) -> EstimateBatch:
        """Estimate a batch, row for row. Rows without tokens get no figure (NaN), never zero."""
        of_kinds = None if calls.kinds is None else self._plans_of_kinds(calls.kinds, calls.start_unix_ns)
        plan_of_row, plans = of_kinds or self.plans(calls)
        constants, hours = self._constants, None
        if self._live is not None:
            hours = self._live.hourly([plan.place for plan in plans], plan_of_row, calls.start_unix_ns)
            plan_of_row, plans = with_hours(plan_of_row, plans, hours)
            # Plans of an hour are made for the batch, and of no use to the next.
            constants = _Constants()
        lines = constants.lines(plans)[plan_of_row]
        intensity = self._intensity(calls, constants, lines, plan_of_row, plans, hours)
        numbers = {name: getattr(calls, name) for name in _NUMBERS}
        of_totals, of_parts = _OF_PLANS if intensity is None else _OF_HOURS
        if intensity is not None:
            numbers["intensity"] = intensity
        table = constants.table
        columns: dict[str, Any] = dict(zip(_TOTALS, of_totals.over(table, lines, numbers), strict=True))
        basis = columns.pop("basis").astype(np.int32)

        def later() -> Mapping[str, Any]:
            parts = of_parts.over(table, lines, numbers)
            return {**dict(zip(_PARTS, parts, strict=True)), **_of_plans(plan_of_row, plans, basis)}

        return EstimateBatch.with_columns_later(
            {
                **columns,
                "basis": Column(basis, BASES),
                "signal": self.grid.kind.signal,
                "factor_type": self.grid.kind.factor_type,
                "edition": self._label,
            },
            later,
            None if self._live is not None else Plans(plan_of_row, plans.__getitem__),
        )

    def _intensity(
        self,
        calls: CallBatch,
        constants: _Constants,
        lines: Ints,
        plan: Ints,
        plans: Sequence[Plan],
        hours: HourlyValues | None,
    ) -> Floats | None:
        """The intensity of each row in its hour; None where it is its plan's."""
        if not self._is_hourly and hours is None:
            return None
        intensity: Floats = constants.table[_INTENSITY].take(lines)
        if self._is_hourly:
            zones = [plan.intensity.shape_zone for plan in plans]
            intensity *= self.grid.hour_factors(zones, plan.astype(np.int32), calls.start_unix_ns)
        if hours is not None:
            intensity = np.where(hours.codes >= 0, hours.g_per_kwh, intensity)
        return intensity

    def plans(self, calls: CallBatch) -> tuple[Ints, list[Plan]]:
        """The plan of each row as an index int64[n] into the list of distinct plans."""
        year = np.where(
            calls.start_unix_ns > 0,
            calls.start_unix_ns.astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64) + 1970,
            0,
        )
        years, year_code = np.unique(year, return_inverse=True)
        days = self._days(calls)
        columns = [*(getattr(calls, name) for name in _KEY_COLUMNS), days]
        key = year_code.astype(np.int64) * 2 + calls.is_self_hosted
        size = len(years) * 2
        for column in columns:
            if len(column.names) == 1:
                continue
            if size > 2**62 // len(column.names):
                first, key = distinct(key, size)
                size = len(first)
            key = key * len(column.names) + column.codes
            size *= len(column.names)
        first, plan_of_row = distinct(key, size)
        *texts, day = ([column.names[code] for code in column.codes[first].tolist()] for column in columns)
        flags, of_year = calls.is_self_hosted[first].tolist(), year[first].tolist()
        keys = zip(*texts, flags, of_year, day, strict=True)
        return plan_of_row, [self.planner.plan(PlanKey(*key)) for key in keys]

    def _plans_of_kinds(self, kinds: Kinds, start_unix_ns: Ints) -> tuple[Ints, list[Plan]] | None:
        """The plan of each row; None if calls are of several years, or an id among them changed its meaning.

        Among the plans may be some that no row has, and some twice.
        """
        if not len(start_unix_ns):
            return np.zeros(0, dtype=np.int64), []
        first, last = int(start_unix_ns.min()), int(start_unix_ns.max())
        year, until = 0, 1
        if first > 0:
            if not self._year[1] <= first < self._year[2]:
                self._year = _year_of(first)
            year, _, until = self._year
        if last >= until:
            return None
        if len(self._plan_of_kind) >= MOST_KINDS:
            self._plan_of_kind.clear()
        plans = []
        for kind in kinds.kinds:
            known = self._plan_of_kind.get((id(kind), year))
            if known is None:
                # The kind is kept with its plan, so its id cannot be given to another meanwhile.
                plan = None
                if not any(
                    self.planner.changes(name, "") for name in (kind.model, kind.request_model) if name
                ):
                    plan = self.planner.plan(PlanKey(*kind, year=year))
                known = self._plan_of_kind[id(kind), year] = kind, plan
            if known[1] is None:
                return None
            plans.append(known[1])
        return kinds.of_row.astype(np.int64), plans

    def _days(self, calls: CallBatch) -> Column:
        """For ids whose meaning changed, the day since which each call's id meant what it meant then."""
        codes, names = np.zeros(len(calls), dtype=np.int32), [""]
        for column in (calls.model, calls.request_model):
            for code, name in enumerate(column.names):
                starts = self.planner.changes(name, "") if name else ()
                if not starts:
                    continue
                mine = (column.codes == code) & (calls.start_unix_ns > 0) & (codes == 0)
                since = np.array(starts, dtype="datetime64[ns]").astype(np.int64)
                segment = np.searchsorted(since, calls.start_unix_ns[mine], side="right") - 1
                codes[mine] = len(names) + np.maximum(segment, 0)
                names.extend(starts)
        return Column(codes, tuple(names))


class _Constants:
    """The constants of the plans met, one line a plan, to be gathered by row."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all plans."""
        self._line_of_plan: dict[int, int] = {}
        self._plans: list[Plan] = []
        self.table = np.zeros((len(_COEFFICIENTS) + len(_FACTORS), 64))
        """float64[constants, plans and room for more]."""

    def lines(self, plans: Sequence[Plan]) -> Ints:
        """The line of each plan."""
        known = self._line_of_plan
        if len(known) > MOST_PLANS:
            self.clear()
            known = self._line_of_plan
        lines = [known.get(id(plan), -1) for plan in plans]
        if -1 in lines:
            lines = [self._line(plan) for plan in plans]
        return np.array(lines, dtype=np.int64)

    def _line(self, plan: Plan) -> int:
        # The plan is kept, so its id cannot be given to another meanwhile.
        line = self._line_of_plan.setdefault(id(plan), len(self._plans))
        if line == len(self._plans):
            self._plans.append(plan)
            if line == self.table.shape[1]:
                self.table = np.concatenate([self.table, np.zeros_like(self.table)], axis=1)
            of_plan = [getattr(plan.coefficients, name) for name in _COEFFICIENTS]
            self.table[:, line] = [*of_plan, *(factor(plan) for factor in _FACTORS.values())]
        return line


def _of_plans(plan_of_row: Ints, plans: Sequence[Plan], basis: Codes) -> dict[str, Any]:
    """The columns of a batch that hang on the plans of its rows alone."""
    is_reported = basis < MODELLED
    tier = Column.of(["", "metered_node", *(plan.tier for plan in plans)])
    tier_row = np.where(basis <= MODELLED, np.where(is_reported, 1, plan_of_row + 2), 0)
    texts = {name: Column.of(map(text, plans)).take(plan_of_row) for name, text in _TEXTS.items()}
    return {
        **texts,
        "tier": tier.take(tier_row),
        "spread": (plan_of_row * 2 + is_reported).astype(np.int32),
        "spreads": tuple(spread for plan in plans for spread in (plan.spread, plan.reported_spread)),
    }


def _year_of(unix_ns: int) -> tuple[int, int, int]:
    """The year (UTC) of a point in time, its first nanosecond and that of the next year."""
    year = dt.datetime.fromtimestamp(unix_ns // 10**9, dt.UTC).year
    begin, end = (int(np.datetime64(f"{one}-01-01", "ns").astype(np.int64)) for one in (year, year + 1))
    return year, begin, end


_KEY_COLUMNS = PlanKey._fields[:-3]
_COEFFICIENTS = tuple(coefficient.name for coefficient in fields(Coefficients))
_FACTORS: dict[str, Callable[[Plan], float]] = {
    "server": lambda plan: plan.server_factor,
    "facility": lambda plan: plan.facility_factor,
    "pue": lambda plan: plan.pue,
    "embodied_g_per_gpu_kwh": lambda plan: J_PER_KWH * plan.embodied_g_per_gpu_j,
    "water_ml_per_it_kwh": lambda plan: plan.water_ml_per_it_kwh,
    "intensity_g_per_kwh": lambda plan: plan.intensity.g_per_kwh,
    "energy_g90": lambda plan: plan.energy_g90,
    "carbon_g90": lambda plan: plan.carbon_g90,
    "reported_energy_g90": lambda plan: plan.reported_energy_g90,
    "reported_carbon_g90": lambda plan: plan.reported_carbon_g90,
}
_TEXTS: dict[str, Callable[[Plan], str]] = {
    "model": lambda plan: plan.model.id if plan.model else "",
    "region": lambda plan: plan.place.label,
    "region_source": lambda plan: plan.place.source,
    "zone": lambda plan: plan.intensity.zone,
    "grid_source": lambda plan: plan.intensity.origin,
    "grid_resolution": lambda plan: plan.intensity.resolution,
    "grid_accounting": lambda plan: plan.intensity.accounting,
    "grid_reason": lambda plan: plan.intensity.reason,
}

_INTENSITY = len(_COEFFICIENTS) + list(_FACTORS).index("intensity_g_per_kwh")
_NUMBERS = {
    "input_tokens": "int64",
    "cache_read_tokens": "int64",
    "output_tokens": "int64",
    "reported_energy_kwh": "float64",
    "has_usage": "bool",
    "is_error": "bool",
    "is_measured": "bool",
}
_TOTALS = (
    "energy_kwh", "energy_kwh_low", "energy_kwh_high", "co2e_g", "co2e_g_low", "co2e_g_high", "basis",
)  # fmt: skip
"""The figures that every reader of a batch asks for."""
_PARTS = tuple(name for name in Figures._fields if name not in _TOTALS)
"""Those that are worked out when somebody asks."""


def _programs(columns: Mapping[str, str]) -> tuple[Program, Program]:
    totals, parts = ([Figures._fields.index(name) for name in names] for names in (_TOTALS, _PARTS))
    constants = len(_COEFFICIENTS) + len(_FACTORS)
    return Program(figures, constants, columns, totals), Program(figures, constants, columns, parts)


_OF_PLANS = _programs(_NUMBERS)
"""Totals and parts with the intensities of the plans."""
_OF_HOURS = _programs({**_NUMBERS, "intensity": "float64"})
"""Totals and parts with intensities by row."""
