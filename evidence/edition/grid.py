"""Builds the place and grid tables of an edition from `evidence/grid` and `evidence/odbl`."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from evidence.edition.canonical import write_json, write_text

EVIDENCE = Path(__file__).resolve().parent.parent
OPEN = EVIDENCE / "grid"
ODBL = EVIDENCE / "odbl"

Row = dict[str, str]

# Direct values above lifecycle values cannot be: errors upstream. Of these zones no hour is used,
BAD_ZONES = frozenset({"BO", "HN", "RU-1"})
# and of these the direct mean of one year is not.
BAD_DIRECT = frozenset({("US-NW-PACW", "2021")})
# Google's value for Santiago equals the lifecycle value of the zone, not the direct one as everywhere else.
BAD_GOOGLE_REGIONS = frozenset({"southamerica-west1"})
# Google's figures are lifecycle until 2020 and direct from 2021 on.
GOOGLE_DIRECT_SINCE = 2021
# A back-test of estimated hours tests the estimator of the hours, not the grid.
MAX_ESTIMATED_SHARE = 0.5
# One geometric standard deviation to the 90 % band (design D4).
Z_90 = 1.64
# Countries below this size trade so much of their power that production and consumption differ for other
# reasons.
MIN_DEMAND_TWH = 20.0

# What holds where no region and no operator is known, and the fleets that a profile or a span may name.
DEFAULT_FACILITIES = ("aws", "azure", "gcp", "china", "meta", "self_hosted", "unknown_operator")

AWS_GEOGRAPHIES = {
    "north-america": ("US", "CA", "MX"),
    "europe": ("CH", "DE", "ES", "FR", "GB", "IE", "IT", "SE"),
    "asia-pacific": ("AU", "HK", "ID", "IN", "JP", "KR", "MY", "NZ", "SG", "TH", "TW"),
    "middle-east": ("AE", "BH", "IL"),
    "china": ("CN",),
}
AZURE_ASIA_PACIFIC = ("AU", "CN", "HK", "ID", "IN", "JP", "KR", "MY", "NZ", "SG", "TW")
AZURE_AMERICAS = ("BR", "CA", "CL", "MX", "US")


def build(out: Path) -> None:
    """Write regions, facilities, places, `grid/` and `odbl/` of an edition; the same bytes every time."""
    for folder in (out, out / "grid", out / "odbl"):
        folder.mkdir(parents=True, exist_ok=True)
    places = _places()
    regions, facilities = _regions_and_facilities(places)
    _write_csv(out / "facilities.csv", FACILITY_COLUMNS, facilities)
    _write_csv(out / "regions.csv", REGION_COLUMNS, regions)
    write_json(out / "places.json", places)
    _build_open_grid(out / "grid", regions)
    _build_odbl(out / "odbl")


# --- regions and facilities -----------------------------------------------------------------------

REGION_COLUMNS = (
    "provider", "region", "place", "country", "lat", "lon", "zone", "zone_alt", "egrid_subregion",
    "ember_area", "china_province", "facility", "pue", "pue_source", "cfe_percent", "commercial", "status",
)  # fmt: skip
FACILITY_COLUMNS = (
    "facility", "pue", "pue_low", "pue_high", "pue_year", "wue_l_per_kwh", "wue_low", "wue_high", "wue_year",
    "source",
)  # fmt: skip


def _regions_and_facilities(places: Mapping[str, Any]) -> tuple[list[Row], list[Row]]:
    published: dict[str, list[Row]] = defaultdict(list)
    for row in _read(OPEN / "facility_pue.csv"):
        published["/".join(part for part in (row["operator"], row["name"]) if part)].append(row)
    facilities = {name: _facility(rows, published[rows[0]["operator"]]) for name, rows in published.items()}
    used = {*_operator_sets(places), *DEFAULT_FACILITIES}
    for operators in sorted(used - set(facilities)):
        facilities[operators] = _mean_facility(operators, facilities)
    regions = []
    for row in _read(OPEN / "cloud_regions.csv"):
        facility = _facility_of(row, published)
        used.add(facility)
        regions.append(
            {
                **row,
                "place": row["location"],
                "facility": facility,
                "pue": facilities[facility]["pue"],
                "pue_source": facilities[facility]["source"],
            }
        )
    return regions, [{"facility": name, **facilities[name]} for name in sorted(used)]


def _facility_of(region: Row, published: Mapping[str, Sequence[Row]]) -> str:
    """The region's own figure from 2023 or later, else its geography's, the fleet's, the default."""
    cloud, country = region["provider"], region["country"]
    own = f"{cloud}/{region['region']}"
    if any(int(row["year"]) >= 2023 for row in published.get(own, ())):
        return own
    if cloud == "aws":
        for geography, countries in AWS_GEOGRAPHIES.items():
            if country in countries:
                return f"aws/{geography}"
    if cloud == "azure":
        if country in AZURE_ASIA_PACIFIC:
            return "azure/asia-pacific"
        return "azure/americas" if country in AZURE_AMERICAS else "azure/emea"
    return cloud if cloud in published else "unknown_operator"


