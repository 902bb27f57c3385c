"""What a footprint must be beyond its schema: fields that agree with each other and with the methodology.

The official schema lets through a total smaller than its fossil part, a validity of ten years, a rating of 9
and more (research: disclosure 1.6); here each is refused by name. Where PACT's documents disagree the module
takes the side that every receiver accepts: no null, no empty list, standards from the closed list.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any, Final
from urllib.parse import urlsplit

from wattspan.disclosure.numbers import CONTEXT
from wattspan.disclosure.pact.extension import FUNCTIONAL_UNIT
from wattspan.disclosure.pact.grammar import decimal_of, time_of, years_later
from wattspan.disclosure.pact.schema import (
    GEOGRAPHY,
    Break,
    breaks_of_extension,
    breaks_of_footprint,
)
from wattspan.disclosure.pact.terms import SCHEMA_FILE

Fault = Break
CROSS_SECTORAL: Final = (
    "ISO14067",
    "ISO14083",
    "ISO14040-44",
    "GHGP-Product",
    "PEF",
    "PACT-1.0",
    "PACT-2.0",
    "PACT-3.0",
    "PAS2050",
    "ISO21031",
)
"""PACT's list, and ISO/IEC 21031 (SCI), which it lacks and receivers must accept."""
WITHOUT_MASS: Final = ("kilowatt hour", "megajoule", "ton kilometer", "hour", "megabit second")
MOST_VALIDITY_YEARS: Final = 3
WHEN_CAPTURED: Final = ("ccsTechnologicalCO2Capture", "technologicalCO2Removals")
PARTS: Final = (
    "fossilGhgEmissions",
    "landUseChangeGhgEmissions",
    "landManagementBiogenicCO2Emissions",
    "landManagementBiogenicCO2Removals",
    "technologicalCO2Removals",
    "ccsTechnologicalCO2Capture",
    "biogenicNonCO2Emissions",
)
"""What pcfExcludingBiogenicUptake is the sum of (OpenAPI 3.0.4, its x-note)."""


def faults(footprint: Any) -> list[Fault]:
    """Everything that is wrong with a ProductFootprint, by field; [] where nothing is."""
    broken = breaks_of_footprint(footprint)
    if not isinstance(footprint, Mapping):
        return broken
    pcf = footprint.get("pcf")
    with localcontext(CONTEXT):
        found = [*_times(footprint), *_extensions(footprint)]
        if isinstance(pcf, Mapping):
            found += [*_unit(pcf), *_arithmetic(pcf), *_percentages(pcf), *_method(pcf), *_captured(pcf)]
            if len(levels := [name for name in GEOGRAPHY if name in pcf]) > 1:
                found.append(
                    Fault(
                        f"pcf.{levels[1]}",
                        f"stands beside {levels[0]}; at most one level of geography is stated",
                    )
                )
    return [*broken, *found]


