"""Embedded intensities against values copied by hand from the source tables."""

import math

import pytest

from wattspan.grid import Embedded, MixedKindsError, same_kind
from wattspan.places import PlaceKey, Places

# (region, zone, Electricity Maps 2024 and 2025, lifecycle), from the yearly table.
LIFECYCLE = [
    ("aws/us-east-1", "US-MIDA-PJM", 403, 418),
    ("aws/us-west-2", "US-NW-PACW", 197, 204),
    ("aws/eu-west-1", "IE", 352, 301),
    ("aws/eu-north-1", "SE-SE3", 21, 20),
    ("aws/ap-south-1", "IN-WE", 657, 653),
    ("aws/sa-east-1", "BR-CS", 102, 106),
    ("aws/af-south-1", "ZA", 712, 700),
    ("azure/westus2", "US-NW-BPAT", 109, 129),
    ("azure/australiaeast", "AU-NSW", 541, 525),
    ("azure/polandcentral", "PL", 581, 565),
    ("gcp/us-central1", "US-MIDW-MISO", 487, 501),
    ("gcp/europe-west9", "FR", 33, 31),
    ("gcp/europe-west1", "BE", 153, 180),
    ("gcp/asia-northeast1", "JP-TK", 539, 535),
    ("gcp/northamerica-northeast1", "CA-QC", 35, 41),
    ("oci/us-phoenix-1", "US-SW-SRP", 317, 304),
    ("oci/af-casablanca-1", "MA", 527, 516),
    ("alibaba/cn-hangzhou", "CN", 513, 485),
    ("ibm/eu-de", "DE", 341, 342),
    ("scaleway/it-mil", "IT-NO", 238, 275),
    ("coreweave/US-EAST-01", "US-NY-NYIS", 302, 314),
]

# (region, value, vintage, area, source): direct, 2024 or the newest there is.
DIRECT = [
    ("aws/us-east-1", 323.319, 2024, "US-MIDA-PJM", "Electricity Maps"),
    ("aws/sa-east-1", 66.621, 2024, "BR-CS", "Electricity Maps"),
    ("gcp/europe-west9", 16.494, 2024, "FR", "Electricity Maps"),
    ("gcp/europe-west6", 15.05, 2024, "CH", "Google, region europe-west6"),
    ("aws/eu-central-2", 15.05, 2024, "CH", "Google, region europe-west6"),
    ("aws/eu-north-1", 2.73, 2024, "SE-SE3", "Google, region europe-north2"),
    ("azure/westcentralus", 472.89, 2023, "RMPA", "EPA eGRID"),
    ("alibaba/cn-chengdu", 156.4, 2023, "CN-SC", "MEE, provinces of China (CO2 only)"),
    ("azure/norwayeast", 8.624, 2024, "NO", "Electricity Maps"),
]

# (cloud, geography, regions, mean, lowest, highest): grid research, section 5, and its table of mixes, 2025.
MIXES = [
    ("aws", "us", 4, 312.0, 204, 418),
    ("azure", "us", 9, 392.8, 129, 687),
    ("gcp", "us", 10, 422.1, 129, 654),
    ("big3", "us", 23, 391.5, 129, 687),
    ("big3", "eu", 30, 212.5, 20, 565),
    ("big3", "apac", 44, 512.9, 90, 667),
    ("big3", "global", 136, 360.4, 20, 700),
    ("aws", "eu", 6, 184.2, 20, 342),
    ("aws", "eea_ch_gb", 8, 166.4, 20, 342),
    ("aws", "apac", 14, 496.7, 90, 667),
    ("aws", "jp", 2, 452.5, 370, 535),
    ("aws", "au", 2, 499.5, 474, 525),
    ("aws", "in", 2, 571.0, 489, 653),
    ("aws", "global", 34, 366.5, 20, 700),
    ("azure", "eu", 13, 214.1, 20, 565),
    ("azure", "in", 5, 620.2, 489, 653),
    ("azure", "global", 58, 349.6, 20, 700),
    ("gcp", "eu", 11, 226.1, 20, 565),
    ("gcp", "global", 44, 370.1, 20, 700),
    ("oci", "global", 46, 343.4, 20, 700),
    ("coreweave", "eu", 5, 91.2, 20, 144),
    ("alibaba", "global", 14, 459.1, 176, 667),
]


@pytest.fixture(scope="module")
def lifecycle(edition):
    return Embedded(edition)


