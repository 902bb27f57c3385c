"""What PACT's official schema lets through although it is wrong: each is refused by the name of its field."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from tests.disclosure.pact_sources import made
from tests.disclosure.test_pact_footprint import official_schema
from wattspan.cli.main import app
from wattspan.disclosure.pact import faults

Change = Callable[[dict[str, Any]], object]


def put(place: str, value: Any) -> Change:
    """Set pcf.dqi.temporalDQR and the like."""

    def change(footprint: dict[str, Any]) -> None:
        node: Any = footprint
        *path, last = (int(part) if part.isdecimal() else part for part in place.split("."))
        for part in path:
            node = node[part]
        node[last] = value

    return change


def cut(place: str) -> Change:
    def change(footprint: dict[str, Any]) -> None:
        node: Any = footprint
        *path, last = place.split(".")
        for part in path:
            node = node[part]
        del node[last]

    return change


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A footprint without a fault and without our extension: the rules of every footprint."""
    found = made(tmp_path_factory.mktemp("book"))
    del found["extensions"]
    assert faults(found) == []
    return found


def changed(good: dict[str, Any], *changes: Change) -> dict[str, Any]:
    found = copy.deepcopy(good)
    for change in changes:
        change(found)
    return found


# research: disclosure 1.6, "Accepted although wrong", one by one
LET_THROUGH: list[tuple[str, tuple[Change, ...], str, str]] = [
    (
        "a total that is no number",
        (put("pcf.pcfExcludingBiogenicUptake", "abc"),),
        "pcf.pcfExcludingBiogenicUptake",
        "'abc'",
    ),
    (
        "a comma",
        (put("pcf.fossilGhgEmissions", "0,412"),),
        "pcf.fossilGhgEmissions",
        "'0,412'; allowed: a decimal in a text, with a point",
    ),
    ("a rating of 9", (put("pcf.dqi.temporalDQR", "9"),), "pcf.dqi.temporalDQR", "it is 1 (best) to 5"),
    (
        "a rating of 0",
        (put("pcf.dqi.technologicalDQR", "0"),),
        "pcf.dqi.technologicalDQR",
        "it is 1 (best) to 5",
    ),
    ("an amount of 0", (put("pcf.declaredUnitAmount", "0"),), "pcf.declaredUnitAmount", "it is above 0"),
    (
        "a validity of more than 3 years",
        (put("validityPeriodEnd", "2029-10-01T00:00:01Z"),),
        "validityPeriodEnd",
        "more than 3 years after",
    ),
    (
        "a fossil part larger than the total",
        (put("pcf.fossilGhgEmissions", "1.7425"),),
        "pcf.fossilGhgEmissions",
        "more than the total pcfExcludingBiogenicUptake '1.7424'",
    ),
    (
        "parts that do not add up",
        (put("pcf.landUseChangeGhgEmissions", "0.20"), put("pcf.fossilGhgEmissions", "1.50")),
        "pcf.pcfExcludingBiogenicUptake",
        "add up to 1.70",
    ),
    (
        "broken arithmetic between including and excluding biogenic uptake",
        (put("pcf.pcfIncludingBiogenicUptake", "1.600"), put("pcf.biogenicCO2Uptake", "-0.200")),
        "pcf.pcfIncludingBiogenicUptake",
        "add up to 1.5424",
    ),
    (
        "an uptake that is not stated",
        (put("pcf.pcfIncludingBiogenicUptake", "1.5"),),
        "pcf.pcfIncludingBiogenicUptake",
        "add up to 1.7424",
    ),
    ("a property nobody knows", (put("pcf.tokens", "1"),), "pcf.tokens", "is not a property that PACT has"),
    ("a version of 2.x", (put("version", 1),), "version", "gone since version 3.0"),
    ("no share of primary data", (cut("pcf.primaryDataShare"),), "pcf.primaryDataShare", "is missing"),
    ("no quality ratings", (cut("pcf.dqi"),), "pcf.dqi", "is missing"),
    (
        "a standard nobody knows",
        (put("pcf.crossSectoralStandards", ["ISO14067", "ours"]),),
        "pcf.crossSectoralStandards[1]",
        "'ours'; allowed: ISO14067",
    ),
    (
        "an operator 'Other' without a name",
        (put("pcf.productOrSectorSpecificRules", [{"operator": "Other", "ruleNames": ["SCI"]}]),),
        "pcf.productOrSectorSpecificRules[0].otherOperatorName",
        "operator 'Other' has a name",
    ),
    # of the same kind, beyond the list
    ("a negative emission", (put("pcf.fossilGhgEmissions", "-1"),), "pcf.fossilGhgEmissions", "0 or more"),
    (
        "a positive removal",
        (put("pcf.landManagementBiogenicCO2Removals", "1"),),
        "pcf.landManagementBiogenicCO2Removals",
        "0 or less",
    ),
    (
        "a number with a line end",
        (put("pcf.exemptedEmissionsPercent", "5\n"),),
        "pcf.exemptedEmissionsPercent",
        "a decimal in a text",
    ),
    ("a share above 100", (put("pcf.primaryDataShare", "101"),), "pcf.primaryDataShare", "it is 0 to 100"),
    (
        "what is left out without a reason",
        (put("pcf.exemptedEmissionsDescription", " "),),
        "pcf.exemptedEmissionsDescription",
        "has a reason",
    ),
    (
        "an end before its start",
        (put("pcf.referencePeriodEnd", "2026-06-01T00:00:00Z"),),
        "pcf.referencePeriodEnd",
        "not after the start",
    ),
    ("a day that there is not", (put("created", "2026-02-30T00:00:00Z"),), "created", "is no time"),
    (
        "a validity before the period's end",
        (put("validityPeriodStart", "2026-09-30T00:00:00Z"),),
        "validityPeriodStart",
        "begins then or later",
    ),
    (
        "a validity that ends as it begins",
        (put("validityPeriodEnd", "2026-10-01T00:00:00Z"),),
        "validityPeriodEnd",
        "not after the validity begins",
    ),
    (
        "kilowatt hours with a mass",
        (put("pcf.declaredUnitOfMeasurement", "kilowatt hour"), put("pcf.productMassPerDeclaredUnit", "2")),
        "pcf.productMassPerDeclaredUnit",
        "per kilowatt hour it is '0'",
    ),
    (
        "kilograms of another mass",
        (put("pcf.declaredUnitOfMeasurement", "kilogram"), put("pcf.productMassPerDeclaredUnit", "2")),
        "pcf.productMassPerDeclaredUnit",
        "for kilograms it is the declaredUnitAmount '1000'",
    ),
    (
        "packaging that is not included",
        (put("pcf.packagingGhgEmissions", "0"),),
        "pcf.packagingGhgEmissions",
        "while packagingEmissionsIncluded is false",
    ),
    (
        "capture that is not included",
        (put("pcf.ccsTechnologicalCO2Capture", "0"),),
        "pcf.ccsTechnologicalCO2Capture",
        "while ccsTechnologicalCO2CaptureIncluded is false",
    ),
    (
        "a named operator with another name",
        (
            put(
                "pcf.productOrSectorSpecificRules",
                [{"operator": "PEF", "ruleNames": ["1"], "otherOperatorName": "x"}],
            ),
        ),
        "pcf.productOrSectorSpecificRules[0].otherOperatorName",
        "beside a named operator",
    ),
    ("an id that is no UUID in full", (put("precedingPfIds", ["3d4be5fe"]),), "precedingPfIds[0]", "a UUID"),
    ("a URN without a name", (put("productIds", ["urn:"]),), "productIds[0]", "a URN (RFC 8141)"),
    (
        "a schema that nobody outside can read",
        (put("extensions", [{"specVersion": "2.0.0", "dataSchema": "https://10.0.0.1/s.json", "data": {}}]),),
        "extensions[0].dataSchema",
        "nobody outside can read",
    ),
]


