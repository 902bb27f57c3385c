"""Golden values: the annual intensity of each of the 302 cloud regions, joined by another program."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from wattspan.grid import Embedded

GOLDEN = Path(__file__).parents[2] / "evidence" / "odbl" / "region_golden.csv"


def golden() -> list[dict[str, str]]:
    with GOLDEN.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_region_is_in_its_zone_and_has_the_zones_lifecycle_value(edition, region):
    lifecycle, rows = Embedded(edition), golden()
    assert len(rows) == 302
    wrong = []
    for row in rows:
        place = region(f"{row['cloud']}/{row['region']}")
        for year in (2024, 2025):
            found = lifecycle.at(place, year)
            expected = (row["zone"], float(row[f"lifecycle_{year}"]), year, "Electricity Maps")
            if (found.zone, found.g_per_kwh, found.vintage, found.source) != expected:
                wrong.append((row["region"], found.zone, found.g_per_kwh, found.vintage, expected))
    assert wrong == []


def test_every_region_whose_zone_has_hours_has_their_direct_mean(edition, region):
    direct, checked = Embedded(edition, "direct"), 0
    for row in golden():
        if not row["direct_2024"]:
            continue
        found = direct.at(region(f"{row['cloud']}/{row['region']}"), 2024)
        assert found.kind == ("average", "direct")
        # The join rounds to a tenth.
        assert found.g_per_kwh == pytest.approx(float(row["direct_2024"]), abs=0.0501), row
        checked += 1
    assert checked == sum(1 for row in golden() if row["direct_2024"]) > 200
