"""Which model an id in a trace means: ids as providers and routers write them, each answered by hand."""

import pytest

OPENAI = [
    ("gpt-4o", "openai/gpt-4o"),
    ("gpt-4o-2024-08-06", "openai/gpt-4o"),
    ("gpt-4o-2024-11-20", "openai/gpt-4o"),
    ("GPT-4o", "openai/gpt-4o"),
    ("chatgpt-4o-latest", "openai/gpt-4o"),
    ("openai/gpt-4o", "openai/gpt-4o"),
    ("openai/gpt-4o:extended", "openai/gpt-4o"),
    ("openai:gpt-4o", "openai/gpt-4o"),
    ("gpt-4o-mini", "openai/gpt-4o-mini"),
    ("gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
    ("ft:gpt-4o-mini-2024-07-18:org::id", "openai/gpt-4o-mini"),
    ("ft:gpt-3.5-turbo-0125:acme:support:9Abc:ckpt-step-90", "openai/gpt-3.5-turbo"),
    ("gpt-4o-mini-2024-07-18.ft-0123456789abcdef", "openai/gpt-4o-mini"),
    ("gpt-4o-audio-preview-2024-12-17", "openai/gpt-4o-audio-preview"),
    ("gpt-4o-realtime-preview", "openai/gpt-4o-realtime-preview"),
    ("gpt-35-turbo", "openai/gpt-3.5-turbo"),
    ("gpt-3.5-turbo-0125", "openai/gpt-3.5-turbo"),
    ("gpt-3.5-turbo-instruct", "openai/gpt-3.5-turbo-instruct"),
    ("gpt-4", "openai/gpt-4"),
    ("gpt-4-0613", "openai/gpt-4"),
    ("gpt-4-1106-preview", "openai/gpt-4-turbo"),
    ("gpt-4-turbo-2024-04-09", "openai/gpt-4-turbo"),
    ("gpt-4.1-nano-2025-04-14", "openai/gpt-4.1-nano"),
    ("o1-preview", "openai/o1-preview"),
    ("o3-2025-04-16", "openai/o3"),
    ("o3-mini", "openai/o3-mini"),
    ("o4-mini-deep-research-2025-06-26", "openai/o4-mini-deep-research"),
    ("gpt-5-2025-08-07", "openai/gpt-5"),
    ("gpt-5-chat-latest", "openai/gpt-5-chat"),
    ("gpt-5.1-codex-max", "openai/gpt-5.1-codex-max"),
    ("gpt-5.4-mini-2026-03-17", "openai/gpt-5.4-mini"),
    ("gpt-5.6-luna", "openai/gpt-5.6-luna"),
    ("gpt-6-astra", "openai/gpt-6-astra"),
    ("text-embedding-3-small", "openai/text-embedding-3-small"),
    ("text-embedding-ada-002", "openai/text-embedding-ada-002"),
    ("omni-moderation-latest", "openai/omni-moderation"),
    ("whisper-1", "openai/whisper-large-v2"),
    ("groq/openai/gpt-oss-120b", "openai/gpt-oss-120b"),
    ("openai.gpt-oss-20b-1:0", "openai/gpt-oss-20b"),
    ("azure/gpt-4o", "openai/gpt-4o"),
    ("azure/eu/gpt-4o-2024-08-06", "openai/gpt-4o"),
    ("azure/global-standard/gpt-4o-mini", "openai/gpt-4o-mini"),
]

ANTHROPIC = [
    ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
    ("claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
    ("claude-sonnet-4-20250514", "anthropic/claude-sonnet-4"),
    ("claude-4-sonnet", "anthropic/claude-sonnet-4"),
    ("claude-3-haiku-20240307", "anthropic/claude-3-haiku"),
    ("claude-3-5-sonnet-latest", "anthropic/claude-3-5-sonnet"),
    ("claude-3-5-sonnet-20241022", "anthropic/claude-3-5-sonnet"),
    ("claude-3-7-sonnet-20250219", "anthropic/claude-3-7-sonnet"),
    ("claude-2.1", "anthropic/claude-2.1"),
    ("claude-opus-4-1-20250805", "anthropic/claude-opus-4-1"),
    ("claude-haiku-4-5@20251001", "anthropic/claude-haiku-4-5"),
    ("claude-3-5-sonnet-v2@20241022", "anthropic/claude-3-5-sonnet"),
    ("claude-opus-4-5@default", "anthropic/claude-opus-4-5"),
    ("anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4-5"),
    ("anthropic/claude-3.5-haiku:beta", "anthropic/claude-3-5-haiku"),
    ("anthropic/claude-3.7-sonnet:thinking", "anthropic/claude-3-7-sonnet"),
    ("openrouter/anthropic/claude-opus-4.6", "anthropic/claude-opus-4-6"),
    ("anthropic.claude-3-sonnet-20240229-v1:0", "anthropic/claude-3-sonnet"),
    ("anthropic.claude-3-haiku-20240307-v1:0:200k", "anthropic/claude-3-haiku"),
    ("anthropic.claude-v2:1", "anthropic/claude-2"),
    ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic/claude-sonnet-4-5"),
    ("eu.anthropic.claude-3-5-sonnet-20241022-v2:0", "anthropic/claude-3-5-sonnet"),
    ("apac.anthropic.claude-sonnet-4-20250514-v1:0", "anthropic/claude-sonnet-4"),
    ("jp.anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic/claude-haiku-4-5"),
    ("au.anthropic.claude-sonnet-4-6", "anthropic/claude-sonnet-4-6"),
    ("global.anthropic.claude-opus-4-5-20251101-v1:0", "anthropic/claude-opus-4-5"),
    ("us-gov.anthropic.claude-3-haiku-20240307-v1:0", "anthropic/claude-3-haiku"),
    ("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic/claude-sonnet-4-5"),
    ("bedrock/converse/anthropic.claude-3-opus-20240229-v1:0", "anthropic/claude-3-opus"),
    ("bedrock/us-east-1/anthropic.claude-3-haiku-20240307-v1:0", "anthropic/claude-3-haiku"),
    ("bedrock:eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic/claude-sonnet-4-5"),
    (
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-sonnet-20240620-v1:0",
        "anthropic/claude-3-5-sonnet",
    ),
    (
        "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-20250514-v1:0",
        "anthropic/claude-sonnet-4",
    ),
    (
        "projects/acme/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929",
        "anthropic/claude-sonnet-4-5",
    ),
    ("vertex_ai/claude-opus-4@20250514", "anthropic/claude-opus-4"),
    ("databricks/databricks-claude-sonnet-4", "anthropic/claude-sonnet-4"),
]

GOOGLE = [
    ("gemini-2.5-flash", "google/gemini-2.5-flash"),
    ("gemini-2.5-pro-preview-05-06", "google/gemini-2.5-pro"),
    ("gemini-2.5-pro-exp-03-25", "google/gemini-2.5-pro"),
    ("gemini-2.5-flash-preview-09-2025", "google/gemini-2.5-flash"),
    ("gemini-2.5-flash-lite-preview-06-17", "google/gemini-2.5-flash-lite"),
    ("gemini-2.5-flash-image", "google/gemini-2.5-flash-image"),
    ("gemini-2.5-flash-preview-tts", "google/gemini-2.5-flash-tts"),
    ("gemini-2.0-flash-001", "google/gemini-2.0-flash"),
    ("gemini-2.0-flash-lite-001", "google/gemini-2.0-flash-lite"),
    ("gemini-1.5-pro", "google/gemini-1.5-pro"),
    ("gemini-1.5-pro-002", "google/gemini-1.5-pro"),
    ("gemini-1.5-flash-8b", "google/gemini-1.5-flash-8b"),
    ("models/gemini-1.5-flash-latest", "google/gemini-1.5-flash"),
    ("publishers/google/models/gemini-2.5-flash", "google/gemini-2.5-flash"),
    (
        "projects/p/locations/europe-west4/publishers/google/models/gemini-2.0-flash-001",
        "google/gemini-2.0-flash",
    ),
    ("vertex_ai/gemini-3-pro-preview", "google/gemini-3-pro"),
    ("gemini/gemini-3.5-flash", "google/gemini-3.5-flash"),
    ("google-gla:gemini-2.5-flash", "google/gemini-2.5-flash"),
    ("google/gemini-2.0-flash-exp:free", "google/gemini-2.0-flash"),
    ("gemini-embedding-001", "google/gemini-embedding-001"),
    ("google/gemma-3-27b-it", "google/gemma-3-27b"),
    ("google/gemma-4-26B-A4B-it", "google/gemma-4-26b-a4b"),
    ("google/embeddinggemma-300m", "google/embeddinggemma-300m"),
]

OPEN_WEIGHTS = [
    ("meta-llama/Llama-3.1-8B-Instruct", "meta/llama-3.1-8b"),
    ("meta-llama/Meta-Llama-3.1-8B-Instruct", "meta/llama-3.1-8b"),
    ("META-LLAMA/LLAMA-3.1-8B-INSTRUCT", "meta/llama-3.1-8b"),
    ("meta-llama/llama-3.1-8b-instruct:free", "meta/llama-3.1-8b"),
    ("groq/llama-3.3-70b-versatile", "meta/llama-3.3-70b"),
    ("llama-3.1-8b-instant", "meta/llama-3.1-8b"),
    ("llama3-70b-8192", "meta/llama-3-70b"),
    ("together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo-Free", "meta/llama-3.3-70b"),
    ("fireworks_ai/accounts/fireworks/models/llama-v3p1-405b-instruct", "meta/llama-3.1-405b"),
    ("accounts/fireworks/models/llama4-maverick-instruct-basic", "meta/llama-4-maverick"),
    ("@cf/meta/llama-3.1-70b-instruct", "meta/llama-3.1-70b"),
    ("vertex_ai/meta/llama-3.1-405b-instruct-maas", "meta/llama-3.1-405b"),
    ("meta.llama3-1-8b-instruct-v1:0", "meta/llama-3.1-8b"),
    ("replicate/meta/llama-2-70b-chat:" + "02e509c7" * 8, "meta/llama-2-70b"),
    ("TheBloke/Mistral-7B-Instruct-v0.2-GPTQ", "mistralai/mistral-7b"),
    ("unsloth/Llama-3.2-1B-Instruct-bnb-4bit", "meta/llama-3.2-1b"),
    ("neuralmagic/Meta-Llama-3.1-70B-Instruct-quantized.w4a16", "meta/llama-3.1-70b"),
    ("us.meta.llama4-scout-17b-instruct-v1:0", "meta/llama-4-scout"),
    ("hosted_vllm/meta-llama/Llama-3.2-3B-Instruct", "meta/llama-3.2-3b"),
    ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mistralai/mixtral-8x7b"),
    ("mistral.mistral-7b-instruct-v0:2", "mistralai/mistral-7b"),
    ("mistral-large-2407", "mistralai/mistral-large-2407"),
    ("mistral-large@2407", "mistralai/mistral-large-2407"),
    ("publishers/mistralai/models/mistral-large-2411@001", "mistralai/mistral-large-2411"),
    ("mistral/mistral-small-2503", "mistralai/mistral-small-3.1"),
    ("codestral-2405", "mistralai/codestral-2405"),
    ("magistral-small-2507", "mistralai/magistral-small-2507"),
    ("mistralai/Devstral-2-123B-Instruct-2512", "mistralai/devstral-2"),
    ("pixtral-12b-2409", "mistralai/pixtral-12b"),
    ("deepseek-ai/DeepSeek-V3-0324", "deepseek/deepseek-v3"),
    ("deepseek-ai/DeepSeek-R1-0528", "deepseek/deepseek-r1"),
    ("us.deepseek.r1-v1:0", "deepseek/deepseek-r1"),
    ("deepseek-r1-distill-llama-70b", "deepseek/deepseek-r1-distill-llama-70b"),
    ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "deepseek/deepseek-r1-distill-qwen-32b"),
    ("deepseek/deepseek-v4-pro-0813", "deepseek/deepseek-v4-pro"),
    ("Qwen/Qwen3-235B-A22B-Instruct-2507", "qwen/qwen3-235b-a22b"),
    ("qwen/qwen-2.5-72b-instruct", "qwen/qwen2.5-72b"),
    ("Qwen/Qwen2.5-Coder-32B-Instruct", "qwen/qwen2.5-coder-32b"),
    ("qwen-plus-2025-07-28", "qwen/qwen-plus"),
    ("qwen.qwen3-coder-480b-a35b-v1:0", "qwen/qwen3-coder-480b-a35b"),
    ("moonshotai/Kimi-K2-Instruct-0905", "moonshotai/kimi-k2"),
    ("kimi-k2-thinking", "moonshotai/kimi-k2-thinking"),
    ("fireworks/kimi-k2p5", "moonshotai/kimi-k2.5"),
    ("zai-org/GLM-4.5-Air", "zai/glm-4.5-air"),
    ("z-ai/glm-5.2:batch", "zai/glm-5.2"),
    ("cerebras/zai-glm-4.7", "zai/glm-4.7"),
    ("MiniMaxAI/MiniMax-M2", "minimax/minimax-m2"),
    ("microsoft/phi-4", "microsoft/phi-4"),
    ("azure_ai/Phi-3.5-mini-instruct", "microsoft/phi-3.5-mini"),
    ("nvidia/Llama-3_3-Nemotron-Super-49B-v1_5", "nvidia/llama-3.3-nemotron-super-49b-v1.5"),
    ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "nvidia/nemotron-3-nano-30b-a3b"),
    ("watsonx/ibm/granite-3-8b-instruct", "ibm/granite-3.0-8b"),
    ("ibm-granite/granite-3.3-8b-instruct", "ibm/granite-3.3-8b"),
    ("ibm-granite/granite-4.0-h-small", "ibm/granite-4.0-h-small"),
    ("command-r-plus-08-2024", "cohere/command-r-plus-08-2024"),
    ("cohere.command-r-plus-v1:0", "cohere/command-r-plus-04-2024"),
    ("embed-english-v3.0", "cohere/embed-english-v3.0"),
    ("cohere.embed-multilingual-v3", "cohere/embed-multilingual-v3.0"),
    ("rerank-v3.5", "cohere/rerank-v3.5"),
    ("ai21.jamba-1-5-large-v1:0", "ai21/jamba-large-1.5"),
    ("grok-4-0709", "xai/grok-4"),
    ("x-ai/grok-3-beta", "xai/grok-3"),
    ("xai/grok-4-fast-reasoning", "xai/grok-4-fast"),
    ("amazon.nova-pro-v1:0", "amazon/nova-pro"),
    ("us.amazon.nova-lite-v1:0", "amazon/nova-lite"),
    ("amazon.titan-embed-text-v2:0", "amazon/titan-embed-text-v2"),
    ("amazon.titan-embed-text-v1", "amazon/titan-embed-text-v1"),
    ("perplexity/sonar-pro", "perplexity/sonar-pro"),
    ("BAAI/bge-m3", "baai/bge-m3"),
    ("intfloat/multilingual-e5-large", "intfloat/multilingual-e5-large"),
    ("sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-minilm-l6-v2"),
    ("voyage/voyage-3.5-lite", "voyageai/voyage-3.5-lite"),
    ("jina-embeddings-v3", "jinaai/jina-embeddings-v3"),
    ("nomic-embed-text-v1.5", "nomic/nomic-embed-text-v1.5"),
]