@pytest.mark.parametrize(
    ("changes", "field", "why"), [case[1:] for case in LET_THROUGH], ids=[c[0] for c in LET_THROUGH]
)
def test_what_the_schema_lets_through_is_refused_by_name(
    good: dict[str, Any], changes: tuple[Change, ...], field: str, why: str
) -> None:
    found = {fault.field: fault.why for fault in faults(changed(good, *changes))}
    assert field in found
    assert why in found[field]


@pytest.mark.parametrize(("name", "changes"), [(case[0], case[1]) for case in LET_THROUGH[:16]])
def test_the_official_schema_does_let_it_through(
    good: dict[str, Any], name: str, changes: tuple[Change, ...]
) -> None:
    # if PACT closes a hole, this says so
    assert list(Draft202012Validator(official_schema()).iter_errors(changed(good, *changes))) == [], name


# research: disclosure 1.6, "Rejected"
REFUSED_BY_BOTH: list[tuple[str, Change, str]] = [
    ("a JSON number", put("pcf.fossilGhgEmissions", 1.7424), "pcf.fossilGhgEmissions"),
    ("a unit of tokens", put("pcf.declaredUnitOfMeasurement", "token"), "pcf.declaredUnitOfMeasurement"),
    ("no mass", cut("pcf.productMassPerDeclaredUnit"), "pcf.productMassPerDeclaredUnit"),
    (
        "two levels of geography",
        put("pcf.geographyRegionOrSubregion", "Europe"),
        "pcf.geographyRegionOrSubregion",
    ),
    ("a null", put("pcf.geographyCountry", None), "pcf.geographyCountry"),
    (
        "an empty list of rules",
        put("pcf.productOrSectorSpecificRules", []),
        "pcf.productOrSectorSpecificRules",
    ),
    ("a version without a patch", put("specVersion", "3.0"), "specVersion"),
    ("an id that is no UUID", put("id", "ticket-summary"), "id"),
    ("a product that is no URN", put("productIds", ["TS-1"]), "productIds[0]"),
    (
        "a schema that is no address",
        put("extensions", [{"specVersion": "2.0.0", "dataSchema": "schema.json", "data": {}}]),
        "extensions[0].dataSchema",
    ),
]


