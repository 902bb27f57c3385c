"""The order of evidence: rules, span, provider's word, profile, host, resource, mix, world (design D8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattspan.places import PlaceKey, Places

EVERYTHING = PlaceKey(
    provider="aws.bedrock",
    request_model="eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
    host="bedrock-runtime.eu-west-1.amazonaws.com",
    span_region="eu-north-1",
    span_cloud="aws",
    reported_region="us",
    resource_region="ap-south-1",
    resource_cloud="aws",
    is_self_hosted=True,
)


def test_each_kind_of_evidence_wins_over_all_after_it(edition):
    rules = [{"match": {"model": "*claude*"}, "region": "sa-east-1"}]
    places = Places(edition)
    key = EVERYTHING
    found = [(Places(edition, rules).resolve(key).label, Places(edition, rules).resolve(key).source)]
    for field in ("span_region", "reported_region", "request_model", "host", "resource_region"):
        place = places.resolve(key)
        found.append((place.label, place.source))
        key = key._replace(**{field: ""})
    found.append((places.resolve(key).label, places.resolve(key).source))
    key = key._replace(is_self_hosted=False)
    found.append((places.resolve(key).label, places.resolve(key).source))
    found.append((places.resolve(PlaceKey()).label, places.resolve(PlaceKey()).source))
    assert found == [
        ("aws/sa-east-1", "rule"),
        ("aws/eu-north-1", "span"),
        ("aws/us", "provider_reported"),
        ("aws/eu", "profile"),
        ("aws/eu-west-1", "host"),
        ("aws/ap-south-1", "resource"),
        ("world", "world"),
        ("aws/global", "geography_mix"),
        ("world", "world"),
    ]


def test_the_callers_own_region_says_nothing_about_a_hosted_model(place_of):
    for provider in ("openai", "anthropic", "aws.bedrock", "azure.ai.openai", "mistral_ai", "unheard_of", ""):
        with_region = place_of(provider=provider, resource_region="eu-north-1", resource_cloud="aws")
        assert with_region == place_of(provider=provider)


def test_a_self_hosted_model_runs_where_its_resource_runs(place_of):
    place = place_of(
        provider="openai",
        host="10.0.3.7",
        is_self_hosted=True,
        resource_region="europe-west1",
        resource_cloud="gcp",
    )
    assert (place.label, place.source, place.pue) == ("gcp/europe-west1", "resource", 1.09)


def test_a_self_hosted_model_on_an_unknown_machine_is_not_in_its_vendors_cloud(place_of):
    place = place_of(provider="openai", host="localhost", is_self_hosted=True, resource_region="rack-7")
    assert (place.label, place.facility, place.pue) == ("world", "self_hosted", 1.54)


@pytest.mark.parametrize(
    ("model", "label"),
    [
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "aws/us"),
        ("eu.meta.llama3-2-3b-instruct-v1:0", "aws/eu"),
        ("apac.amazon.nova-lite-v1:0", "aws/apac"),
        ("jp.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws/jp"),
        ("au.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws/au"),
        ("ca.amazon.nova-lite-v1:0", "aws/ca"),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws/global"),
        ("us-gov.anthropic.claude-3-5-sonnet-20240620-v1:0", "aws/us-gov"),
        ("us.deepseek.r1-v1:0", "aws/us"),
        ("bedrock/us.anthropic.claude-3-haiku-20240307-v1:0", "aws/us"),
        ("bedrock/converse/eu.amazon.nova-pro-v1:0", "aws/eu"),
        ("bedrock/ap-northeast-1/anthropic.claude-v2:1", "aws/ap-northeast-1"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
            "aws/us",
        ),
        ("arn:aws:bedrock:eu-west-3::foundation-model/mistral.mistral-large-2402-v1:0", "aws/eu-west-3"),
        ("arn:aws:bedrock:us-west-2:123456789012:provisioned-model/abc123", "aws/us-west-2"),
        ("arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc123", "aws/eu"),
        ("arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:application-inference-profile/x1", "aws/us-gov"),
        ("arn:aws:bedrock:sa-east-1:123456789012:application-inference-profile/abc123", "aws/br"),
        (
            "projects/p/locations/europe-west4/publishers/google/models/gemini-2.5-pro",
            "gcp/europe-west4",
        ),
        ("projects/p/locations/global/publishers/google/models/gemini-2.5-pro", "gcp/global"),
    ],
)
def test_a_model_id_names_its_profile(place_of, model, label):
    place = place_of(
        provider="aws.bedrock", request_model=model, host="bedrock-runtime.me-south-1.amazonaws.com"
    )
    assert (place.label, place.source) == (label, "profile")


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-3-haiku-20240307-v1:0",
        "us.example.model",
        "global",
        "eu.claude",
        "gpt-4o",
        "bedrock/anthropic.claude-v2",
        "arn:aws:bedrock:::foundation-model/x",
    ],
)
def test_a_model_id_without_a_profile_leaves_the_hosts_region(place_of, model):
    place = place_of(
        provider="aws.bedrock", request_model=model, host="bedrock-runtime.eu-west-2.amazonaws.com"
    )
    assert (place.label, place.source) == ("aws/eu-west-2", "host")


def test_the_requested_id_keeps_a_profile_that_the_answer_dropped(place_of):
    place = place_of(
        provider="aws.bedrock",
        request_model="eu.anthropic.claude-sonnet-4-20250514-v1:0",
        model="anthropic.claude-sonnet-4-20250514-v1:0",
    )
    assert place.label == "aws/eu"


@pytest.mark.parametrize(
    ("reported", "label", "source"),
    [
        ("us", "aws+azure+gcp/us", "provider_reported"),
        ("global", "aws+azure+gcp/global", "provider_reported"),
        ("EU", "aws+azure+gcp/eu", "provider_reported"),
        ("not_available", "aws+azure+gcp/global", "geography_mix"),
    ],
)
def test_what_the_provider_reported(place_of, reported, label, source):
    place = place_of(provider="anthropic", host="api.anthropic.com", reported_region=reported)
    assert (place.label, place.source) == (label, source)


@pytest.mark.parametrize(
    ("region", "cloud", "provider", "label"),
    [
        ("us-east-1", "", "aws.bedrock", "aws/us-east-1"),
        ("us-east-1", "alibaba_cloud", "", "alibaba/us-east-1"),
        ("us-east-1", "", "dashscope", "alibaba/us-east-1"),
        ("us-east-1", "", "", "aws/us-east-1"),
        ("us-east-1a", "aws", "", "aws/us-east-1"),
        ("us-central1-b", "", "", "gcp/us-central1"),
        ("East US 2", "azure", "", "azure/eastus2"),
        ("westeurope", "", "openai", "azure/westeurope"),
        ("us-ashburn-1", "oracle_cloud", "", "oci/us-ashburn-1"),
        ("us-east-01", "", "", "coreweave/US-EAST-01"),
        ("eu", "gcp", "", "gcp/eu"),
        ("uk", "", "aws.bedrock", "aws/gb"),
    ],
)
def test_a_region_on_the_span(place_of, region, cloud, provider, label):
    place = place_of(span_region=region, span_cloud=cloud, provider=provider)
    assert (place.label, place.source) == (label, "span")


def test_a_region_that_its_cloud_does_not_have_is_no_evidence(place_of):
    place = place_of(span_region="eastus2", span_cloud="aws", provider="aws.bedrock")
    assert (place.label, place.source) == ("aws/global", "geography_mix")


def test_members_of_a_mix_are_open_to_all(place_of):
    names = {region.name for region in place_of(provider="aws.bedrock", reported_region="us").members}
    assert names == {"us-east-1", "us-east-2", "us-west-1", "us-west-2"}
    names = {region.name for region in place_of(provider="aws.bedrock", reported_region="us-gov").members}
    assert names == {"us-gov-east-1", "us-gov-west-1"}


def test_china_is_not_in_the_global_mix(place_of):
    assert "CN" not in {region.country for region in place_of(provider="azure").members}


def test_a_geography_without_a_region_of_the_provider_takes_those_of_others(place_of):
    place = place_of(provider="gcp.vertex_ai", reported_region="no")
    assert (place.label, place.zones) == ("azure+coreweave/no", ("NO-NO1", "NO-NO2", "NO-NO2"))


def test_a_country_without_any_cloud_region_is_its_own_grid(place_of):
    place = place_of(provider="mistral_ai", reported_region="pt")
    assert (place.label, place.members[0].ember_area) == ("zone/PT", "PRT")


def test_namibia_is_a_country_not_a_missing_value(place_of):
    place = place_of(provider="mistral_ai", reported_region="NA")
    assert (place.label, place.zones, place.members[0].ember_area) == ("zone/NA", ("NA",), "NAM")


def test_answers_are_remembered(places):
    key = PlaceKey(provider="openai", host="eu.api.openai.com")
    assert places.resolve(key) is places.resolve(key)


def test_a_flood_of_host_names_does_not_grow_the_memory(places, monkeypatch):
    monkeypatch.setattr("wattspan.places.resolve._REMEMBERED_KEYS", 100)
    for number in range(1_000):
        places.resolve(PlaceKey(host=f"h{number}.example.org"))
    assert len(places._remembered) <= 100


SOURCES = {
    "rule", "span", "provider_reported", "profile", "deployment_type", "host", "resource", "geography_mix",
    "world",
}  # fmt: skip
WORDS = st.sampled_from(
    [
        "", "us-east-1", "eu", "global", "NA", "openai", "aws.bedrock", "us.amazon.nova-pro-v1:0", "azure",
        "api.openai.com", "bedrock-runtime.us-east-1.amazonaws.com", "locations/eu",
        "arn:aws:bedrock:x:1:custom-model/y",
    ]
)  # fmt: skip


@given(st.builds(PlaceKey, *[st.one_of(WORDS, st.text())] * 9, st.booleans()))
def test_whatever_a_span_says_a_place_is_found_and_the_callers_region_is_used_for_self_hosted_only(
    places, key
):
    place = places.resolve(key)
    assert place.source in SOURCES
    assert place.facility in places.facilities
    assert place.pue == places.facilities[place.facility].pue
    assert (place.source == "world") == (place.label == "world")
    if place.source == "resource":
        assert key.is_self_hosted
