"""`wattspan regions`: the cloud regions of an edition, with zone, intensity and overhead."""

from __future__ import annotations

import json
import math
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from wattspan import quantities
from wattspan.cli.console import BAD_INPUT, console, fail
from wattspan.estimator import Estimator
from wattspan.methodology import LATEST, EditionError
from wattspan.places import PlaceKey


def regions(
    search: Annotated[str, typer.Argument(help="Part of a cloud, region, place or zone.")] = "",
    edition: Annotated[str, typer.Option(help="Methodology edition.")] = LATEST,
    factor_type: Annotated[str, typer.Option(help="lifecycle or direct.")] = "lifecycle",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List cloud regions: grid zone, newest annual intensity with its band, PUE."""
    try:
        estimator = Estimator(edition, factor_type=factor_type)
    except (EditionError, ValueError) as error:
        fail(str(error))
    wanted = search.lower()
    rows = []
    for region in estimator.places.regions.all:
        zones = f"{region.zone} {region.zone_alt}"
        if wanted not in f"{region.cloud}/{region.name} {region.location} {zones}".lower():
            continue
        place = estimator.places.resolve(PlaceKey(span_region=region.name, span_cloud=region.cloud))
        intensity = estimator.grid.at(place, 0)
        rows.append((region, place, intensity))
    if not rows:
        fail(f"no region matches {search!r}; `wattspan regions` lists all", BAD_INPUT)
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "cloud": region.cloud,
                        "region": region.name,
                        "place": region.location,
                        "country": region.country,
                        "latitude": region.latitude,
                        "longitude": region.longitude,
                        "zone": region.zone,
                        "other_zone": region.zone_alt or None,
                        "g_per_kwh": _number(intensity.g_per_kwh),
                        "g_per_kwh_low": _number(intensity.g_low),
                        "g_per_kwh_high": _number(intensity.g_high),
                        "cfe_percent": float(region.cfe_percent) if region.cfe_percent else None,
                        "pue": place.pue,
                        "pue_source": place.pue_source,
                        "grid_source": intensity.source,
                        "vintage": intensity.vintage,
                    }
                    for region, place, intensity in rows
                ],
                indent=2,
                ensure_ascii=False,
            )
        )
        return
    headings = ("region", "place", "zone", "g/kWh", "90 %", "PUE", "grid data")
    table = Table(*headings, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    # A name that is cut cannot be copied into a rule.
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.overflow = "fold"
    for region, place, intensity in rows:
        table.add_row(
            f"{region.cloud}/{region.name}",
            region.location,
            f"{region.zone} or {region.zone_alt}" if region.zone_alt else region.zone,
            quantities.digits(intensity.g_per_kwh),
            f"{quantities.digits(intensity.g_low)}–{quantities.digits(intensity.g_high)}",
            f"{place.pue:.2f}",
            intensity.reason or f"{intensity.source} {intensity.vintage}",
        )
    console.print(table)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
