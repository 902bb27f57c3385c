"""The user's own rules."""

import pytest

from wattspan.calls import CallBatch
from wattspan.estimator import Estimator
from wattspan.places import PlaceKey, PlaceRuleError, Places

AZURE = PlaceKey(provider="azure.ai.openai", request_model="my-gpt", host="res-1.openai.azure.com")


def resolve(edition, key, *rules):
    place = Places(edition, rules).resolve(key)
    return place.label, place.source


def test_a_rule_names_the_region_that_a_host_does_not(edition):
    rule = {"match": {"host": "res-1.openai.azure.com"}, "region": "swedencentral"}
    assert resolve(edition, AZURE, rule) == ("azure/swedencentral", "rule")


def test_the_first_rule_that_matches_decides(edition):
    rules = (
        {"match": {"model": "other*"}, "region": "eastus"},
        {"match": {"model": "my-*"}, "geography": "eu"},
        {"match": {"model": "*"}, "region": "westus"},
    )
    assert resolve(edition, AZURE, *rules) == ("azure/eu", "rule")


def test_all_patterns_of_a_rule_must_match(edition):
    rule = {"match": {"provider": "azure*", "host": "res-2.*"}, "region": "eastus"}
    assert resolve(edition, AZURE, rule) == ("azure/global", "geography_mix")


@pytest.mark.parametrize(
    "match",
    [
        {"gen_ai.provider.name": "azure.ai.openai"},
        {"gen_ai.request.model": "MY-GPT"},
        {"server.address": "*.azure.com"},
        {"model": "my-gpt"},
        {"self_hosted": False},
    ],
)
def test_rules_match_by_attribute_in_any_case(edition, match):
    assert resolve(edition, AZURE, {"match": match, "region": "azure/eastus"}) == ("azure/eastus", "rule")


def test_a_rule_may_name_a_grid_zone(edition):
    key = PlaceKey(host="10.1.2.3", is_self_hosted=True)
    place = Places(edition, [{"match": {"host": "10.1.*"}, "zone": "de"}]).resolve(key)
    assert (place.label, place.zones, place.source, place.pue) == ("zone/DE", ("DE",), "rule", 1.54)


def test_a_rule_decides_a_name_that_two_clouds_share(edition):
    rule = {"match": {"model": "*"}, "region": "alibaba/us-east-1"}
    assert resolve(edition, AZURE, rule) == ("alibaba/us-east-1", "rule")


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ({"deployment_type": "GlobalStandard"}, "azure/global"),
        ({"deployment_type": "global-standard"}, "azure/global"),
        ({"deployment_type": "DataZoneStandard", "geography": "eu"}, "azure/eu"),
        ({"deployment_type": "DataZoneStandard", "region": "eastus2"}, "azure/us"),
        ({"deployment_type": "DataZoneProvisionedManaged", "region": "japaneast"}, "azure/apac"),
        ({"deployment_type": "Standard", "region": "swedencentral"}, "azure/swedencentral"),
    ],
)
def test_an_azure_deployment_type_says_how_far_a_call_may_go(edition, answer, label):
    assert resolve(edition, AZURE, {"match": {"provider": "azure*"}, **answer}) == (label, "deployment_type")


def test_a_deployment_type_overrides_the_hosts_region(edition):
    key = AZURE._replace(host="swedencentral.api.cognitive.microsoft.com")
    assert resolve(edition, key) == ("azure/swedencentral", "host")
    for kind, label in (
        ("GlobalStandard", "global"),
        ("DataZoneStandard", "eu"),
        ("Standard", "swedencentral"),
    ):
        rule = {"match": {"provider": "azure*"}, "deployment_type": kind}
        assert resolve(edition, key, rule) == (f"azure/{label}", "deployment_type")


def test_a_deployment_type_does_not_override_the_span(edition):
    rule = {"match": {"provider": "azure*"}, "deployment_type": "GlobalStandard"}
    assert resolve(edition, AZURE._replace(span_region="eastus"), rule) == ("azure/eastus", "span")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            {"match": {"model": "*"}},
            "rule 1: says nothing; give one of region, geography, zone or deployment_type",
        ),
        ({"region": "eastus"}, "rule 1: match is None; give at least one pattern"),
        ({"match": {}, "region": "eastus"}, "rule 1: match is {}; give at least one pattern"),
        (
            {"match": {"modle": "*"}, "region": "eastus"},
            "rule 1: cannot match on 'modle'; did you mean model",
        ),
        ({"match": {"model": 4}, "region": "eastus"}, "rule 1: match model is 4; give a text"),
        ({"match": {"model": "*"}, "region": "eastus22"}, "unknown region 'eastus22'; did you mean eastus2"),
        (
            {"match": {"model": "*"}, "region": "awz/us-east-1"},
            "unknown cloud 'awz' in region 'awz/us-east-1'",
        ),
        ({"match": {"model": "*"}, "geography": "atlantis"}, "unknown geography 'atlantis'"),
        ({"match": {"model": "*"}, "deployment_type": "GlobalStandart"}, "did you mean globalstandard"),
        ({"match": {"model": "*"}, "regoin": "eastus"}, "unknown key 'regoin'; did you mean region?"),
        (
            {"match": {"model": "*"}, "region": "eastus", "geography": "us"},
            "has region and geography; give one of them",
        ),
        ("eastus", "found 'eastus'; a rule is a mapping"),
    ],
)
def test_a_rule_that_cannot_be_used_says_what_is_wrong_and_what_is_allowed(edition, rule, message):
    with pytest.raises(PlaceRuleError) as error:
        Places(edition, [rule])
    assert message in str(error.value)


def test_the_number_of_the_bad_rule_is_given(edition):
    good = {"match": {"model": "*"}, "region": "eastus"}
    with pytest.raises(PlaceRuleError, match=r"^places rule 3: "):
        Places(edition, [good, good, {"match": {"model": "*"}}])


def test_a_rule_on_the_service_decides_for_the_calls_of_that_service_only(edition):
    rules = [{"match": {"service.name": "Billing-*", "provider": "openai"}, "region": "eu-west-3"}]
    calls = CallBatch.of(
        3,
        model="gpt-4o",
        provider="openai",
        output_tokens=300,
        service=["billing-eu", "search", ""],
    )
    found = Estimator(rules=rules).estimate(calls)
    assert found.region.texts() == ["aws/eu-west-3", "azure/global", "azure/global"]
    assert found.region_source.texts() == ["rule", "geography_mix", "geography_mix"]