OLLAMA = [
    ("llama3.1:8b", "meta/llama-3.1-8b"),
    ("llama3.1:8b-instruct-q4_K_M", "meta/llama-3.1-8b"),
    ("ollama/llama3.1", "meta/llama-3.1-8b"),
    ("ollama_chat/llama3.2:latest", "meta/llama-3.2-3b"),
    ("qwen3:32b", "qwen/qwen3-32b"),
    ("qwen3:30b-a3b-instruct-2507-q8_0", "qwen/qwen3-30b-a3b"),
    ("deepseek-r1:70b", "deepseek/deepseek-r1-distill-llama-70b"),
    ("deepseek-r1:671b", "deepseek/deepseek-r1"),
    ("deepseek-r1:8b", "deepseek/deepseek-r1-0528-qwen3-8b"),
    ("deepseek-r1:8b-llama-distill-q4_K_M", "deepseek/deepseek-r1-distill-llama-8b"),
    ("deepseek-r1:latest", "deepseek/deepseek-r1-0528-qwen3-8b"),
    ("gemma3:27b", "google/gemma-3-27b"),
    ("gpt-oss:20b", "openai/gpt-oss-20b"),
    ("gpt-oss:120b-cloud", "openai/gpt-oss-120b"),
    ("mistral:7b", "mistralai/mistral-7b"),
    ("mistral:7b-instruct-v0.3-q4_0", "mistralai/mistral-7b"),
    ("nomic-embed-text:latest", "nomic/nomic-embed-text-v1.5"),
    ("llama3.2-vision:11b", "meta/llama-3.2-11b-vision"),
]

