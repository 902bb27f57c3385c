"""The same held-out rows predicted by EcoLogits 0.11.3 and by this edition.

26 configurations on H100 near batch 64, the batch EcoLogits assumes. Neither side charges prefill here:
EcoLogits has none, and the benchmark counts its short prompts into the joules of an output token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from evidence.edition.fit import log_errors
from evidence.edition.tables import Floats, Measurements, Row, read_table, row_by_id
from evidence.validation.coverage import log_errors_on_host
from evidence.validation.errors import Errors
from evidence.validation.held_out import forms_without

ECOLOGITS_BATCH = 64.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Errors of both on the same rows; ours with the model's group left out of the fit."""

    rows: tuple[Row, ...]
    ecologits: Errors
    same_knowledge: Errors
    """Ours knowing what EcoLogits knows: the parameters, batch 64."""
    as_shipped: Errors
    """Ours as an unknown host of an open model is estimated: batch 128."""
    configuration_known: Errors
    """Ours knowing GPU count, precision and batch."""


def compare() -> Comparison:
    """Errors on the 26 rows."""
    rows = read_table("ecologits_vs_mlenergy_h100")
    cells = Measurements.of(row_by_id("published_energy", row["measured_row"]) for row in rows)
    same, shipped, known = (np.empty(len(cells)) for _ in range(3))
    for group, form in forms_without("group").items():
        own = cells.group == group
        if own.any():
            held_out = cells.take(own)
            same[own] = log_errors_on_host(form, held_out, "open", batch=ECOLOGITS_BATCH)
            shipped[own] = log_errors_on_host(form, held_out, "open")
            known[own] = log_errors(form, held_out)
    return Comparison(
        rows=rows,
        ecologits=Errors("EcoLogits 0.11.3 (parameters; batch 64)", _ecologits_errors(rows)),
        same_knowledge=Errors("Wattspan, the same knowledge (parameters; batch 64)", same),
        as_shipped=Errors("Wattspan as shipped (parameters; batch 128)", shipped),
        configuration_known=Errors("Wattspan, configuration declared", known),
    )


def _ecologits_errors(rows: tuple[Row, ...]) -> Floats:
    predicted = np.array([float(row["ecologits_gpu_j_per_output_token"]) for row in rows])
    measured = np.array([float(row["measured_j_per_output_token"]) for row in rows])
    return cast(Floats, np.log(predicted / measured))
