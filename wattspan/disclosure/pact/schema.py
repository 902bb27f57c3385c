"""JSON Schema (2020-12) of a ProductFootprint and its parts, in our own words, and what breaks it.

Names, types and bounds are those of PACT's OpenAPI 3.0.4 (wbcsd/pact-conformance-service, MIT), made narrower
where it lets through what cannot be meant: texts that are no decimals, unknown properties, wrong signs.
`description` says what is allowed; it is what an error tells. What holds between fields is in `rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from wattspan.disclosure.pact.extension import extension_schema
from wattspan.disclosure.pact.grammar import DECIMAL, TIME, URN, UUID
from wattspan.disclosure.pact.regions import region_names

Schema = dict[str, Any]

UNITS: Final = (
    "liter",
    "kilogram",
    "cubic meter",
    "kilowatt hour",
    "megajoule",
    "ton kilometer",
    "square meter",
    "piece",
    "hour",
    "megabit second",
)
GEOGRAPHY: Final = ("geographyCountry", "geographyCountrySubdivision", "geographyRegionOrSubregion")
STATUSES: Final = ("Active", "Deprecated")
CODES: Final = ("BadRequest", "AccessDenied", "TokenExpired", "NotFound", "InternalError", "NotImplemented")
"""Codes of errors (3.0.3; NotFound was NoSuchFootprint in version 2)."""

_NOT_NEGATIVE: Final = DECIMAL.replace("^-?", "^")
_NOT_POSITIVE: Final = f"{DECIMAL.replace('^-?', '^(-').removesuffix('$')}|0(\\.0+)?)$"


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _list(items: Schema, description: str) -> Schema:
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": items, "description": description}


def _record(required: tuple[str, ...], properties: Schema, description: str) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
        "description": description,
    }


_FORM: Final = "a decimal in a text, with a point, such as '0.412'"
DECIMAL_TEXT: Final = _text(_FORM, pattern=DECIMAL)
NOT_NEGATIVE: Final = _text(f"{_FORM}, 0 or more", pattern=_NOT_NEGATIVE)
NOT_POSITIVE: Final = _text(f"{_FORM}, 0 or less", pattern=_NOT_POSITIVE)
MOMENT: Final = _text("a time in UTC such as 2026-07-01T00:00:00Z", pattern=TIME)
IDENTIFIER: Final = _text("a UUID", pattern=UUID)
NAME: Final = _text("a text that is not empty", minLength=1)
RESOURCE_NAME: Final = _text("a URN (RFC 8141) such as urn:pact:saas.example:supplier-id:TS-1", pattern=URN)
URL: Final = _text("an absolute address that begins with https://", pattern=r"^https://[^\s/]+(/\S*)?$")
YES_OR_NO: Final[Schema] = {"type": "boolean", "description": "true or false"}

_QUALITY: Final = _record(
    ("technologicalDQR", "geographicalDQR", "temporalDQR"),
    dict.fromkeys(("technologicalDQR", "geographicalDQR", "temporalDQR"), NOT_NEGATIVE),
    "three ratings from 1 (best) to 5",
)
_RULE: Final = _record(
    ("operator", "ruleNames"),
    {
        "operator": _text("PEF, EPD International or Other", enum=["PEF", "EPD International", "Other"]),
        "ruleNames": _list(NAME, "names of the rules"),
        "otherOperatorName": NAME,
    },
    "rules of an operator",
)
_DATA_SOURCE: Final = _record(
    ("name", "version"), {"name": NAME, "version": NAME}, "name and version of a data set"
)
_VERIFICATION: Final = _record(
    (),
    {
        "coverage": _text(
            "PCF calculation model, PCF program or product level",
            enum=["PCF calculation model", "PCF program", "product level"],
        ),
        "providerName": NAME,
        "completedAt": MOMENT,
        "standardName": NAME,
        "comments": _text("a text"),
    },
    "who verified what, when and by which standard",
)
_EXTENSION: Final = _record(
    ("specVersion", "dataSchema", "data"),
    {
        "specVersion": _text("a version such as 2.0.0", pattern=r"^\d+\.\d+\.\d+$"),
        "dataSchema": URL,
        "documentation": URL,
        "data": {"type": "object", "description": "an object"},
    },
    "a data model extension",
)
CARBON_FOOTPRINT: Final = _record(
    (
        "declaredUnitOfMeasurement",
        "declaredUnitAmount",
        "productMassPerDeclaredUnit",
        "referencePeriodStart",
        "referencePeriodEnd",
        "pcfExcludingBiogenicUptake",
        "pcfIncludingBiogenicUptake",
        "fossilGhgEmissions",
        "fossilCarbonContent",
        "ipccCharacterizationFactors",
        "crossSectoralStandards",
        "exemptedEmissionsPercent",
        # optional in the official schema, SHALL in the methodology
        "packagingEmissionsIncluded",
        "ccsTechnologicalCO2CaptureIncluded",
        "primaryDataShare",
        "dqi",
    ),
    {
        "declaredUnitOfMeasurement": _text(f"one of {', '.join(UNITS)}", enum=list(UNITS)),
        "declaredUnitAmount": _text(f"{_FORM}, above 0", pattern=_NOT_NEGATIVE),
        "productMassPerDeclaredUnit": NOT_NEGATIVE,
        "referencePeriodStart": MOMENT,
        "referencePeriodEnd": MOMENT,
        "geographyRegionOrSubregion": _text("a UN region or subregion", enum=list(region_names())),
        "geographyCountry": _text("an ISO 3166-1 code such as FR", pattern="^[A-Z]{2}$"),
        "geographyCountrySubdivision": _text(
            "an ISO 3166-2 code such as US-CA", pattern="^[A-Z]{2}-[A-Z0-9]{1,3}$"
        ),
        "boundaryProcessesDescription": _text("a text"),
        "pcfExcludingBiogenicUptake": DECIMAL_TEXT,
        "pcfIncludingBiogenicUptake": DECIMAL_TEXT,
        "fossilCarbonContent": NOT_NEGATIVE,
        "biogenicCarbonContent": NOT_NEGATIVE,
        "recycledCarbonContent": NOT_NEGATIVE,
        "fossilGhgEmissions": NOT_NEGATIVE,
        "landUseChangeGhgEmissions": NOT_NEGATIVE,
        "landCarbonLeakage": NOT_NEGATIVE,
        "landManagementFossilGhgEmissions": NOT_NEGATIVE,
        "landManagementBiogenicCO2Emissions": NOT_NEGATIVE,
        "landManagementBiogenicCO2Removals": NOT_POSITIVE,
        "biogenicCO2Uptake": NOT_POSITIVE,
        "biogenicNonCO2Emissions": NOT_NEGATIVE,
        "landAreaOccupation": NOT_NEGATIVE,
        "aircraftGhgEmissions": NOT_NEGATIVE,
        "packagingEmissionsIncluded": YES_OR_NO,
        "packagingGhgEmissions": NOT_NEGATIVE,
        "packagingBiogenicCarbonContent": NOT_NEGATIVE,
        "outboundLogisticsGhgEmissions": NOT_NEGATIVE,
        "ccsTechnologicalCO2CaptureIncluded": YES_OR_NO,
        "ccsTechnologicalCO2Capture": NOT_POSITIVE,
        "technologicalCO2CaptureOrigin": _text("a text"),
        "technologicalCO2Removals": NOT_POSITIVE,
        "ccuCarbonContent": NOT_NEGATIVE,
        "ccuCalculationApproach": _text("Cut-off or Credit", enum=["Cut-off", "Credit"]),
        "ccuCreditCertification": URL,
        "ipccCharacterizationFactors": _list(
            _text("a report of the IPCC such as AR6", pattern="^AR[1-9][0-9]?$"), "reports such as AR6"
        ),
        "crossSectoralStandards": _list(NAME, "standards that were followed"),
        "productOrSectorSpecificRules": _list(
            _RULE, "rules that were followed; leave it out where none was (the schema refuses an empty list)"
        ),
        "exemptedEmissionsPercent": NOT_NEGATIVE,
        "exemptedEmissionsDescription": _text("a text"),
        "allocationRulesDescription": _text("a text"),
        "secondaryEmissionFactorSources": _list(
            _DATA_SOURCE, "data sets that were used; leave it out where none was"
        ),
        "primaryDataShare": NOT_NEGATIVE,
        "dqi": _QUALITY,
        "verification": _VERIFICATION,
    },
    "a carbon footprint",
)
PRODUCT_FOOTPRINT: Final = _record(
    (
        "id",
        "specVersion",
        "created",
        "status",
        "companyName",
        "companyIds",
        "productDescription",
        "productIds",
        "productNameCompany",
        "pcf",
    ),
    {
        "id": IDENTIFIER,
        "specVersion": _text("3, a minor and a patch version, such as 3.0.3", pattern=r"^3\.\d+\.\d+$"),
        "precedingPfIds": _list(IDENTIFIER, "ids of footprints that this one replaces"),
        "created": MOMENT,
        "status": _text("Active or Deprecated", enum=list(STATUSES)),
        "validityPeriodStart": MOMENT,
        "validityPeriodEnd": MOMENT,
        "companyName": NAME,
        "companyIds": _list(RESOURCE_NAME, "URNs of the company"),
        "productDescription": _text("a text"),
        "productIds": _list(RESOURCE_NAME, "URNs of the product"),
        "productClassifications": _list(RESOURCE_NAME, "URNs of classes"),
        "productNameCompany": NAME,
        "comment": _text("a text"),
        "pcf": CARBON_FOOTPRINT,
        "extensions": _list(_EXTENSION, "extensions; leave it out where there is none"),
    },
    "a ProductFootprint of PACT 3",
)


class Break(NamedTuple):
    """One place where a value is not as its schema has it."""

    field: str
    """pcf.dqi.temporalDQR, companyIds[0]; "" for the whole."""
    why: str


def breaks_of_footprint(content: Any) -> list[Break]:
    """Where `content` is no ProductFootprint."""
    return list(_breaks(_validator("footprint"), content, ""))


def breaks_of_extension(data: Any, field: str) -> list[Break]:
    """Where `data` at `field` is not what our own extension's schema says."""
    return list(_breaks(_validator("extension"), data, field))