def set_faults(footprints: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """What is wrong between footprints of one host: ids given twice, replaced ones that are still Active."""
    found: list[Fault] = []
    by_id: dict[str, Mapping[str, Any]] = {}
    for footprint in footprints:
        if footprint["id"] in by_id:
            found.append(Fault("id", f"is {footprint['id']}, which another footprint has too"))
        by_id[footprint["id"]] = footprint
    for footprint in footprints:
        found += [
            Fault(
                "precedingPfIds",
                f"of {footprint['id']} names {old}, which is Active; one that was replaced is Deprecated",
            )
            for old in footprint.get("precedingPfIds", ())
            if by_id.get(old, {}).get("status") == "Active"
        ]
    return found


def _times(footprint: Mapping[str, Any]) -> Iterator[Fault]:
    pcf = footprint.get("pcf")
    pcf = pcf if isinstance(pcf, Mapping) else {}
    texts = {
        **{name: footprint.get(name) for name in ("created", "validityPeriodStart", "validityPeriodEnd")},
        **{f"pcf.{name}": pcf.get(name) for name in ("referencePeriodStart", "referencePeriodEnd")},
    }
    times = {name: time_of(text) for name, text in texts.items()}
    for name, text in texts.items():
        if isinstance(text, str) and times[name] is None:
            yield Fault(name, f"is {text!r}, which is no time; allowed: such as 2026-07-01T00:00:00Z")
    start, end = times["pcf.referencePeriodStart"], times["pcf.referencePeriodEnd"]
    if start is not None and end is not None and start >= end:
        yield Fault("pcf.referencePeriodEnd", f"is {texts['pcf.referencePeriodEnd']}, not after the start")
    valid_from, valid_to = times["validityPeriodStart"], times["validityPeriodEnd"]
    if valid_from is not None and end is not None and valid_from < end:
        yield Fault("validityPeriodStart", "is before pcf.referencePeriodEnd; it begins then or later")
    if valid_to is not None and end is not None and valid_to > years_later(end, MOST_VALIDITY_YEARS):
        yield Fault(
            "validityPeriodEnd",
            f"is {texts['validityPeriodEnd']}, more than {MOST_VALIDITY_YEARS} years after "
            "pcf.referencePeriodEnd",
        )
    begins = valid_from or end
    if valid_to is not None and begins is not None and valid_to <= begins:
        yield Fault("validityPeriodEnd", f"is {texts['validityPeriodEnd']}, not after the validity begins")


def _unit(pcf: Mapping[str, Any]) -> Iterator[Fault]:
    unit = pcf.get("declaredUnitOfMeasurement")
    amount = decimal_of(pcf.get("declaredUnitAmount"))
    mass = decimal_of(pcf.get("productMassPerDeclaredUnit"))
    if amount is not None and amount <= 0:
        yield Fault("pcf.declaredUnitAmount", f"is {pcf['declaredUnitAmount']!r}; it is above 0")
    if unit in WITHOUT_MASS and mass:
        yield Fault(
            "pcf.productMassPerDeclaredUnit",
            f"is {pcf['productMassPerDeclaredUnit']!r}; per {unit} it is '0'",
        )
    if unit == "kilogram" and None not in (mass, amount) and mass != amount:
        yield Fault(
            "pcf.productMassPerDeclaredUnit",
            f"is {pcf['productMassPerDeclaredUnit']!r}; for kilograms it is the declaredUnitAmount "
            f"{pcf['declaredUnitAmount']!r}",
        )


def _arithmetic(pcf: Mapping[str, Any]) -> Iterator[Fault]:
    excluding = decimal_of(pcf.get("pcfExcludingBiogenicUptake"))
    including = decimal_of(pcf.get("pcfIncludingBiogenicUptake"))
    fossil = decimal_of(pcf.get("fossilGhgEmissions"))
    if excluding is None or including is None or fossil is None:
        return
    parts = {name: decimal_of(pcf[name]) for name in PARTS if name in pcf}
    if None in parts.values():
        return
    known = [value for value in parts.values() if value is not None]
    if fossil > excluding and not any(value < 0 for value in known):
        yield Fault(
            "pcf.fossilGhgEmissions",
            f"is {pcf['fossilGhgEmissions']!r}, more than the total pcfExcludingBiogenicUptake "
            f"{pcf['pcfExcludingBiogenicUptake']!r}, and nothing that is taken off is stated",
        )
    elif abs(sum(known, Decimal(0)) - excluding) > _rounding(*known, excluding):
        yield Fault(
            "pcf.pcfExcludingBiogenicUptake",
            f"is {pcf['pcfExcludingBiogenicUptake']!r}; the parts that are stated ({', '.join(parts)}) "
            f"add up to {sum(known, Decimal(0))}",
        )
    uptake = decimal_of(pcf.get("biogenicCO2Uptake", "0"))
    if uptake is not None and abs(excluding + uptake - including) > _rounding(excluding, uptake, including):
        yield Fault(
            "pcf.pcfIncludingBiogenicUptake",
            f"is {pcf['pcfIncludingBiogenicUptake']!r}; pcfExcludingBiogenicUptake and biogenicCO2Uptake "
            f"add up to {excluding + uptake}",
        )


def _rounding(*values: Decimal) -> Decimal:
    """How far a sum may be off when each value was rounded to the digits it has."""
    return sum((Decimal(1).scaleb(_exponent(value)) / 2 for value in values if value), Decimal(0))


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int), "a parsed decimal is finite"
    return exponent


def _percentages(pcf: Mapping[str, Any]) -> Iterator[Fault]:
    for name in ("exemptedEmissionsPercent", "primaryDataShare"):
        share = decimal_of(pcf.get(name))
        if share is not None and not 0 <= share <= 100:
            yield Fault(f"pcf.{name}", f"is {pcf[name]!r}; it is 0 to 100")
    exempted = decimal_of(pcf.get("exemptedEmissionsPercent"))
    if exempted and not str(pcf.get("exemptedEmissionsDescription", "")).strip():
        yield Fault("pcf.exemptedEmissionsDescription", "says nothing; what is left out has a reason")
    ratings = pcf.get("dqi")
    for name, text in ratings.items() if isinstance(ratings, Mapping) else ():
        rating = decimal_of(text)
        if rating is not None and not 1 <= rating <= 5:
            yield Fault(f"pcf.dqi.{name}", f"is {text!r}; it is 1 (best) to 5")