@pytest.fixture(scope="module")
def direct(edition):
    return Embedded(edition, "direct")


@pytest.mark.parametrize(("name", "zone", "of_2024", "of_2025"), LIFECYCLE)
def test_lifecycle_of_a_region_is_its_zones_of_the_year(lifecycle, region, name, zone, of_2024, of_2025):
    for year, value in ((2024, of_2024), (2025, of_2025)):
        found = lifecycle.at(region(name), year)
        assert (found.g_per_kwh, found.zone, found.vintage) == (value, zone, year)
        assert (found.source, found.accounting, found.resolution) == (
            "Electricity Maps",
            "consumption",
            "annual",
        )
        assert (found.signal, found.factor_type) == ("average", "lifecycle")


@pytest.mark.parametrize(("name", "value", "vintage", "area", "source"), DIRECT)
def test_direct_comes_from_direct_tables_only(direct, region, name, value, vintage, area, source):
    found = direct.at(region(name), 2024)
    assert (found.g_per_kwh, found.vintage, found.zone, found.source) == (value, vintage, area, source)
    assert found.factor_type == "direct"


def test_figures_from_estimated_hours_are_marked(lifecycle, direct, region):
    assert lifecycle.at(region("gcp/asia-northeast1"), 2025).is_estimated
    assert direct.at(region("gcp/asia-northeast1"), 2024).is_estimated
    assert not lifecycle.at(region("aws/us-east-1"), 2025).is_estimated


def test_where_no_direct_table_has_a_place_there_is_no_figure_and_a_reason(direct, region, places):
    ireland = direct.at(region("aws/eu-west-1"), 2025)
    assert math.isnan(ireland.g_per_kwh)
    assert not ireland.has_figure
    assert ireland.reason == "no direct table has IE"
    assert ireland.factor_type == "direct"
    nowhere = direct.at(places.resolve(PlaceKey()), 2025)
    assert not nowhere.has_figure
    assert nowhere.reason == "no direct table has the world"


def test_a_direct_mix_says_how_many_regions_it_covers(direct, mix):
    found = direct.at(mix("aws", "eu"), 2024)
    # DE 275.124, SE-SE3 2.73 (Google), IT-NO 201.69 (Google), ES 88.305, FR 16.494; Ireland has none.
    assert found.g_per_kwh == pytest.approx((275.124 + 2.73 + 201.69 + 88.305 + 16.494) / 5)
    assert (found.covered, found.members, found.g_low, found.g_high) == (5, 6, 2.73, 275.124)
    assert found.source == "Electricity Maps + Google"


def test_a_direct_mix_that_covers_too_little_has_no_figure(direct, places):
    found = direct.at(places.resolve(PlaceKey(span_region="ie", provider="anthropic")), 2024)
    assert not found.has_figure
    assert found.reason == "direct tables have 0 of 2 regions of aws+azure+gcp/ie; at least half are needed"


@pytest.mark.parametrize(("cloud", "geography", "regions", "mean", "low", "high"), MIXES)
def test_a_geography_is_the_unweighted_mean_of_its_regions_from_lowest_to_highest(
    lifecycle, mix, cloud, geography, regions, mean, low, high
):
    found = lifecycle.at(mix(cloud, geography), 2025)
    assert (found.members, round(found.g_per_kwh, 1), found.g_low, found.g_high) == (regions, mean, low, high)
    assert (found.source, found.vintage) == ("Electricity Maps", 2025)


def test_the_world_is_embers(lifecycle, places):
    found = lifecycle.at(places.resolve(PlaceKey()), 2024)
    assert (found.g_per_kwh, found.vintage, found.source) == (472.99, 2024, "Ember, world")
    assert (found.accounting, found.g_low, found.g_high) == ("generation", 96.4, 713.0)
    assert lifecycle.at(places.resolve(PlaceKey()), 2020).g_per_kwh == 491.97


def test_namibia_has_a_value(lifecycle, places):
    found = lifecycle.at(places.resolve(PlaceKey(provider="x", reported_region="NA")), 2025)
    assert (found.g_per_kwh, found.zone, found.source) == (93.0, "NA", "Electricity Maps")


def test_a_zone_that_no_table_has_falls_to_its_country_and_then_to_the_world(edition, lifecycle):
    def at(zone):
        rules = [{"match": {"model": "*"}, "zone": zone}]
        return lifecycle.at(Places(edition, rules).resolve(PlaceKey(model="m")), 2024)

    assert (at("DE").g_per_kwh, at("DE").source) == (341.0, "Electricity Maps")
    assert (at("DE-NORTH").g_per_kwh, at("DE-NORTH").source) == (344.14, "Ember")
    assert (at("XX").g_per_kwh, at("XX").source) == (472.99, "Ember, world (no table has XX)")