def _facility(rows: Sequence[Row], fleet: Sequence[Row]) -> Row:
    """The newest PUE and WUE of a facility, with their range over the years; the fleet may lend the WUE."""
    newest = max(rows, key=lambda row: row["year"])
    source = newest["source"]
    if newest["seen_in"]:
        source += f"; seen in {newest['seen_in']}"
    watered = [row for row in rows if row["wue_l_per_kwh"]]
    if not watered:
        watered = [row for row in fleet if row["scope"] == "fleet" and row["wue_l_per_kwh"]]
        if watered:
            source += "; water: mean of the operator's fleet"
    water = max(watered, key=lambda row: row["year"], default=None)
    pues = [float(row["pue"]) for row in rows]
    return {
        "pue": newest["pue"],
        "pue_low": _figure(min(pues)),
        "pue_high": _figure(max(pues)),
        "pue_year": newest["year"],
        "wue_l_per_kwh": water["wue_l_per_kwh"] if water else "",
        "wue_low": _figure(min(float(row["wue_l_per_kwh"]) for row in watered)) if water else "",
        "wue_high": _figure(max(float(row["wue_l_per_kwh"]) for row in watered)) if water else "",
        "wue_year": water["year"] if water else "",
        "source": source,
    }


def _mean_facility(operators: str, facilities: Mapping[str, Row]) -> Row:
    """The unweighted mean over the fleets that a provider may run on, from the lowest to the highest."""
    fleets = [facilities[operator] for operator in operators.split("+")]
    pues = [float(fleet["pue"]) for fleet in fleets]
    wues = [float(fleet["wue_l_per_kwh"]) for fleet in fleets]
    return {
        "pue": _figure(sum(pues) / len(pues)),
        "pue_low": _figure(min(pues)),
        "pue_high": _figure(max(pues)),
        "pue_year": max(fleet["pue_year"] for fleet in fleets),
        "wue_l_per_kwh": _figure(sum(wues) / len(wues)),
        "wue_low": _figure(min(wues)),
        "wue_high": _figure(max(wues)),
        "wue_year": max(fleet["wue_year"] for fleet in fleets),
        "source": f"unweighted mean of the fleets of {operators.replace('+', ', ')}",
    }


def _operator_sets(places: Mapping[str, Any]) -> list[str]:
    rows = [*places["providers"].values(), places["unknown_provider"]]
    return sorted({row.get("facility") or "+".join(row["clouds"]) for row in rows})


# --- places ---------------------------------------------------------------------------------------


