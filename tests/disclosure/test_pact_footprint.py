"""A published disclosure as a PACT v3 footprint: sealed digits, the right status, valid by both schemas."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.disclosure.pact_sources import Shelf, made
from tests.disclosure.sealed_rows import cell, contract, sealed, without_figure
from wattspan.config import ConfigError, load_config
from wattspan.disclosure.pact import Terms, faults, footprint, terms_of
from wattspan.disclosure.pact.exempted import exempted
from wattspan.disclosure.pact.footprint import country
from wattspan.disclosure.pact.grammar import footprint_id, months_later, plain, time_of
from wattspan.disclosure.pact.regions import around, region_names
from wattspan.disclosure.pact.rules import set_faults
from wattspan.disclosure.subject import Feature

SCHEMA = "pact-productfootprint-3.0.4.schema.json"
"""From wbcsd/pact-conformance-service 839bfe8, MIT."""


def official(name: str, sha256: str) -> bytes:
    """A file of PACT, which is not shipped: where WATTSPAN_PACT_SCHEMA is, or beside the checkout."""
    beside = Path(__file__).parents[2].parent / "shared/evidence/disclosure/pact" / SCHEMA
    path = Path(os.environ.get("WATTSPAN_PACT_SCHEMA", beside)).with_name(name)
    if not path.is_file():
        pytest.skip(f"PACT's {name} is not at hand; WATTSPAN_PACT_SCHEMA names {SCHEMA} in the folder of it")
    data = path.read_bytes()
    assert hashlib.sha256(data).hexdigest().startswith(sha256), f"{path} is another version"
    return data


def official_schema() -> dict[str, Any]:
    """PACT's own schema of a ProductFootprint."""
    found: dict[str, Any] = json.loads(official(SCHEMA, "3e1e0edfb163871d"))
    return found


def official_part(name: str) -> Draft202012Validator:
    """What PACT's OpenAPI document says of one of its types."""
    document = yaml.safe_load(official("pact-openapi-3.0.4.yaml", "7daedf5a520e2208"))
    return Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    )


def test_a_footprint_has_the_sealed_figures_for_a_thousand_pieces(tmp_path: Path) -> None:
    found = made(tmp_path)
    pcf = found["pcf"]
    assert (pcf["declaredUnitOfMeasurement"], pcf["declaredUnitAmount"]) == ("piece", "1000")
    assert pcf["productMassPerDeclaredUnit"] == "0"
    shelf = Shelf(tmp_path / "again")
    columns = shelf.source(shelf.publish()).columns
    total = plain(columns["ghg_location"]["exact"])
    assert total == "1.7424"
    assert {
        pcf[n] for n in ("pcfExcludingBiogenicUptake", "pcfIncludingBiogenicUptake", "fossilGhgEmissions")
    } == {total}
    assert pcf["fossilCarbonContent"] == "0"
    data = found["extensions"][0]["data"]
    assert Decimal(data["ghgUse"]) + Decimal(data["ghgEmbodied"]) == Decimal("1.584") + Decimal("0.1584")
    assert (data["inferences"], data["energyKwhPer1000"]) == ("50", "7.92")
    assert (pcf["referencePeriodStart"], pcf["referencePeriodEnd"]) == (
        "2026-07-01T00:00:00Z",
        "2026-10-01T00:00:00Z",
    )
    assert (found["validityPeriodStart"], found["validityPeriodEnd"]) == (
        "2026-10-01T00:00:00Z",
        "2027-10-01T00:00:00Z",
    )
    assert found["created"] == "2026-11-02T09:30:00Z"
    assert found["comment"].count("0.262 to 12.3 kgCO2e per 1,000 inferences") == 1
    assert "all emissions are stated as fossil" in found["comment"]
    assert (pcf["primaryDataShare"], pcf["geographyCountry"]) == ("0", "FR")
    assert pcf["dqi"] == {"technologicalDQR": "4.0", "geographicalDQR": "1.0", "temporalDQR": "2.0"}
    assert pcf["crossSectoralStandards"] == ["ISO21031"]
    assert pcf["productOrSectorSpecificRules"][0]["ruleNames"] == ["SCI for AI (draft), consumer boundary"]
    assert pcf["secondaryEmissionFactorSources"] == [
        {"name": "wattspan methodology edition", "version": "2026.11"},
        {"name": "Ember", "version": "2025"},
    ]
    # 0.012 kWh of network and storage beside 7.92: 0.15 %, rounded up
    assert pcf["exemptedEmissionsPercent"] == "1"
    reason = pcf["exemptedEmissionsDescription"]
    assert "0.012 kWh per 1,000 inferences beside the 7.92 kWh of the figure" in reason
    assert reason.endswith(
        "Outside the boundary too, of unknown size and not in this percentage: "
        "the application's own compute, training of the models."
    )


