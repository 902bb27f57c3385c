"""What a footprint leaves out: an estimate from above, in percent, and why (PACT: exemptedEmissionsPercent).

A bare 0 would be false, and a fixed share too low for a feature that takes little. Networks and storage are
reckoned beside the sealed electricity; what nobody knows the size of is named and not in the number.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from wattspan.disclosure.numbers import exactly, shown
from wattspan.disclosure.pact.terms import Terms
from wattspan.disclosure.render.document import BOUNDARY_NAMES

NETWORK_KWH_PER_GB: Final = Decimal("0.06")
"""Fixed-line networks, 2015; it halved every two years before (Aslan et al. 2018, doi:10.1111/jiec.12630)."""
GB_PER_1000: Final = Decimal("0.1")
"""100 kB a request: far more than a page of text, so that it is an upper estimate."""
NETWORK_AND_STORAGE: Final = 2
"""Storage is taken to be as large as networks."""
IN_THE_NUMBER: Final = ("network", "storage")
BEYOND_THE_GATE: Final = ("client_device",)


def exempted(columns: Mapping[str, Any], terms: Terms) -> tuple[str, str]:
    """Percent of the emissions that are left out, as PACT writes it, and its reason."""
    out = [row["code"] for row in columns["boundary"] if not row["is_in"]]
    unknown = [BOUNDARY_NAMES[code] for code in out if code not in (*IN_THE_NUMBER, *BEYOND_THE_GATE)]
    percent, reason = (
        (terms.exempted_percent, terms.exempted_reason) if terms.exempted_percent else _estimate(columns)
    )
    beside = f" Outside the boundary too, of unknown size and not in this percentage: {', '.join(unknown)}."
    return percent, f"{reason.rstrip('. ')}." + (beside if unknown else "")


def _estimate(columns: Mapping[str, Any]) -> tuple[str, str]:
    with exactly():
        stated = Decimal(columns["energy_kwh"]["exact"])
        left_out = NETWORK_KWH_PER_GB * GB_PER_1000 * NETWORK_AND_STORAGE
        percent = (100 * left_out / (stated + left_out)).quantize(Decimal(1), ROUND_CEILING)
    reason = (
        "Estimated from above, not measured: data networks and storage up to the gate, as twice what moving "
        f"{int(GB_PER_1000 * 1000)} kB a request takes at {NETWORK_KWH_PER_GB} kWh/GB (Aslan et al. 2018, "
        f"for 2015): {left_out} kWh per 1,000 inferences beside the {shown(stated)} kWh of the figure, "
        "rounded up."
    )
    return str(percent), reason