def _places() -> dict[str, Any]:
    with (OPEN / "places.yaml").open(encoding="utf-8") as file:
        places: dict[str, Any] = yaml.safe_load(file)
    places["checked"] = str(places["checked"])
    places["countries"] = {row["iso2"]: row["iso3"] for row in _read(OPEN / "countries.csv")}
    return places


# --- grid, open part ------------------------------------------------------------------------------

NOTICE = """\
Licences of the tables in this folder.

ember.csv     Data: Ember (ember-energy.org), CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/);
reshaped.
egrid.csv     US Environmental Protection Agency, eGRID: a work of the United States government, public
domain.
google.csv    Google, region-carbon-info, Apache License 2.0; reshaped, one row left out (Santiago).
china.csv     Ministry of Ecology and Environment of China, provincial factors 2023 (CO2 only).
spreads.csv   Statistics computed by the project; what each was computed from is in its row.
"""


def _build_open_grid(out: Path, regions: Sequence[Row]) -> None:
    ember = [*_read(OPEN / "ember_yearly.csv"), *_read(OPEN / "ember_us_state_yearly.csv")]
    _write_wide(out / "ember.csv", "area", ember)
    _write_wide(out / "egrid.csv", "subregion", _read(OPEN / "egrid_subregion.csv"))
    _write_wide(out / "china.csv", "province", _read(OPEN / "china_province.csv"))
    zones = {row["region"]: row["zone"] for row in regions if row["provider"] == "gcp"}
    google = [
        {**row, "zone": zones[row["region"]]}
        for row in _read(OPEN / "google_region.csv")
        if int(row["year"]) >= GOOGLE_DIRECT_SINCE
        and row["region"] not in BAD_GOOGLE_REGIONS
        and row["g_per_kwh"]
    ]
    _write_wide(out / "google.csv", "region", google, "zone")
    _write_csv(out / "spreads.csv", ("key", "g", "low", "high", "basis"), _spreads(regions))
    write_text(out / "NOTICE", NOTICE)


def _spreads(regions: Sequence[Row]) -> list[Row]:
    """Geometric standard deviations that hold where a zone has none of its own."""
    lifecycle, direct = _measured_sigmas()
    back_test = (
        f"root mean square over the {len(lifecycle)} zones with measured hours of 2024 (Electricity Maps)"
    )
    yearly = _yearly()
    zones = sorted({row["zone"] for row in regions})
    steps = [
        math.log(yearly[zone][year + 1] / value)
        for zone in zones
        for year, value in yearly[zone].items()
        if year + 1 in yearly[zone]
    ]
    other = _other_method(yearly)
    provinces = [math.log(float(row["g_per_kwh"])) for row in _read(OPEN / "china_province.csv")]
    centre = sum(provinces) / len(provinces)
    rows = [
        _spread(
            f"unmeasured/{factor_type}/{resolution}",
            [sigma[resolution] for sigma in sigmas.values()],
            back_test,
        )
        for factor_type, sigmas in (("direct", direct), ("lifecycle", lifecycle))
        for resolution in ("annual", "typical-hour")
    ]
    rows += [
        _spread(
            "other_method",
            other,
            f"Electricity Maps against Ember, {len(other)} pairs of country and year above "
            f"{MIN_DEMAND_TWH:.0f} TWh, 2021-2024",
        ),
        _spread(
            "within/CN",
            [value - centre for value in provinces],
            f"the {len(provinces)} provinces of 2023 about their geometric mean: one zone, many grids",
        ),
        _spread(
            "year_of_age",
            steps,
            f"change from year to year, {len(zones)} zones of cloud regions, 2021-2025 (Electricity Maps)",
        ),
        _world_band(),
    ]
    return sorted(rows, key=lambda row: row["key"])


def _other_method(yearly: Mapping[str, Mapping[int, float]]) -> list[float]:
    zone_of = {row["iso3"]: row["iso2"] for row in _read(OPEN / "countries.csv")}
    logs = []
    for row in _read(OPEN / "ember_yearly.csv"):
        value = yearly.get(zone_of.get(row["area"], ""), {}).get(int(row["year"]))
        if value is not None and float(row["demand_twh"] or 0) > MIN_DEMAND_TWH:
            logs.append(math.log(value / float(row["g_per_kwh"])))
    return logs