# --- bands ---------------------------------------------------------------------------------------


def test_the_band_of_a_zone_is_that_of_the_back_test(lifecycle, region):
    found = lifecycle.at(region("aws/us-east-1"), 2025)
    # 2024 in PJM: 90 % of hours between 0.839 and 1.187 of the embedded value; ln(1/0.839) / 1.64 = 0.1070.
    assert found.g == 1.113
    assert found.g_low == pytest.approx(418 * 0.839, rel=1e-3)
    assert found.g_high == pytest.approx(418 / 0.839, rel=1e-3)


def test_a_zone_without_measured_hours_has_the_band_of_the_others(lifecycle, region):
    for name in ("aws/eu-west-1", "gcp/asia-northeast1"):  # Ireland: no hours; Tokyo: all hours estimated
        assert lifecycle.at(region(name), 2025).g == pytest.approx(1.725)


def test_a_price_zone_has_the_band_of_its_country(lifecycle, region):
    # Sweden: 0.526 to 1.663; ln(1.663) = 0.5086 is less than ln(1/0.526) = 0.6425, / 1.64 = 0.3918.
    assert lifecycle.at(region("aws/eu-north-1"), 2025).g == pytest.approx(1.480)


def test_a_zone_that_sources_disagree_on_is_wider(lifecycle, region):
    found = lifecycle.at(region("aws/us-west-2"), 2025)
    # PACW 204 (g 2.268) or BPAT 129: sqrt(ln(2.268)^2 + (ln(204/129)/1.64)^2) = sqrt(0.6706 + 0.0781).
    assert found.g_per_kwh == 204
    assert found.g == pytest.approx(2.3757, rel=1e-3)
    assert [factor.key for factor in found.factors] == ["zone:US-NW-PACW", "zone of:aws/us-west-2"]


@pytest.mark.parametrize(
    ("year", "value", "vintage", "g"),
    [
        (2025, 418, 2025, 1.1130),
        (2026, 418, 2025, 1.1130),  # the back-test is of a value one year old
        (2027, 418, 2025, 1.1933),  # sqrt(0.10706^2 + ln(1.151)^2) = 0.17675
        (2028, 418, 2025, 1.2534),  # sqrt(0.10706^2 + 2 ln(1.151)^2) = 0.22587
        (2022, 434, 2022, 1.1130),
        (2021, 439, 2021, 1.1130),
        (2019, 439, 2021, 1.1933),  # before the table begins: its first year
        (0, 418, 2025, 1.1130),  # unknown: the newest
    ],
)
def test_the_year_of_the_call_else_the_nearest_earlier_one_wider_with_each_year(
    lifecycle, region, year, value, vintage, g
):
    found = lifecycle.at(region("aws/us-east-1"), year)
    assert (found.g_per_kwh, found.vintage) == (value, vintage)
    assert found.g == pytest.approx(g, rel=1e-4)


def test_china_is_one_zone_with_many_grids(lifecycle, mix, region):
    # exp(sqrt(ln(1.725)^2 + ln(1.504)^2)) = exp(0.6807)
    assert lifecycle.at(region("alibaba/cn-hangzhou"), 2025).g == pytest.approx(1.9753, rel=1e-3)
    found = lifecycle.at(mix("alibaba", "cn"), 2025)
    assert (found.members, found.g_per_kwh) == (11, 485.0)
    assert found.g_low == pytest.approx(485 / 1.9753**1.64, rel=1e-3)


def test_the_spread_of_a_mix_is_as_wide_as_its_range_and_its_zones(lifecycle, mix):
    found = lifecycle.at(mix("aws", "jp"), 2025)
    # Range: ln(535/370) / 2 / 1.64 = 0.11241; both zones 1.725: sqrt(0.11241^2 + ln(1.725)^2) = 0.55674.
    assert found.g == pytest.approx(math.exp(0.55674), rel=1e-4)
    assert [factor.key for factor in found.factors] == ["region:aws/jp", "zones:aws/jp"]


