"""The `plan` column: the constants an estimate was made with, so that sums of calls can be reckoned exactly.

Energy is linear in the moments of a call (`estimator.moments`); with these constants, years later and without
the edition at hand, a disclosure takes the dot product in decimals.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from wattspan.estimator import Estimator, Plan, Planner
from wattspan.grid import Embedded


class PlanTexts:
    """Plans of one estimator as text; each is written once."""

    def __init__(self, estimator: Estimator) -> None:
        self._direct = Embedded(estimator.edition.folder, factor_type="direct")
        self._texts: dict[int, tuple[Plan, str]] = {}

    def of(self, plan: Plan) -> str:
        """Canonical JSON of the constants of `plan`."""
        found = self._texts.get(id(plan))
        if found is None:
            if len(self._texts) >= Planner.MAX_PLANS:
                self._texts.clear()
            # the plan is kept with its text, so its id cannot be given to another
            found = self._texts[id(plan)] = plan, self._written(plan)
        return found[1]

    def _written(self, plan: Plan) -> str:
        host = plan.host
        direct = self._direct.at(plan.place, plan.intensity.vintage or 0)
        content = {
            "joules": list(astuple(plan.coefficients)),
            "server": plan.server_factor,
            "facility": plan.facility_factor,
            "embodied": plan.embodied_g_per_gpu_j,
            "water": _or_none(plan.water_ml_per_it_kwh),
            "hardware": f"{host.gpu}, batch {host.batch:g}" if host.batch else host.gpu,
            "direct": _or_none(direct.g_per_kwh),
        }
        return json.dumps(content, separators=(",", ":"), sort_keys=True)


def read_plan(text: str) -> Mapping[str, Any]:
    """Back from the text.

    joules (J per moment), server and facility (factors), embodied (g per GPU joule), water (mL per kWh of IT
    energy), direct (g per kWh), hardware. Raises ValueError for anything else.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or len(content.get("joules", ())) != 7:
        raise ValueError(f"{text[:80]!r} is not a plan column's text")
    return content


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