def test_its_id_is_a_uuid_of_the_disclosure_and_the_same_on_every_machine() -> None:
    found = footprint_id("saas.example/2026Q3/ticket-summary@1")
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, "urn:wattspan:disclosure")
    assert found == str(uuid.uuid5(namespace, "saas.example/2026Q3/ticket-summary@1"))
    assert found == "3d4be5fe-2f67-560b-b938-b723c7eafcde"


def test_every_number_is_a_decimal_in_a_text_and_nothing_is_null(tmp_path: Path) -> None:
    def numbers(content: Any) -> list[Any]:
        if isinstance(content, dict):
            return [n for key, value in content.items() if key != "ledgerLine" for n in numbers(value)]
        if isinstance(content, list):
            return [n for value in content for n in numbers(value)]
        return [content] if isinstance(content, (int, float)) and not isinstance(content, bool) else []

    found = made(tmp_path)
    assert numbers(found) == []
    without_extension = {key: value for key, value in found.items() if key != "extensions"}
    assert "null" not in json.dumps(without_extension)


def test_it_breaks_none_of_our_rules_and_the_official_schema_takes_it(tmp_path: Path) -> None:
    found = made(tmp_path)
    assert faults(found) == []
    assert list(Draft202012Validator(official_schema()).iter_errors(found)) == []


def test_gaps_contracts_and_metered_energy_still_make_a_footprint_without_a_fault(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    rows = sealed(cell(evidence="metered_node"), without_figure("no_usage", 9), contracts=(contract(),))
    found = footprint(shelf.source(shelf.publish(rows=rows)), Terms())
    assert faults(found) == []
    data = found["extensions"][0]["data"]
    assert data["ghgMarket"]["matching"] == ["annual"]
    # 9 of 109 calls are filled: 8.3 % of the carbon is proxy, the rest is measured
    assert data["evidenceShares"] == {
        "measured": "91.7",
        "providerDisclosed": "0.0",
        "modelled": "0.0",
        "proxy": "8.3",
    }
    assert found["pcf"]["primaryDataShare"] == "91.7"


def test_a_figure_that_was_wrong_is_deprecated_and_the_right_one_names_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    first = shelf.publish()
    before = footprint(shelf.source(first), Terms())
    second = shelf.restated(first)
    third = shelf.restated(second)
    made_of = [footprint(shelf.source(p), Terms()) for p in (first, second, third)]
    assert [f["status"] for f in made_of] == ["Deprecated", "Deprecated", "Active"]
    # nothing but the status ever changes
    assert {**made_of[0], "status": "Active"} == before
    assert made_of[2]["precedingPfIds"] == [made_of[1]["id"], made_of[0]["id"]]
    assert "error-correction: wrong region." in made_of[2]["comment"]
    assert set_faults(made_of) == []
    assert [fault.field for fault in set_faults([before, *made_of[1:]])] == [
        "precedingPfIds",
        "precedingPfIds",
    ]


def test_the_next_period_leaves_the_one_before_active(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    third_quarter = shelf.publish()
    fourth = footprint(shelf.source(shelf.next_quarter(third_quarter)), Terms())
    assert footprint(shelf.source(third_quarter), Terms())["status"] == "Active"
    assert "precedingPfIds" not in fourth
    assert fourth["extensions"][0]["data"]["change"]["previousPfId"] == footprint_id(third_quarter.id)


def test_a_withdrawn_one_is_deprecated(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    published = shelf.publish()
    shelf.book.withdraw(published.id, "lost calls", shelf.key, dt.datetime(2026, 11, 3, tzinfo=dt.UTC))
    assert footprint(shelf.source(published), Terms())["status"] == "Deprecated"


@pytest.mark.parametrize(
    ("kwh", "percent"), [("1.188", "1"), ("1.187", "2"), ("0.588", "2"), ("0.012", "50"), ("0.001", "93")]
)
def test_what_is_left_out_weighs_more_where_little_is_stated(tmp_path: Path, kwh: str, percent: str) -> None:
    shelf = Shelf(tmp_path)
    columns = {**shelf.source(shelf.publish()).columns, "energy_kwh": {"exact": kwh}}
    assert exempted(columns, Terms())[0] == percent


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        ({"FR"}, "FR"),
        ({"US-CAL-CISO", "US-TEX-ERCO"}, "US"),
        ({"FR", "DE"}, None),
        ({"FR", ""}, None),
        ({"world"}, None),
        (set(), None),
    ],
)
def test_a_country_is_named_where_all_calls_ran_in_one(zones: set[str], expected: str | None) -> None:
    assert country(zones) == expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("FR", ("Western Europe", "Europe")),
        ("US-CA", ("US", "Northern America", "Americas")),
        ("Central Asia", ("Asia",)),
        ("BR", ("Latin America and the Caribbean", "Americas")),
        ("AU", ("Australia and New Zealand", "Oceania")),
        ("Europe", ()),
        ("XX", ()),
        ("XX-1", ("XX",)),
    ],
)
def test_a_place_lies_in_its_country_and_regions(place: str, expected: tuple[str, ...]) -> None:
    assert around(place) == expected