UNKNOWN = [
    "",
    " ",
    "unknown",
    "default",
    "my-model",
    "gpt",
    "claude",
    "azure/gpt-4o-prod-eu",  # a deployment's name is its owner's own
    "gpt-4o-prod-eu",
    "gpt-4o-mini-xyz",
    "gpt-4o-mini-2",
    "gpt-4o-2024-13-40",
    "gpt-4o-20240806",
    "gpt-4oo",
    "gpt-7",
    "o3-nano",
    "claude-sonnet-6",
    "claude-sonnet-4-9",
    "claude-3-haiku-2024",
    "claude-haiku",
    "gemini-1.5-ultra",
    "gemini-2.5-pro-mini",
    "gemini-9-pro",
    "gemini-2.5-flash-native",
    "gemma-3",  # 1B or 27B: not said
    "llama3.1",  # outside Ollama no size is a size
    "llama-3.1",
    "llama-3.1-9b",
    "llama-3.1-8b-my-finetune",
    "meta-llama/Llama-3.1-8B-Instruct-Medical",
    "somebody/Llama-3.1-8B-Instruct-abliterated",
    "somebody/Llama-3.1-8B-Instruct",  # an org nobody vouches for
    "deepseek-r1-distill-llama-7b",
    "deepseek-r1-distill",
    "deepseek/gpt-4o",
    "anthropic/gpt-4o",
    "openrouter/auto",
    "kimi-k3.2",
    "mistral-large",  # pointed at three models by 2026; see the alias test
    "mixtral",
    "llama3.1:9b",
    "llama3.1:8b-uncensored",
    "qwen3:32b-mine",
    "accounts/acme/models/llama-v3p1-8b-instruct",
    "fireworks_ai/accounts/acme/deployedModels/gpt-oss-120b-x1y2",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
    "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghijkl",
    "arn:aws:bedrock:us-east-1:123456789012:default-prompt-router/anthropic.claude:1",
    "arn:aws:sagemaker:us-east-1:123456789012:endpoint/gpt-4o",
    "projects/acme/locations/us-central1/endpoints/1234567890",
    "tunedModels/gemini-2.5-flash-abc",
    "sagemaker/my-endpoint",
    "ft:my-own-base:org::id",
    "gpt-4o:my-tag",
    "anthropic.claude-sonnet-9-v1:0",
    "amazon.titan-embed-text-v9:0",
    "~openai/gpt-latest",
    "model-router",
    "text-embedding-3-medium",
    "bge-m4",
]