def _world_band() -> Row:
    """Intensity below which 5 % and 95 % of demand lie, in the newest year that covers 95 % of the world."""
    rows = [row for row in _read(OPEN / "ember_yearly.csv") if row["demand_twh"]]
    covered: dict[int, float] = defaultdict(float)
    for row in rows:
        covered[int(row["year"])] += float(row["demand_twh"]) * (-0.95 if row["area"] == "WORLD" else 1.0)
    year = max(year for year in covered if covered[year] >= 0)
    values = sorted(
        (float(row["g_per_kwh"]), float(row["demand_twh"]))
        for row in rows
        if row["area"] != "WORLD" and int(row["year"]) == year
    )
    total = sum(demand for _, demand in values)
    found: dict[float, float] = {}
    below = 0.0
    for value, demand in values:
        below += demand
        for share in (0.05, 0.95):
            if below >= share * total:
                found.setdefault(share, value)
    low, high = found[0.05], found[0.95]
    return {
        "key": "world",
        "g": _figure((high / low) ** (1 / (2 * Z_90))),
        "low": _figure(low),
        "high": _figure(high),
        "basis": f"countries by demand, 5 % and 95 %, {year} (Ember)",
    }


# --- grid, ODbL part ------------------------------------------------------------------------------


def _build_odbl(out: Path) -> None:
    write_text(out / "LICENSE", (ODBL / "LICENSE").read_text(encoding="utf-8"))
    yearly = [
        {**row, "g_per_kwh": row["lifecycle_g_per_kwh"]}
        for row in _read(ODBL / "em_yearly.csv")
        if row["lifecycle_g_per_kwh"]
    ]
    _write_wide(out / "yearly.csv", "zone", yearly)
    direct = [
        {"zone": row["zone"], "year": row["year"], "g_per_kwh": row["direct_g_per_kwh"],
         "estimated_share": row["estimated_share"]}
        for row in _read(ODBL / "em_hourly_annual.csv")
        if _is_good_direct(row)
    ]  # fmt: skip
    _write_csv(out / "direct.csv", ("zone", "year", "g_per_kwh", "estimated_share"), direct)
    _write_csv(out / "bands.csv", ("zone", "factor_type", "resolution", "g", "estimated_share"), _bands())
    estimated = {row["zone"]: float(row["estimated_share"]) for row in _read(ODBL / "em_shape_estimated.csv")}
    for factor_type in ("lifecycle", "direct"):
        shapes = _read(ODBL / f"em_shape_{factor_type}.csv")
        good = {zone for zone, share in estimated.items() if share < MAX_ESTIMATED_SHARE} - BAD_ZONES
        # A factor of zero would make a call free of carbon.
        good -= {row["zone"] for row in shapes if any(float(row[f"h{hour:02d}"]) <= 0 for hour in range(24))}
        columns = ("zone", "month", *(f"h{hour:02d}" for hour in range(24)))
        _write_csv(out / f"shapes_{factor_type}.csv", columns, [row for row in shapes if row["zone"] in good])


def _is_good_direct(row: Row) -> bool:
    if row["zone"] in BAD_ZONES or (row["zone"], row["year"]) in BAD_DIRECT:
        return False
    return 0 < float(row["direct_g_per_kwh"]) < float(row["lifecycle_g_per_kwh"])


def _bands() -> list[Row]:
    lifecycle, direct = _measured_sigmas()
    shares = {row["zone"]: row["estimated_share_2024"] for row in _read(ODBL / "embedded_band.csv")}
    return [
        {"zone": zone, "factor_type": factor_type, "resolution": resolution,
         "g": _figure(math.exp(sigmas[zone][resolution])), "estimated_share": shares[zone]}
        for zone in sorted(lifecycle)
        for factor_type, sigmas in (("direct", direct), ("lifecycle", lifecycle))
        for resolution in ("annual", "typical-hour")
    ]  # fmt: skip