def test_the_regions_are_those_of_pact() -> None:
    pcf = official_schema()["$defs"]["CarbonFootprint"]["properties"]
    assert sorted(region_names()) == sorted(pcf["geographyRegionOrSubregion"]["enum"])


def test_terms_come_from_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "wattspan.yaml"
    path.write_text("""
disclosure:
  issuer: {domain: saas.example, name: Example SaaS GmbH}
  features:
    ticket summary: {product_ids: ["urn:gtin:4712345060507"]}
  pact:
    company_ids: ["urn:pact:saas.example:company-id:1"]
    standards: [GHGP-Product]
    characterization: [AR5, AR6]
    validity_months: 36
    exempted: {percent: 7.25, reason: "measured at the gate"}
    schema_url: https://pact.saas.example/schema/llm-inference-disclosure-1.0.schema.json
    documentation_url: https://saas.example/method
""")
    shelf = Shelf(tmp_path)
    found = footprint(shelf.source(shelf.publish()), terms_of(load_config(path).disclosure))
    assert faults(found) == []
    assert found["productIds"] == ["urn:gtin:4712345060507"]
    assert found["companyIds"] == ["urn:pact:saas.example:company-id:1"]
    assert found["pcf"]["crossSectoralStandards"] == ["ISO21031", "GHGP-Product"]
    assert found["pcf"]["exemptedEmissionsPercent"] == "7.25"
    assert found["pcf"]["exemptedEmissionsDescription"].startswith("measured at the gate. Outside the")
    assert found["validityPeriodEnd"] == "2029-10-01T00:00:00Z"
    assert found["extensions"][0]["documentation"] == "https://saas.example/method"
    path.write_text(path.read_text().replace("urn:gtin:4712345060507", "4712345060507"))
    with pytest.raises(
        ConfigError, match=r"product_ids\.0: allowed: a URN such as urn:pact:.* found '4712345060507'"
    ):
        load_config(path)
    path.write_text("disclosure: {issuer: {domain: a.example, name: A}, pact: {validity: 3}}")
    with pytest.raises(ConfigError, match="allowed keys: company_ids, classifications"):
        load_config(path)


def test_a_name_that_fits_no_urn_is_made_to_fit(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    published = shelf.publish(feature=Feature("ticket summary", "Zusammenfassung", "Größe 1/№5"))
    found = footprint(shelf.source(published), Terms())
    assert found["productIds"] == ["urn:pact:saas.example:supplier-id:Gr-e-1-5"]
    assert faults(found) == []


@pytest.mark.parametrize(
    ("text", "months", "expected"),
    [
        ("2026-10-01T00:00:00Z", 12, "2027-10-01"),
        ("2024-02-29T00:00:00Z", 36, "2027-02-28"),
        ("2026-11-30T00:00:00Z", 3, "2027-02-28"),
        ("2026-12-01T00:00:00Z", 12, "2027-12-01"),
    ],
)
def test_months_later_is_the_same_day_or_the_last(text: str, months: int, expected: str) -> None:
    moment = time_of(text)
    assert moment is not None
    assert months_later(moment, months).date().isoformat() == expected


def test_documents_have_the_schema_that_is_shipped() -> None:
    name = "llm-inference-disclosure-1.0.schema.json"
    root = Path(__file__).parents[2]
    shipped = (root / "wattspan/disclosure/pact/data" / name).read_bytes()
    assert (root / "docs/schema" / name).read_bytes() == shipped
    Draft202012Validator.check_schema(json.loads(shipped))