def _method(pcf: Mapping[str, Any]) -> Iterator[Fault]:
    standards = pcf.get("crossSectoralStandards")
    for index, name in enumerate(standards if isinstance(standards, list) else ()):
        if isinstance(name, str) and name not in CROSS_SECTORAL:
            yield Fault(
                f"pcf.crossSectoralStandards[{index}]", f"is {name!r}; allowed: {', '.join(CROSS_SECTORAL)}"
            )
    rules = pcf.get("productOrSectorSpecificRules")
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, Mapping) and (rule.get("operator") == "Other") != ("otherOperatorName" in rule):
            yield Fault(
                f"pcf.productOrSectorSpecificRules[{index}].otherOperatorName",
                "is there beside a named operator; it belongs to 'Other'"
                if "otherOperatorName" in rule
                else "is missing; operator 'Other' has a name",
            )
    if pcf.get("packagingEmissionsIncluded") is False and "packagingGhgEmissions" in pcf:
        yield Fault("pcf.packagingGhgEmissions", "is there while packagingEmissionsIncluded is false")


def _captured(pcf: Mapping[str, Any]) -> Iterator[Fault]:
    if pcf.get("ccsTechnologicalCO2CaptureIncluded") is False:
        for name in WHEN_CAPTURED:
            if name in pcf:
                yield Fault(f"pcf.{name}", "is there while ccsTechnologicalCO2CaptureIncluded is false")


def _extensions(footprint: Mapping[str, Any]) -> Iterator[Fault]:
    extensions = footprint.get("extensions")
    for index, extension in enumerate(extensions if isinstance(extensions, list) else ()):
        if not isinstance(extension, Mapping):
            continue
        for name in ("dataSchema", "documentation"):
            url = extension.get(name)
            if isinstance(url, str) and not _is_public(url):
                yield Fault(
                    f"extensions[{index}].{name}", f"is {url!r}, which nobody outside can read; it is public"
                )
        if str(extension.get("dataSchema", "")).endswith(SCHEMA_FILE):
            place = f"extensions[{index}].data"
            found = breaks_of_extension(extension.get("data"), place)
            yield from found
            if not found:
                yield from _own_extension(footprint, extension["data"], place)


def _own_extension(footprint: Mapping[str, Any], data: Mapping[str, Any], place: str) -> Iterator[Fault]:
    """What holds between our extension and the footprint: the checks of research: disclosure 9, number 1."""
    pcf = footprint.get("pcf")
    pcf = pcf if isinstance(pcf, Mapping) else {}
    for name, expected, what in (
        ("declaredUnitOfMeasurement", "piece", "an inference is a piece"),
        ("declaredUnitAmount", "1000", FUNCTIONAL_UNIT),
        ("productMassPerDeclaredUnit", "0", "a service has no mass"),
    ):
        if pcf.get(name) != expected:
            yield Fault(f"pcf.{name}", f"is {pcf.get(name)!r}; here it is {expected!r}: {what}")
    if not str(pcf.get("exemptedEmissionsDescription", "")).strip():
        yield Fault(
            "pcf.exemptedEmissionsDescription",
            "says nothing; network and storage are out, and a bare 0 is false",
        )
    location = data["ghgLocation"]
    value, low, high, use, embodied = map(
        Decimal,
        (location["value"], location["low95"], location["high95"], data["ghgUse"], data["ghgEmbodied"]),
    )
    if decimal_of(pcf.get("pcfExcludingBiogenicUptake")) != value:
        yield Fault(
            f"{place}.ghgLocation.value",
            f"is {location['value']!r}; pcf.pcfExcludingBiogenicUptake is "
            f"{pcf.get('pcfExcludingBiogenicUptake')!r}",
        )
    if not low <= value <= high:
        yield Fault(
            f"{place}.ghgLocation",
            f"has its value {location['value']!r} outside {location['low95']!r} to {location['high95']!r}",
        )
    if abs(use + embodied - value) > _rounding(use, embodied, value):
        yield Fault(
            f"{place}.ghgUse",
            f"and ghgEmbodied add up to {use + embodied}; ghgLocation.value is {location['value']!r}",
        )
    shares = [Decimal(share) for share in data["evidenceShares"].values()]
    if sum(shares, Decimal(0)) != 100:
        yield Fault(f"{place}.evidenceShares", f"add up to {sum(shares, Decimal(0))}; they are all of 100")
    if decimal_of(pcf.get("primaryDataShare")) != Decimal(data["evidenceShares"]["measured"]):
        yield Fault(
            "pcf.primaryDataShare",
            f"is {pcf.get('primaryDataShare')!r}; the measured share is "
            f"{data['evidenceShares']['measured']!r}, and nothing else is primary",
        )
    if location["low95"] != location["high95"] and not str(footprint.get("comment", "")).strip():
        yield Fault(
            "comment", "says nothing; it repeats the interval, which receivers that skip extensions need"
        )


def _is_public(url: str) -> bool:
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    if host.endswith(".localhost") or not {".", ":"} & set(host):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return True