KNOWN = OPENAI + ANTHROPIC + GOOGLE + OPEN_WEIGHTS + OLLAMA


def test_the_table_is_long_enough_to_mean_something():
    assert len(KNOWN) >= 150
    assert len({name for name, _ in KNOWN}) == len(KNOWN)


@pytest.mark.parametrize(("name", "expected"), KNOWN, ids=[name for name, _ in KNOWN])
def test_an_id_resolves_to_the_model_it_names(registry, name, expected):
    match = registry.resolve(name)
    assert match.model is not None, f"{name} stays unknown"
    assert match.model.id == expected


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_id_that_names_no_model_stays_unknown(registry, name):
    match = registry.resolve(name)
    assert match.model is None, f"{name!r} became {match.model and match.model.id}"
    assert match.how == "none"


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("openai/gpt-4o", "exact"),
        ("gpt-4o", "exact"),
        ("GPT-4O", "exact"),
        ("chatgpt-4o-latest", "alias"),
        ("gpt-4-1106-preview", "alias"),
        ("gpt-4o-2024-08-06", "rule"),
        ("openrouter/openai/gpt-4o", "rule"),
        ("nothing-of-the-kind", "none"),
    ],
)
def test_the_match_says_how_it_was_made(registry, name, how):
    assert registry.resolve(name).how == how


