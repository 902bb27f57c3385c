"""`EstimateBatch`: energy and carbon of a `CallBatch`, row for row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wattspan.calls.column import Codes, Column, Floats, Ints


class Factor(NamedTuple):
    """One shared source of error: lognormal with median 1; the same key means the same error."""

    key: str
    """What the error belongs to: "method", "facility:aws/eu-west-3", "model:openai/gpt-4o", "zone:FR"."""
    ln_g: float
    """Natural logarithm of one geometric standard deviation (68 %)."""


class SpreadClass(NamedTuple):
    """The errors of all rows that share a model, a place and a grid figure."""

    energy: tuple[Factor, ...]
    carbon: tuple[Factor, ...]
    """The energy's factors and those of the grid intensity."""


@dataclass(frozen=True, slots=True, eq=False)
class Plans:
    """The plans of a batch's rows: they make all the texts of estimates."""

    of_row: Ints
    """int64[n]: the plan of each row."""
    of: Callable[[int], object]
    """The plan of an index; the same object for every batch."""


class _MadeLater:
    """What a batch has beside its columns."""

    __slots__ = ("later", "plans")

    later: Callable[[], Mapping[str, Any]] | None
    """Makes the columns that were not made yet."""
    plans: Plans | None
    """The plans of the rows, where these outlast the batch."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # A slot that is empty: of a column that nobody has asked for yet.
            if name in ("later", "plans"):
                return None
            if self.later is None or name not in EstimateBatch.__slots__:
                raise AttributeError(f"a batch of estimates has no {name!r}")
            for made, column in self.later().items():
                object.__setattr__(self, made, column)
            return object.__getattribute__(self, name)


@dataclass(frozen=True, slots=True)
class EstimateBatch(_MadeLater):
    """Energy and carbon as columns, all of length n; NaN where there is no figure, never zero for "unknown".

    Energy is at the facility boundary (accelerator, host, idle share and data-centre overhead), in kWh.
    `low` and `high` enclose 90 %. Carbon is operational, in grams CO2e; embodied is apart.
    """

    energy_kwh: Floats
    energy_kwh_low: Floats
    energy_kwh_high: Floats
    prefill_kwh: Floats
    """Accelerator energy of reading the prompt."""
    decode_kwh: Floats
    """Accelerator energy of generating the output."""
    host_kwh: Floats
    """Host and idle machines: what the server adds to the accelerator."""
    overhead_kwh: Floats
    """What the building adds (PUE - 1)."""
    co2e_g: Floats
    co2e_g_low: Floats
    co2e_g_high: Floats
    embodied_g: Floats
    """Share of the hardware's manufacture, grams CO2e."""
    water_ml: Floats
    """Cooling water on site, millilitres; NaN where the facility publishes no WUE."""
    pue: Floats
    intensity_g_per_kwh: Floats
    basis: Column
    """measured | reported | modelled | no_usage | failed."""
    tier: Column
    """Evidence tier: metered_facility ... unknown; "" where there is no figure."""
    model: Column
    """Model as the registry resolved it; "" where it is unknown."""
    region: Column
    """Cloud region or geography that the carbon was reckoned for."""
    region_source: Column
    """How the region is known: rule | span | provider_reported | profile | host | ... | world."""
    zone: Column
    """Grid zone."""
    grid_source: Column
    """Data set behind the intensity, with its vintage."""
    grid_resolution: Column
    """annual | typical-hour | hour | ..."""
    grid_accounting: Column
    """consumption | generation."""
    grid_reason: Column
    """Why there is no carbon figure; "" where there is one."""
    spread: Codes
    """Index into `spreads`."""
    spreads: tuple[SpreadClass, ...]
    signal: str
    """average | marginal, the same for the whole batch."""
    factor_type: str
    """lifecycle | direct, the same for the whole batch."""
    edition: str
    """Label of the methodology edition, such as 2026.11."""

    @classmethod
    def with_columns_later(
        cls, columns: Mapping[str, Any], later: Callable[[], Mapping[str, Any]], plans: Plans | None
    ) -> EstimateBatch:
        """A batch of `columns`; the others are made by `later()` when one of them is first asked for."""
        batch = cls.__new__(cls)
        for name, column in columns.items():
            object.__setattr__(batch, name, column)
        object.__setattr__(batch, "later", later)
        object.__setattr__(batch, "plans", plans)
        return batch

    def take(self, rows: Ints) -> EstimateBatch:
        """The chosen rows."""
        taken: dict[str, Any] = {}
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, Column):
                taken[column.name] = value.take(rows)
            else:
                taken[column.name] = value[rows] if isinstance(value, np.ndarray) else value
        return EstimateBatch(**taken)

    def __len__(self) -> int:
        return len(self.energy_kwh)

    @classmethod
    def concatenate(cls, batches: Sequence[EstimateBatch]) -> EstimateBatch:
        """Rows of all batches below one another. Raises ValueError unless all are of one kind and edition."""
        if len(batches) == 1:
            return batches[0]
        kinds = {(batch.signal, batch.factor_type, batch.edition) for batch in batches}
        if len(kinds) != 1:
            raise ValueError(f"estimates of {sorted(kinds)} cannot stand in one table: they are of one kind")
        made: dict[str, Any] = {}
        for field in fields(cls):
            parts = [getattr(batch, field.name) for batch in batches]
            if field.type == "Column":
                made[field.name] = Column.concatenate(parts)
            elif field.type == "str":
                made[field.name] = parts[0]
            elif field.type == "Floats":
                made[field.name] = np.concatenate(parts)
        first = np.cumsum([0, *(len(batch.spreads) for batch in batches)])
        made["spread"] = np.concatenate(
            [batch.spread + at for batch, at in zip(batches, first[:-1].tolist(), strict=True)]
        ).astype(np.int32)
        made["spreads"] = tuple(spread for batch in batches for spread in batch.spreads)
        return cls(**made)
