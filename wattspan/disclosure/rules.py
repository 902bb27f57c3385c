"""The rules of a disclosure that are data: spreads beyond the edition's, ratings, what counts as measured.

They are sealed with every disclosure; a change of rules is a change of methodology.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from wattspan.disclosure.numbers import exactly, rounded

MIXES: Final = ("measured", "provider_disclosed", "modelled", "proxy")


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules as they are used; `content` is what is sealed."""

    content: Mapping[str, Any]

    def ln_g(self, name: str) -> Decimal:
        """ln of one geometric standard deviation of "hardware" or "coverage"."""
        with exactly():
            return rounded(Decimal(self.content["spreads"][name]["g"]).ln(), 15)

    def sampling_ln_g(self, rows: int) -> Decimal:
        """The spread that comes of having sampled `rows` calls: ln(1 + cv^2 / n) is its square."""
        with exactly():
            cv = Decimal(self.content["spreads"]["sampling_cv"]["value"])
            return rounded((1 + cv * cv / max(rows, 1)).ln().sqrt(), 15)

    def mix(self, basis: str, evidence: str) -> str:
        """measured | provider_disclosed | modelled | proxy."""
        named = self.content["bases"].get(basis) or self.content["evidence"].get(evidence, {}).get("mix")
        return str(named or "proxy")

    def technology(self, evidence: str) -> int:
        """Rating 1 (best) to 5."""
        return int(self.content["evidence"].get(evidence, {}).get("technology", 5))

    def geography(self, region_source: str) -> int:
        """Rating 1 (best) to 5."""
        return int(self.content["geography"].get(region_source, 5))

    def time(self, resolution: str, grid_source: str, year: int) -> int:
        """Rating 1 (best) to 5 of a grid figure used for calls of `year`; its vintage ends its source."""
        rules = self.content["time"]
        if resolution in rules:
            return int(rules[resolution])
        vintage = grid_source.rpartition(" ")[2]
        if not vintage.isdigit():
            return int(rules["older"])
        age = max(0, year - int(vintage))
        by_age = rules["by_age_years"]
        return int(by_age[age] if age < len(by_age) else rules["older"])


@lru_cache(1)
def current_rules() -> Rules:
    """The rules of this version."""
    text = files("wattspan.disclosure").joinpath("data/rules.json").read_text(encoding="utf-8")
    return Rules(json.loads(text))
