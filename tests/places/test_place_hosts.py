"""Real endpoint forms, each against the place that its provider documents for it."""

import pytest

# (provider on the span, host, place, source)
EXACT = [
    ("aws.bedrock", "bedrock-runtime.us-east-1.amazonaws.com", "aws/us-east-1"),
    ("aws.bedrock", "bedrock-runtime.eu-west-3.amazonaws.com", "aws/eu-west-3"),
    ("aws.bedrock", "bedrock-runtime.ap-southeast-2.amazonaws.com", "aws/ap-southeast-2"),
    ("aws.bedrock", "bedrock-runtime-fips.us-west-2.amazonaws.com", "aws/us-west-2"),
    ("aws.bedrock", "bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "aws/us-gov-west-1"),
    ("aws.bedrock", "bedrock-runtime.ca-central-1.amazonaws.com", "aws/ca-central-1"),
    ("aws.bedrock", "bedrock-runtime.cn-north-1.amazonaws.com.cn", "aws/cn-north-1"),
    ("aws.bedrock", "bedrock-runtime.us-east-1.api.aws", "aws/us-east-1"),
    ("openai", "bedrock-mantle.us-east-2.api.aws", "aws/us-east-2"),
    ("aws.bedrock", "bedrock-agent-runtime.eu-central-1.amazonaws.com", "aws/eu-central-1"),
    (
        "aws.bedrock",
        "vpce-0a1b2c3d4e5f-abcd1234.bedrock-runtime.eu-central-1.vpce.amazonaws.com",
        "aws/eu-central-1",
    ),
    (
        "aws.bedrock",
        "vpce-0a1b2c3d4e5f-abcd1234-us-east-1a.bedrock-runtime.us-east-1.vpce.amazonaws.com",
        "aws/us-east-1",
    ),
    ("aws.bedrock", "runtime.sagemaker.ap-northeast-1.amazonaws.com", "aws/ap-northeast-1"),
    ("azure.ai.openai", "swedencentral.api.cognitive.microsoft.com", "azure/swedencentral"),
    ("azure.ai.openai", "eastus2.api.cognitive.microsoft.com", "azure/eastus2"),
    ("azure.ai.inference", "Mistral-large-abcd.eastus2.models.ai.azure.com", "azure/eastus2"),
    ("azure.ai.inference", "llama-xyz.swedencentral.inference.ai.azure.com", "azure/swedencentral"),
    ("openai", "my-endpoint.westeurope.inference.ml.azure.com", "azure/westeurope"),
    ("gcp.vertex_ai", "europe-west9-aiplatform.googleapis.com", "gcp/europe-west9"),
    ("gcp.vertex_ai", "us-central1-aiplatform.googleapis.com", "gcp/us-central1"),
    ("gcp.gemini", "asia-northeast1-aiplatform.googleapis.com", "gcp/asia-northeast1"),
    ("gcp.vertex_ai", "northamerica-northeast1-aiplatform.googleapis.com", "gcp/northamerica-northeast1"),
    ("gcp.vertex_ai", "aiplatform.europe-west4.rep.googleapis.com", "gcp/europe-west4"),
    ("gcp.vertex_ai", "1234567890.us-central1-987654321.prediction.vertexai.goog", "gcp/us-central1"),
    ("openai", "vllm-1234567890.europe-west4.run.app", "gcp/europe-west4"),
    ("ibm.watsonx.ai", "us-south.ml.cloud.ibm.com", "ibm/us-south"),
    ("ibm.watsonx.ai", "eu-de.ml.cloud.ibm.com", "ibm/eu-de"),
    ("ibm.watsonx.ai", "private.jp-tok.ml.cloud.ibm.com", "ibm/jp-tok"),
    ("ibm.watsonx.ai", "ap-south-1.aws.wxai.ibm.com", "aws/ap-south-1"),
    ("oci", "inference.generativeai.us-chicago-1.oci.oraclecloud.com", "oci/us-chicago-1"),
    ("cohere", "inference.generativeai.eu-frankfurt-1.oci.oraclecloud.com", "oci/eu-frankfurt-1"),
    ("oci", "inference.generativeai.eu-frankfurt-2.oci.oraclecloud.eu", "oci/eu-frankfurt-2"),
    ("openai", "cwo4ee2h5vkn3drx.us-east-1.aws.endpoints.huggingface.cloud", "aws/us-east-1"),
    ("huggingface", "abc.eu-west-1.aws.endpoints.huggingface.cloud", "aws/eu-west-1"),
    ("huggingface", "abc.eastus.azure.endpoints.huggingface.cloud", "azure/eastus"),
    ("huggingface", "abc.us-east4.gcp.endpoints.huggingface.cloud", "gcp/us-east4"),
    ("x_ai", "us-east-1.api.x.ai", "x_ai/us-east-1"),
    ("x_ai", "eu-west-1.api.x.ai", "x_ai/eu-west-1"),
    ("openai", "my-vllm-123456.eu-west-1.elb.amazonaws.com", "aws/eu-west-1"),
    ("openai", "my-vllm-0123abcd.elb.us-west-2.amazonaws.com", "aws/us-west-2"),
    ("openai", "llm.kindsea-1a2b3c.swedencentral.azurecontainerapps.io", "azure/swedencentral"),
]

GEOGRAPHY = [
    ("openai", "us.api.openai.com", "azure/us"),
    ("openai", "eu.api.openai.com", "azure/eu"),
    ("openai", "jp.api.openai.com", "azure/jp"),
    ("openai", "in.api.openai.com", "azure/in"),
    ("openai", "au.api.openai.com", "azure/au"),
    ("openai", "ae.api.openai.com", "azure/ae"),
    ("gcp.vertex_ai", "aiplatform.us.rep.googleapis.com", "gcp/us"),
    ("gcp.vertex_ai", "aiplatform.eu.rep.googleapis.com", "gcp/eu"),
    ("mistral_ai", "api.eu.mistral.ai", "aws+azure+gcp/eea_ch_gb"),
    ("mistral_ai", "api.us.mistral.ai", "aws+azure+gcp/us"),
    ("x_ai", "us.api.x.ai", "aws+azure+gcp/us"),
    ("deepseek", "api.deepseek.com", "alibaba+aws+azure/cn"),
    ("openai", "dashscope.aliyuncs.com", "alibaba/cn"),
    ("openai", "dashscope-intl.aliyuncs.com", "alibaba/global"),
    ("openai", "llm-1a2b.cn-beijing.maas.aliyuncs.com", "alibaba/cn"),
    ("openai", "ark.cn-beijing.volces.com", "alibaba+aws+azure/cn"),
    ("azure.ai.openai", "agency.openai.azure.us", "azure/us-gov"),
    ("openai", "eu.openrouter.ai", "azure/eu"),
    ("scaleway", "api.scaleway.ai", "scaleway/eu"),
    ("openai", "oai.endpoints.kepler.ai.cloud.ovh.net", "ovh/eu"),
]

# The host names who serves, not where.
UNKNOWN = [
    ("openai", "api.openai.com", "azure/global"),
    ("openai", "kr.api.openai.com", "azure/global"),
    ("anthropic", "api.anthropic.com", "aws+azure+gcp/global"),
    ("azure.ai.openai", "my-resource.openai.azure.com", "azure/global"),
    ("azure.ai.openai", "my-resource.cognitiveservices.azure.com", "azure/global"),
    ("azure.ai.inference", "my-resource.services.ai.azure.com", "azure/global"),
    ("openai", "models.inference.ai.azure.com", "azure/global"),
    ("gcp.gemini", "generativelanguage.googleapis.com", "gcp/global"),
    ("gcp.vertex_ai", "aiplatform.googleapis.com", "gcp/global"),
    ("mistral_ai", "api.mistral.ai", "aws+azure+gcp/global"),
    ("x_ai", "api.x.ai", "aws+azure+gcp/global"),
    ("groq", "api.groq.com", "aws+azure+gcp/global"),
    ("cohere", "api.cohere.com", "aws+azure+gcp/global"),
    ("together_ai", "api.together.xyz", "aws+azure+gcp/global"),
    ("fireworks_ai", "api.fireworks.ai", "aws+azure+gcp/global"),
    ("openrouter", "openrouter.ai", "aws+azure+gcp/global"),
    ("perplexity", "api.perplexity.ai", "aws+azure+gcp/global"),
    ("openai", "dashscope-us.aliyuncs.com", "alibaba/global"),
    ("huggingface", "router.huggingface.co", "aws+azure+gcp/global"),
    ("openai", "api.deepinfra.com", "azure/global"),
]


@pytest.mark.parametrize(("provider", "host", "label"), EXACT)
def test_a_regional_host_is_its_region(place_of, provider, host, label):
    place = place_of(provider=provider, host=host)
    assert (place.label, place.source, len(place.members)) == (label, "host", 1)


@pytest.mark.parametrize(("provider", "host", "label"), GEOGRAPHY)
def test_a_residency_host_is_a_geography(place_of, provider, host, label):
    place = place_of(provider=provider, host=host)
    assert (place.label, place.source, place.region) == (label, "host", "")


@pytest.mark.parametrize(("provider", "host", "label"), UNKNOWN)
def test_a_host_that_says_no_place_leaves_the_provider_mix(place_of, provider, host, label):
    place = place_of(provider=provider, host=host)
    assert (place.label, place.source) == (label, "geography_mix")


def test_more_than_sixty_endpoint_forms_are_covered():
    assert len(EXACT) + len(GEOGRAPHY) + len(UNKNOWN) == 81


@pytest.mark.parametrize(
    "host",
    [
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/x/invoke",
        "bedrock-runtime.us-east-1.amazonaws.com:443",
        "BEDROCK-RUNTIME.US-EAST-1.AMAZONAWS.COM",
        "bedrock-runtime.us-east-1.amazonaws.com.",
        "https://user:secret@bedrock-runtime.us-east-1.amazonaws.com",
    ],
)
def test_scheme_port_path_and_case_of_a_host_do_not_matter(place_of, host):
    assert place_of(host=host).label == "aws/us-east-1"


@pytest.mark.parametrize(
    "host",
    [
        "bedrock-runtime.us-east-1.amazonaws.com.example.org",
        "evil-bedrock-runtime.us-east-1.amazonaws.com",
        "us-east-1.amazonaws.com",
        "aiplatform.googleapis.com.example.org",
        "notapi.openai.com",
    ],
)
def test_a_host_that_only_looks_like_an_endpoint_is_not_one(place_of, host):
    place = place_of(host=host)
    assert (place.label, place.source) == ("aws+azure+gcp/global", "geography_mix")


def test_the_host_knows_better_than_an_sdk_that_always_says_openai(place_of):
    assert place_of(provider="openai", host="api.groq.com").facility == "unknown_operator"
    assert place_of(provider="openai", host="myres.openai.azure.com").facility == "azure"
    assert place_of(provider="openai", host="api.deepseek.com").geography == "cn"


def test_a_region_that_the_edition_does_not_know_falls_to_the_providers_mix(place_of):
    place = place_of(provider="aws.bedrock", host="bedrock-runtime.eu-east-9.amazonaws.com")
    assert (place.label, place.source) == ("aws/global", "geography_mix")


def test_an_operator_that_borrows_region_names_keeps_its_own_overhead(place_of):
    place = place_of(provider="x_ai", host="us-east-1.api.x.ai")
    assert (place.zones, place.facility, place.pue) == (("US-MIDA-PJM",), "unknown_operator", 1.54)