@pytest.mark.parametrize(
    ("name", "model", "precision"),
    [
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "meta/llama-3.1-8b", "fp8"),
        ("nvidia/Llama-3.1-8B-Instruct-FP8", "meta/llama-3.1-8b", "fp8"),
        ("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", "meta/llama-3.1-70b", "int4"),
        ("Qwen/Qwen2.5-VL-72B-Instruct-AWQ", "qwen/qwen2.5-vl-72b", "int4"),
        ("Qwen/Qwen3-32B-FP8", "qwen/qwen3-32b", "fp8"),
        ("nvidia/GLM-5.2-NVFP4", "zai/glm-5.2", "fp4"),
        ("hf.co/unsloth/Qwen3-8B-GGUF:Q4_K_M", "qwen/qwen3-8b", "int4"),
        ("llama3.1:8b-instruct-fp16", "meta/llama-3.1-8b", "fp16"),
        ("llama3.1:70b-instruct-q8_0", "meta/llama-3.1-70b", "int8"),
        ("llama3.1:8b", "meta/llama-3.1-8b", "int4"),
    ],
)
def test_a_number_format_in_the_id_changes_the_format_and_not_the_model(registry, name, model, precision):
    match = registry.resolve(name)
    assert match.model is not None
    assert match.model.id == model
    assert match.precision == precision
    assert match.model.architecture.precision == precision