def test_factors_multiply_to_the_spread_for_every_place(edition, places):
    for signal in (
        Embedded(edition),
        Embedded(edition, "direct"),
        Embedded(edition, "lifecycle", "typical-hour"),
    ):
        for one in places.regions.all:
            found = signal.at(places.resolve(PlaceKey(span_region=one.name, span_cloud=one.cloud)), 2027)
            if found.has_figure:
                sigma = math.sqrt(sum(factor.ln_g**2 for factor in found.factors))
                assert found.g == pytest.approx(math.exp(sigma))
                assert 0 < found.g_low < found.g_per_kwh < found.g_high
                assert found.g_high / found.g_per_kwh == pytest.approx(found.g**1.64)


def test_every_region_has_a_lifecycle_figure_and_none_is_zero(lifecycle, places):
    for one in places.regions.all:
        found = lifecycle.at(places.resolve(PlaceKey(span_region=one.name, span_cloud=one.cloud)), 2025)
        assert (found.source, found.vintage, found.covered) == ("Electricity Maps", 2025, 1)
        assert 20 <= found.g_per_kwh <= 800


# --- without the ODbL folder ---------------------------------------------------------------------

EMBER = [
    ("aws/us-east-1", 321.47, "US-VA"),
    ("aws/us-west-2", 203.66, "US-OR"),
    ("aws/eu-west-1", 279.7, "IRL"),
    ("aws/eu-north-1", 35.82, "SWE"),
    ("aws/ap-south-1", 708.32, "IND"),
    ("gcp/europe-west9", 44.18, "FRA"),
    ("oci/af-casablanca-1", 577.65, "MAR"),
]


@pytest.mark.parametrize(("name", "value", "area"), EMBER)
def test_without_the_odbl_folder_ember_answers(open_edition, region, name, value, area):
    found = Embedded(open_edition).at(region(name), 2024)
    assert (found.g_per_kwh, found.zone, found.vintage, found.source) == (value, area, 2024, "Ember")
    assert (found.accounting, found.factor_type) == ("generation", "lifecycle")
    # exp(sqrt(ln(1.725)^2 + ln(1.346)^2)): no band of the zone, and another method.
    assert found.g == pytest.approx(1.8607, rel=1e-3)


def test_without_the_odbl_folder_every_region_and_mix_has_a_figure(open_edition, mix):
    places, signal = Places(open_edition), Embedded(open_edition, "lifecycle", "typical-hour")
    for one in places.regions.all:
        found = signal.at(places.resolve(PlaceKey(span_region=one.name, span_cloud=one.cloud)), 2025)
        assert (found.source, found.resolution) == ("Ember", "annual")
    found = signal.at(mix("aws", "us"), 2024)
    # Virginia, Ohio, California and Oregon, of which California is the cleanest.
    assert (found.members, found.source, found.g_low) == (4, "Ember", 199.67)


def test_the_open_tables_can_be_preferred(edition, open_edition, region):
    place = region("aws/us-east-1")
    assert Embedded(edition, use_odbl=False).at(place, 2024) == Embedded(open_edition).at(place, 2024)


def test_without_the_odbl_folder_direct_is_google_and_egrid(open_edition, region):
    direct = Embedded(open_edition, "direct")
    found = direct.at(region("aws/us-east-1"), 2024)
    assert (found.g_per_kwh, found.source) == (323.05, "Google, region us-east4")
    found = direct.at(region("aws/us-west-2"), 2024)
    assert (found.g_per_kwh, found.vintage, found.source) == (288.15, 2023, "EPA eGRID")
    found = direct.at(region("coreweave/US-EAST-01"), 2022)
    assert (found.g_per_kwh, found.zone, found.accounting) == (402.19, "NYCW", "generation")


# --- kinds ---------------------------------------------------------------------------------------


def test_intensities_of_different_kinds_cannot_be_put_together(lifecycle, direct, region):
    place = region("aws/us-east-1")
    with pytest.raises(MixedKindsError, match="average direct, average lifecycle; choose one"):
        same_kind([lifecycle.at(place, 2024), direct.at(place, 2024)])
    assert same_kind([lifecycle.at(place, 2024), lifecycle.at(place, 2025)]) == ("average", "lifecycle")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor_type": "marginal"}, "factor_type is 'marginal'; allowed: lifecycle, direct"),
        ({"resolution": "hourly"}, "resolution is 'hourly'; allowed: annual, typical-hour"),
    ],
)
def test_an_unknown_kind_is_refused(edition, options, message):
    with pytest.raises(ValueError, match=message):
        Embedded(edition, **options)
