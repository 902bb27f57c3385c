"""What a lake's rows of a period support of the 23 columns, before anybody signs a contract."""

from __future__ import annotations

from wattspan.disclosure.aggregate import Aggregates
from wattspan.disclosure.figure import GapRule, reckon
from wattspan.disclosure.gate import Reason, Refusal
from wattspan.disclosure.numbers import shown
from wattspan.disclosure.prepare import sealed_of
from wattspan.disclosure.support import Column, Support

_STOPS: dict[int, tuple[Reason, ...]] = {
    4: (Reason.OPEN_PERIOD,),
    5: (Reason.LOW_COVERAGE, Reason.NO_FIGURE),
    6: (Reason.UNMAPPED,),
    8: (Reason.MARGINAL, Reason.MIXED_SIGNALS, Reason.MIXED_FACTOR_TYPES),
    21: (Reason.UNRELEASED_EDITION, Reason.SEVERAL_EDITIONS),
}
"""Which column a refusal stands in the way of."""


def supported_by_lake(
    found: Aggregates, feature: str, gap_rule: GapRule, refused: tuple[Refusal, ...], *, has_issuer: bool
) -> list[Column]:
    """Every column of a feature. Raises NoFigureError where it has nothing to state."""
    figure = reckon(sealed_of(found, feature, gap_rule), feature)
    band = figure.band
    missing = {
        number: "; ".join(f"{r.found}: {r.next_step}" for r in refused if r.reason in reasons)
        for number, reasons in _STOPS.items()
    }
    per_1000 = {
        name: shown(figure.per_1000(value))
        for name, value in (
            ("energy", figure.energy_kwh),
            ("co2e", figure.co2e_kg),
            ("low", band.low),
            ("high", band.high),
            ("use", figure.use_kg),
            ("embodied", figure.embodied_kg),
        )
    }
    models = {part.cell.model or "unknown" for part in figure.parts}
    mix = ", ".join(f"{kind} {float(share):.0%}" for kind, share in figure.mix.items() if share)
    water = figure.water_on_site_l
    rows = [
        (1, "Disclosure ID and edition", *(("an issuer", "") if has_issuer else ("", "disclosure.issuer"))),
        (2, "Product feature, SKU", feature, ""),
        (3, "Functional unit", "1,000 completed inferences", ""),
        (4, "Reference period", "whole calendar months", missing[4]),
        (
            5,
            "Volume, calls per inference, coverage",
            f"{shown(figure.completed)} completed, {shown(figure.calls / figure.completed)} calls each, "
            f"{float(figure.request_coverage):.1%} covered",
            missing[5],
        ),
        (6, "Models and regions", f"{len(models)} models", missing[6]),
        (7, "Electricity", f"{per_1000['energy']} kWh / 1,000", ""),
        (8, "GHG, location-based", f"{per_1000['co2e']} kgCO2e / 1,000", missing[8]),
        (9, "95 % interval, low", f"{per_1000['low']} kgCO2e / 1,000", ""),
        (10, "95 % interval, high", f"{per_1000['high']} kgCO2e / 1,000", ""),
        (12, "of which electricity in use", f"{per_1000['use']} kgCO2e / 1,000", ""),
        (13, "of which hardware manufacture", f"{per_1000['embodied']} kgCO2e / 1,000", ""),
        (16, "Period total; customer's share", f"{shown(figure.co2e_kg)} kgCO2e", ""),
        (17, "Boundary code, exclusions", "a closed list", ""),
        (18, "Evidence mix", mix, ""),
        (19, "Data quality rating", "technology, geography, time", ""),
        (20, "Factor datasets", "with digests", ""),
        (21, "Methodology", ", ".join(found.facts.editions), missing[21]),
        (22, "Change from previous", "from the book, where there is one", ""),
        (23, "Assurance, status, seal", "ledger and key; no assurance", ""),
    ]
    nobody_has = Support.NOT_AVAILABLE
    columns = [
        Column(number, title, _support(there, lack), there, lack) for number, title, there, lack in rows
    ]
    columns.append(Column(11, "GHG, market-based", nobody_has, "", "a contract file for all the energy"))
    columns.append(Column(14, "Memo: training", nobody_has, "", "figures of the models' makers"))
    if water is None:
        share = float(figure.water_known_share)
        columns.append(
            Column(15, "Memo: water", nobody_has, "", f"sites of {share:.0%} of the energy publish it")
        )
    else:
        litres = shown(figure.per_1000(water))
        columns.append(Column(15, "Memo: water", Support.PARTLY, f"{litres} L / 1,000 on site", "off site"))
    return sorted(columns)


def _support(there: str, lack: str) -> Support:
    if not lack:
        return Support.YES
    return Support.PARTLY if there else Support.NO
