"""Regions, facilities and the tables they come from."""

import csv
import json
from pathlib import Path

import pytest

from wattspan.places import EditionTableError, PlaceKey, Places

# PUE as the operators publish it, copied by hand from their tables.
PUE = [
    ("us-east-1", "aws", 1.15, "aws/us-east-1"),
    ("ap-south-2", "aws", 1.46, "aws/ap-south-2"),
    ("ap-southeast-4", "aws", 1.07, "aws/ap-southeast-4"),
    ("eu-west-2", "aws", 1.11, "aws/europe"),
    ("northcentralus", "azure", 1.35, "azure/northcentralus"),
    ("japaneast", "azure", 1.28, "azure/asia-pacific"),
    ("francecentral", "azure", 1.16, "azure/emea"),
    ("us-central1", "gcp", 1.10, "gcp/us-central1"),
    ("europe-west9", "gcp", 1.09, "gcp"),
    ("us-ashburn-1", "oci", 1.54, "unknown_operator"),
]


@pytest.mark.parametrize(("region", "cloud", "pue", "facility"), PUE)
def test_pue_of_a_region_is_its_own_else_its_geographys_else_the_fleets(
    place_of, region, cloud, pue, facility
):
    place = place_of(span_region=region, span_cloud=cloud)
    assert (place.pue, place.facility) == (pue, facility)


@pytest.mark.parametrize(
    ("provider", "pue", "wue", "facility"),
    [
        ("aws.bedrock", 1.14, 0.12, "aws"),
        ("openai", 1.17, 0.27, "azure"),
        ("gcp.gemini", 1.09, 1.15, "gcp"),
        ("anthropic", 1.133, 0.5133, "aws+azure+gcp"),  # (1.14 + 1.17 + 1.09) / 3, (0.12 + 0.27 + 1.15) / 3
        ("deepseek", 1.48, None, "china"),
        ("groq", 1.54, None, "unknown_operator"),
        ("nobody_knows", 1.54, None, "unknown_operator"),
    ],
)
def test_a_provider_without_a_known_region_has_its_fleets_overhead(place_of, provider, pue, wue, facility):
    place = place_of(provider=provider)
    assert (place.pue, place.wue_l_per_kwh, place.facility) == (pue, wue, facility)


def test_water_of_a_region_is_its_own_where_published_and_never_a_figure_filled_in_by_others(places):
    assert places.facilities["aws/us-east-1"].wue_l_per_kwh == 0.12
    assert places.facilities["aws/ap-southeast-3"].wue_l_per_kwh == 2.75
    # AWS publishes none for Cape Town; a third-party table fills in 0.18. The fleet's is used, and said.
    cape_town = places.facilities["aws/af-south-1"]
    assert cape_town.wue_l_per_kwh == 0.12
    assert cape_town.source.endswith("water: mean of the operator's fleet")


def test_ranges_hold_the_other_years(places):
    hyderabad = places.facilities["aws/ap-south-2"]
    assert (hyderabad.pue_low, hyderabad.pue, hyderabad.pue_high) == (1.46, 1.46, 1.5)


def test_all_302_regions_have_a_zone_a_state_or_country_and_a_facility(places):
    regions = places.regions.all
    assert len(regions) == 302
    assert [region for region in regions if not (region.zone and region.ember_area and region.facility)] == []
    assert {region.facility for region in regions} <= set(places.facilities)
    assert all(region.egrid_subregion for region in regions if region.country == "US")
    assert all(region.china_province for region in regions if region.country == "CN")


def test_every_region_can_be_named_on_a_span(places):
    for region in places.regions.all:
        place = places.resolve(PlaceKey(span_region=region.name, span_cloud=region.cloud))
        assert place.members == (region,)


def test_us_east_1_lies_in_virginia(places):
    region = places.regions.find("us-east-1", ("aws",))
    assert region is not None
    assert (region.zone, region.egrid_subregion, region.ember_area) == ("US-MIDA-PJM", "SRVC", "US-VA")
    assert (region.latitude, region.longitude) == (39.04, -77.49)


def test_every_host_and_provider_row_has_a_source(edition):
    table = json.loads((edition / "places.json").read_text())
    rows = [*table["hosts"], *table["providers"].values(), table["profiles"], table["deployment_types"]]
    assert [row for row in rows if not row["source"]] == []
    assert {row["provider"] for row in table["hosts"]} - set(table["providers"]) == {""}
    aliases = [alias for row in table["providers"].values() for alias in row.get("aliases", ())]
    assert len(aliases) == len(set(aliases))
    assert set(aliases).isdisjoint(table["providers"])


def test_a_missing_table_says_which_and_what_to_do(tmp_path: Path):
    with pytest.raises(
        EditionTableError, match=r"places\.json: no such table in this edition; build it with make"
    ):
        Places(tmp_path)


def test_a_damaged_table_says_file_and_line(edition, tmp_path: Path):
    for name in ("places.json", "regions.csv", "facilities.csv"):
        (tmp_path / name).write_bytes((edition / name).read_bytes())
    with (tmp_path / "regions.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    rows[7] = rows[7][:-1]
    with (tmp_path / "regions.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(EditionTableError, match=r"regions\.csv line 8: 16 cells, the header has 17"):
        Places(tmp_path)