@pytest.mark.parametrize(
    ("change", "field"), [case[1:] for case in REFUSED_BY_BOTH], ids=[c[0] for c in REFUSED_BY_BOTH]
)
def test_what_the_schema_refuses_is_refused_too(good: dict[str, Any], change: Change, field: str) -> None:
    assert field in {fault.field for fault in faults(changed(good, change))}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """With our extension."""
    return made(tmp_path_factory.mktemp("book"))


DATA = "extensions.0.data"


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        (put("pcf.declaredUnitAmount", "1"), "pcf.declaredUnitAmount", "here it is '1000'"),
        (
            put("pcf.productMassPerDeclaredUnit", "1"),
            "pcf.productMassPerDeclaredUnit",
            "a service has no mass",
        ),
        (put("pcf.primaryDataShare", "88.9"), "pcf.primaryDataShare", "nothing else is primary"),
        (put(f"{DATA}.ghgUse", "1.6000"), "extensions[0].data.ghgUse", "add up to 1.7584"),
        (put(f"{DATA}.ghgLocation.value", "1.7"), "extensions[0].data.ghgLocation.value", "'1.7424'"),
        (put(f"{DATA}.ghgLocation.low95", "2"), "extensions[0].data.ghgLocation", "outside '2' to"),
        (put(f"{DATA}.evidenceShares.proxy", "0.1"), "extensions[0].data.evidenceShares", "add up to 100.1"),
        (
            put(f"{DATA}.ghgMarket", "0"),
            "extensions[0].data.ghgMarket",
            "null where there is none, which is never 0",
        ),
        (put(f"{DATA}.inferences", 50), "extensions[0].data.inferences", "completed inferences"),
        (put(f"{DATA}.note", "x"), "extensions[0].data.note", "is not a property"),
        (put("comment", ""), "comment", "it repeats the interval"),
        (
            put("pcf.exemptedEmissionsDescription", ""),
            "pcf.exemptedEmissionsDescription",
            "a bare 0 is false",
        ),
    ],
)
def test_our_extension_agrees_with_the_footprint(
    ours: dict[str, Any], change: Change, field: str, why: str
) -> None:
    found = [f"{fault.field}: {fault.why}" for fault in faults(changed(ours, change))]
    assert any(text.startswith(f"{field}: ") and why in text for text in found), found


@pytest.mark.parametrize(
    "content", [None, [], "footprint", 1, {}, {"pcf": None}, {"pcf": {"dqi": 3}, "extensions": [1]}]
)
def test_what_is_no_footprint_at_all_is_told_and_not_traced(content: Any) -> None:
    assert faults(content)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["-1", "1e999", "AR6"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_stands_in_a_field_is_told_and_not_traced(ours: dict[str, Any], data: st.DataObject) -> None:
    def places(node: Any, at: str = "") -> list[str]:
        inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        return [p for key, value in inner for p in (f"{at}{key}", *places(value, f"{at}{key}."))]

    place = data.draw(st.sampled_from(places(ours)))
    value = data.draw(JSON)
    found = changed(ours, put(place, value))
    if found != ours:
        for fault in faults(found):
            assert fault.field
            assert fault.why


def test_a_huge_exponent_is_no_figure(good: dict[str, Any]) -> None:
    (fault,) = faults(changed(good, put("pcf.fossilCarbonContent", "1e999999999")))
    assert fault.field == "pcf.fossilCarbonContent"


def test_the_command_names_every_fault(good: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"data": [good]}))
    assert CliRunner().invoke(app, ["pact", "check", str(path)]).exit_code == 0
    path.write_text(
        json.dumps([good, changed(good, put("pcf.dqi.temporalDQR", "9"), put("pcf.fossilGhgEmissions", "2"))])
    )
    result = CliRunner().invoke(app, ["pact", "check", str(path)])
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "footprint 1: pcf.dqi.temporalDQR is '9'" in said
    assert "footprint 1: pcf.fossilGhgEmissions is '2', more than" in said
    assert "id is 3d4be5fe-2f67-560b-b938-b723c7eafcde, which another footprint has too" in said
    path.write_text("{")
    assert "is not JSON" in " ".join(CliRunner().invoke(app, ["pact", "check", str(path)]).output.split())