def _measured_sigmas() -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Log standard deviation per zone and resolution, lifecycle and direct, back-tested on hours of 2024.

    The smallest band symmetric in logs that holds both the 5 % and the 95 % point of truth over embedded
    value. The back-test is
    of lifecycle values; direct ones vary more, by the variance that their month and hour factors have more.
    """
    excess = {
        zone: max(0.0, of_direct - of_lifecycle) for zone, of_direct, of_lifecycle in _shape_variances()
    }
    lifecycle: dict[str, dict[str, float]] = {}
    direct: dict[str, dict[str, float]] = {}
    for row in _read(ODBL / "embedded_band.csv"):
        if float(row["estimated_share_2024"]) >= MAX_ESTIMATED_SHARE or row["zone"] in BAD_ZONES:
            continue
        zone = row["zone"]
        lifecycle[zone] = {
            resolution: max(
                -math.log(float(row[f"{name}_ratio_p05"])), math.log(float(row[f"{name}_ratio_p95"]))
            )
            / Z_90
            for resolution, name in (("annual", "annual"), ("typical-hour", "profile"))
        }
        direct[zone] = {name: math.sqrt(sigma**2 + excess[zone]) for name, sigma in lifecycle[zone].items()}
    return lifecycle, direct


def _shape_variances() -> list[tuple[str, float, float]]:
    """Variance of the logs of the 288 direct and lifecycle factors, per zone."""
    logs: dict[str, dict[str, list[float]]] = {"direct": defaultdict(list), "lifecycle": defaultdict(list)}
    for factor_type, zones in logs.items():
        for row in _read(ODBL / f"em_shape_{factor_type}.csv"):
            # A direct factor of zero has no log; a thousandth of the mean stands for it in the spread.
            zones[row["zone"]] += [math.log(max(float(row[f"h{hour:02d}"]), 1e-3)) for hour in range(24)]
    return [
        (zone, _variance(logs["direct"][zone]), _variance(logs["lifecycle"][zone]))
        for zone in sorted(logs["lifecycle"])
    ]


def _yearly() -> dict[str, dict[int, float]]:
    table: dict[str, dict[int, float]] = defaultdict(dict)
    for row in _read(ODBL / "em_yearly.csv"):
        if row["lifecycle_g_per_kwh"]:
            table[row["zone"]][int(row["year"])] = float(row["lifecycle_g_per_kwh"])
    return table


# --- reading and writing --------------------------------------------------------------------------


def _read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([row[column] for column in columns] for row in rows)


def _write_wide(path: Path, key: str, rows: Sequence[Row], second: str = "name") -> None:
    """One row a key, one column a year; cells that nobody published stay empty."""
    cells: dict[str, Row] = defaultdict(dict)
    names: dict[str, str] = {}
    for row in rows:
        if float(row["g_per_kwh"]) > 0:
            cells[row[key]][row["year"]] = row["g_per_kwh"]
            names[row[key]] = row[second]
    years = sorted({year for row in cells.values() for year in row})
    _write_csv(
        path,
        (key, second, *years),
        [
            {key: name, second: names[name], **dict.fromkeys(years, ""), **cells[name]}
            for name in sorted(cells)
        ],
    )


def _spread(key: str, logs: Sequence[float], basis: str) -> Row:
    """A spread that is the root mean square of `logs`."""
    sigma = math.sqrt(sum(value * value for value in logs) / len(logs))
    return {"key": key, "g": _figure(math.exp(sigma)), "low": "", "high": "", "basis": basis}


def _figure(value: float) -> str:
    return f"{value:.4g}"


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)
