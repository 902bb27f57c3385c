"""`EstimateBatch`: energy and carbon of a `CallBatch`, row for row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from wattspan.calls.batch import Codes, Column, Floats


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


@dataclass(frozen=True, slots=True)
class EstimateBatch:
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
