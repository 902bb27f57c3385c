"""What holds for every id: the resolver answers any text, and answers alike however a name is wrapped."""

import string
from datetime import date

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wattspan.methodology.names import MAX_NAME_LENGTH, normalise, snapshots

ID_CHARACTERS = string.ascii_letters + string.digits + "-_./:@ ~"
PIECES = [
    *("gpt-4o", "claude-sonnet-4-5", "llama3.1", "8b", "us.", "anthropic.", "meta-llama/", "-20250929"),
    *("-2024-08-06", "-v1:0", ":free", ":latest", "-fp8", "-instruct", "models/", "publishers/"),
    *("arn:aws:bedrock:us-east-1:1:", "inference-profile/", "ft:", "@", "azure/", "ollama/", "accounts/"),
    *("projects/", "-", ".", "/", ":", "-001", "-05-06", "q4_K_M", "openai:", "hf.co/", "unsloth/"),
]


@given(st.text(max_size=200), st.text(max_size=20))
@settings(max_examples=300)
def test_any_text_is_answered(registry, name, provider):
    match = registry.resolve(name, provider)
    assert match.how in {"exact", "alias", "rule", "none"}
    assert (match.model is None) == (match.how == "none")


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.sampled_from(["", "ollama", "openai"]))
@settings(max_examples=500)
def test_any_heap_of_the_pieces_of_ids_is_answered(registry, name, provider):
    match = registry.resolve(name, provider)
    assert (match.model is None) == (match.how == "none")


@given(st.text(alphabet=ID_CHARACTERS, min_size=1, max_size=60))
@settings(max_examples=300)
def test_the_case_of_an_id_does_not_matter(registry, name):
    assume(name.lower().upper().lower() == name.lower())
    assert registry.resolve(name.upper()).model == registry.resolve(name.lower()).model


def test_a_text_too_long_to_be_an_id_is_unknown_at_once(registry):
    assert registry.resolve("a/" * MAX_NAME_LENGTH + "gpt-4o").model is None


def test_every_id_and_every_name_resolves_to_its_model(registry):
    for model in registry.models.values():
        assert registry.resolve(model.id).model == model, model.id
        for name in model.names:
            assert registry.resolve(name).model == model, name


def test_no_ending_that_nobody_listed_resolves(registry):
    for model in registry.models.values():
        for ending in ("-xyz", "-mine", "2", "x", "-prod-eu", "-mini-mini"):
            name = model.id.partition("/")[2] + ending
            match = registry.resolve(name)
            is_listed = match.model is not None and normalise(name) in match.model.names
            assert match.model is None or is_listed, f"{name} became {match.model.id}"


@pytest.mark.parametrize(
    "wrapping", ["{}", "openrouter/{}", "litellm_proxy/{}", "{}:free", "{}:batch", " {} "]
)
def test_a_vendor_and_its_name_mean_the_same_through_any_router(registry, wrapping):
    for name in (
        "openai/gpt-4o",
        "anthropic/claude-opus-4.5",
        "meta-llama/llama-3.3-70b-instruct",
        "qwen/qwq-32b",
    ):
        assert registry.resolve(wrapping.format(name)).model == registry.resolve(name).model is not None


@given(st.sampled_from(["gpt-4o", "gpt-5", "o3"]), st.dates(date(2020, 1, 1), date(2039, 12, 31)))
@settings(max_examples=50)
def test_a_dated_snapshot_of_a_known_model_is_that_model(registry, name, day):
    assert registry.resolve(f"{name}-{day.isoformat()}").model == registry.resolve(name).model


@pytest.mark.parametrize(
    ("name", "readings"),
    [
        ("gpt-4o-2024-08-06", [("gpt-4o", "iso"), ("gpt-4o-2024", "mm-dd")]),
        ("claude-sonnet-4-5-20250929", [("claude-sonnet-4-5", "compact")]),
        ("gemini-2-5-flash-preview-09-2025", [("gemini-2-5-flash-preview", "mm-yyyy")]),
        ("grok-4-0709", [("grok-4", "mmdd")]),
        ("qwen3-4b-2507", [("qwen3-4b", "yymm")]),
        ("gemini-2-0-flash-001", [("gemini-2-0-flash", "revision")]),
        ("llama-3-1-8b", []),
        ("gpt-4o", []),
        ("", []),
    ],
)
def test_snapshots_are_read_off_the_end_of_a_name(name, readings):
    found = list(snapshots(name))
    assert found[: len(readings)] == readings
    assert bool(found) == bool(readings)


@pytest.mark.parametrize(
    "name", ["Claude-3.5-Sonnet", "claude_3_5_sonnet", "claude-3-5-sonnet", " claude-3p5-sonnet "]
)
def test_spellings_of_one_name_are_one(name):
    assert normalise(name) == "claude-3-5-sonnet"
