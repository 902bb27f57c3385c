"""`Spreads`: how far the values of a live feed may be off."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from wattspan.grid.feeds.feed import Feed
from wattspan.grid.tables import Tables


class Spreads(NamedTuple):
    """How far a feed's values may be off: ln of one geometric standard deviation (68 %)."""

    revision_ln_g: float = math.log(1.099) / 1.645
    """Of a measured hour. Electricity Maps' hours, read anew years later, differ by 9.9 % at the 90th
    percentile of zones (annual means, evidence of the edition)."""
    method_ln_g: float = 0.0
    """On top, for any method but that of the edition's own tables."""
    unmeasured_ln_g: float = 0.0
    """Of an estimated hour or a forecast where no coarse figure says more."""
    year_of_age_ln_g: float = 0.0
    """Of a yearly value, for each year past the first that it stands in for."""

    @classmethod
    def of(cls, edition: Path, feed: Feed) -> Spreads:
        """As the edition measured them."""
        spreads = Tables(edition).spreads
        is_same_method = feed.name == "electricity-maps"
        return cls(
            method_ln_g=0.0 if is_same_method else math.log(spreads["other_method"]),
            unmeasured_ln_g=math.log(spreads[f"unmeasured/{feed.kind.factor_type}/annual"]),
            year_of_age_ln_g=math.log(spreads["year_of_age"]),
        )
