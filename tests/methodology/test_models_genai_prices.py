"""Every id that genai-prices lists: how many are known, and that none crosses into another model."""

import re
from collections import Counter

import pytest

from evidence.edition import model_page

pytest.importorskip("genai_prices")

SIZE_WORDS = (
    *(
        "mini",
        "nano",
        "lite",
        "micro",
        "haiku",
        "sonnet",
        "opus",
        "fable",
        "flash",
        "pro",
        "tiny",
        "large",
        "small",
    ),
    *(
        "medium",
        "max",
        "plus",
        "turbo",
        "codex",
        "embed",
        "rerank",
        "guard",
        "vision",
        "image",
        "audio",
        "coder",
    ),
    *("thinking", "omni"),
)
SERVING = {
    "thinking": "a mode of the same weights at OpenRouter and of dated Qwen releases",
    "turbo": "a faster host at Together and Moonshot",
    "lite": "Together's cheaper host of Llama 3",
}
SIZE = re.compile(r"(?<![\d.a-z])(\d+(?:[.p]\d+)?)b(?![a-z0-9])")
VENDORS_OF_WORD = {
    "gpt": {"openai"},
    "claude": {"anthropic"},
    "gemini": {"google"},
    "gemma": {"google"},
    "grok": {"xai"},
    "nova": {"amazon"},
    "titan": {"amazon"},
    "kimi": {"moonshotai"},
    "glm": {"zai"},
    "granite": {"ibm"},
    "minimax": {"minimax"},
    "voyage": {"voyageai"},
    "sonar": {"perplexity"},
    "phi": {"microsoft"},
    "command": {"cohere"},
    "codestral": {"mistralai"},
    "ministral": {"mistralai"},
    "qwen3": {"qwen"},
    "jamba": {"ai21"},
    "palmyra": {"writer"},
}
VERSION = re.compile(
    r"(?:claude|gemini|gpt|glm|grok|deepseek|kimi|minimax|qwen|llama|phi|nova)-?[a-z]*-?v?(\d+(?:[-.p]\d)?)(?![0-9b])"
)


@pytest.fixture(scope="module")
def found(registry):
    return list(model_page.resolve_genai_prices(registry))


@pytest.fixture(scope="module")
def known(found):
    return [resolved for resolved in found if resolved.match.model]


def last_part(name):
    return re.sub(r"[_.]", "-", name.lower().rsplit("/", 1)[-1])


def test_nine_in_ten_ids_are_known(found):
    tiers = Counter(resolved.tier for resolved in found)
    assert tiers["none"] / len(found) < 0.15
    assert tiers["open"] + tiers["open_measured"] > 1000
    assert tiers["closed"] > 400


@pytest.mark.parametrize("word", SIZE_WORDS)
def test_a_word_that_tells_models_apart_is_never_lost(known, word):
    """A "mini" is never a model without "mini", nor the other way round, but for what SERVING names."""
    crossed = []
    for resolved in known:
        model = resolved.match.model
        names = {part for name in (model.id, *model.names) for part in re.split(r"[-/]", name)}
        parts = set(re.split(r"[-:@]", last_part(resolved.name)))
        is_lost = word in parts and not any(part.startswith(word) for part in names)
        if is_lost and word not in SERVING:
            crossed.append(f"{resolved.name} -> {model.id}")
    assert crossed == []


@pytest.mark.parametrize(
    "word", ["mini", "nano", "lite", "haiku", "sonnet", "opus", "micro", "premier", "flash"]
)
def test_a_model_with_a_size_word_is_only_reached_by_ids_that_have_it(known, word):
    crossed = [
        f"{resolved.name} -> {resolved.match.model.id}"
        for resolved in known
        if word in re.split(r"[-./]", resolved.match.model.id)
        and word not in resolved.name.lower()
        and not resolved.match.timeline
    ]
    assert crossed == []


def test_a_parameter_count_in_an_id_is_the_models(known):
    crossed = []
    for resolved in known:
        model, sizes = resolved.match.model, SIZE.findall(resolved.name.lower().rsplit("/", 1)[-1])
        if not sizes or model.tier not in {"open", "open_measured"}:
            continue
        entry = model.entries[-1]
        ratios = [
            float(size.replace("p", ".")) / billions.centre
            for size in sizes
            for billions in (entry.active_b, entry.total_b)
        ]
        if not any(0.75 <= ratio <= 1.35 for ratio in ratios):
            crossed.append(f"{resolved.name} -> {model.id} ({entry.total_b.centre:g})")
    # Voxtral Mini and Ministral 3 are named without their encoders; Databricks writes 0.6b as 0-6b
    excused = ("voxtral-mini-3b", "ministral-3", "databricks-qwen3-embedding-0-6b")
    assert [row for row in crossed if not any(name in row for name in excused)] == []


def test_a_vendors_word_leads_to_that_vendor(known):
    crossed = []
    for resolved in known:
        name = last_part(resolved.name)
        first = re.split(r"[-.:]", name)[0]
        vendors = VENDORS_OF_WORD.get(first)
        if vendors and resolved.match.model.provider not in vendors:
            crossed.append(f"{resolved.name} -> {resolved.match.model.id}")
    assert crossed == []


def test_a_version_number_is_never_another(known):
    """claude-3-5-haiku is not claude-haiku-4-5, gemini-1.5-pro not gemini-2.5-pro, glm-5.2 not glm-5.3."""
    crossed = []
    for resolved in known:
        version = VERSION.match(last_part(resolved.name).replace("meta-llama", "llama"))
        if not version or version.group(1).startswith("20") or resolved.match.timeline:
            continue
        digits = re.sub(r"[.p]", "-", version.group(1)).removesuffix("-0")
        model = resolved.match.model
        names = [name.replace(".", "-") for name in (model.id, *model.names)]
        if not any(re.search(rf"(?<!\d){re.escape(digits)}(?!\d)", name) for name in names):
            crossed.append(f"{resolved.name} -> {model.id}")
    assert crossed == []


@pytest.mark.parametrize("page", [model_page.MODELS_PAGE, model_page.COVERAGE_PAGE])
def test_the_generated_pages_are_those_of_this_registry(registry, found, page):
    built = {
        model_page.MODELS_PAGE: lambda: model_page.models_page(registry),
        model_page.COVERAGE_PAGE: lambda: model_page.coverage_page(found),
    }[page]()
    written = (model_page.GENERATED_FOLDER / page).read_text(encoding="utf-8")
    if page == model_page.COVERAGE_PAGE and written.split(" lists ")[0] != built.split(" lists ")[0]:
        pytest.skip("another version of genai-prices is installed than the page was made with")
    assert written == built.rstrip("\n") + "\n", f"docs/generated/{page} is stale: run `make docs`"