def test_a_quantised_llama_70b_fits_on_fewer_gpus(registry):
    assert registry.resolve("meta-llama/Llama-3.1-70B-Instruct").model.architecture.gpus == 4
    assert registry.resolve("nvidia/Llama-3.1-70B-Instruct-FP8").model.architecture.gpus == 2
    assert registry.resolve("llama3.1:70b").model.architecture.gpus == 1


def test_what_ollama_serves_in_four_bit_anyway_keeps_its_own_format(registry):
    assert registry.resolve("gpt-oss:20b").model.architecture.precision == "fp4"


def test_ollamas_cloud_serves_the_published_weights(registry):
    match = registry.resolve("deepseek-v3.1:671b-cloud")
    assert match.model == registry.get("deepseek/deepseek-v3.1")
    assert match.precision == ""


def test_a_bare_family_is_ollamas_default_size_only_where_the_span_says_ollama(registry):
    assert registry.resolve("llama3.1", "ollama").model.id == "meta/llama-3.1-8b"
    assert registry.resolve("deepseek-r1", "ollama").model.id == "deepseek/deepseek-r1-0528-qwen3-8b"
    assert registry.resolve("deepseek-r1").model.id == "deepseek/deepseek-r1"
    assert registry.resolve("llama3.1").model is None


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2024-01-01", "deepseek/deepseek-v2"),
        ("2024-12-26", "deepseek/deepseek-v3"),
        ("2025-12-31", "deepseek/deepseek-v3.2"),
        ("2026-04-23", "deepseek/deepseek-v3.2"),
        ("2026-04-24", "deepseek/deepseek-v4-flash"),
        ("2026", "deepseek/deepseek-v4.1-flash"),
    ],
)
def test_a_moving_name_means_what_it_meant_on_the_day_of_the_call(registry, day, expected):
    assert registry.resolve("deepseek-chat").at(day).id == expected


def test_a_moving_name_is_unknown_where_no_source_says_what_it_meant(registry):
    match = registry.resolve("mistral-large")
    assert match.at("2024-03-01").id == "mistralai/mistral-large-2402"
    assert match.at("2025-06-01") is None
    assert match.model is None


def test_a_moving_name_under_another_hosts_tag_is_not_the_makers_newest(registry):
    assert registry.resolve("deepseek-chat").model.id == "deepseek/deepseek-v4.1-flash"
    assert registry.resolve("deepseek-chat:free").model is None
    assert registry.resolve("openrouter/deepseek/deepseek-chat").model is None


def test_a_fixed_name_means_the_same_on_every_day(registry):
    match = registry.resolve("gpt-4o")
    assert match.timeline == ()
    assert match.at("2020-01-01").id == match.at("2030").id == "openai/gpt-4o"


@pytest.mark.parametrize(
    ("operation", "size_class"),
    [
        ("chat", "chat_unknown"),
        ("", "chat_unknown"),
        ("something else", "chat_unknown"),
        ("embeddings", "embedding_unknown"),
        ("rerank", "rerank_unknown"),
        ("image_generation", "image_unknown"),
    ],
)
def test_a_model_nobody_knows_gets_the_size_class_of_its_operation(registry, operation, size_class):
    stand_in = registry.unknown(operation)
    assert stand_in.size_class == size_class
    assert stand_in.tier == "unknown"