def _pattern(_: Validator, pattern: str, instance: Any, __: Mapping[str, Any]) -> Iterator[ValidationError]:
    """A pattern as JSON Schema means it: Python's `$` would let a line end through."""
    if isinstance(instance, str) and (instance.endswith("\n") or not re.search(pattern, instance)):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_VALIDATOR: Final = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


@cache
def _validator(name: str) -> Validator:
    made: Validator = _VALIDATOR(PRODUCT_FOOTPRINT if name == "footprint" else extension_schema())
    return made


def _breaks(validator: Validator, content: Any, field: str) -> Iterator[Break]:
    for error in validator.iter_errors(content):
        yield from _told(error, field)


def _told(error: ValidationError, field: str) -> Iterator[Break]:
    place = field + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path
    )
    place = place.removeprefix(".")
    schema: Any = error.schema
    instance: Any = error.instance
    value: Any = error.validator_value
    allowed = schema.get("description", "") if isinstance(schema, Mapping) else ""
    if error.validator == "required":
        (name,) = [name for name in value if error.message.startswith(repr(name))]
        yield Break(f"{place}.{name}".removeprefix("."), "is missing")
    elif error.validator == "additionalProperties":
        for name in sorted(set(instance) - set(schema["properties"])):
            gone = "; gone since version 3.0" if name in ("version", "updated", "statusComment") else ""
            yield Break(f"{place}.{name}".removeprefix("."), f"is not a property that PACT has{gone}")
    elif instance is None:
        yield Break(
            place,
            f"is null; leave it out (PACT's text takes null as undefined, its schema refuses it); {allowed}",
        )
    else:
        yield Break(place, f"is {_shown(instance)}; allowed: {allowed or error.message}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
