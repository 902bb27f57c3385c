"""The registry as data: schema, sources, entries that are never overwritten, the figures it compiles to."""

import json
import math
from dataclasses import replace
from datetime import date

import jsonschema
import pytest

from evidence.edition import models as compiler
from wattspan.methodology.models import GUESS, Registry, replica_gpus

MAIN_PROVIDERS = {
    *("openai", "anthropic", "google", "meta", "mistralai", "deepseek", "qwen", "xai", "amazon", "cohere"),
    *("moonshotai", "microsoft", "nvidia", "ibm", "zai", "minimax", "ai21", "perplexity", "baai", "voyageai"),
    "jinaai",
}


@pytest.fixture(scope="module")
def compiled():
    return compiler.compile_models()


@pytest.fixture(scope="module")
def without_guesses(compiled):
    """The registry of somebody who deleted the mpl folder."""
    return Registry.from_edition_files(compiled, None)


def as_json(document):
    return json.loads(json.dumps(document, default=lambda value: value.isoformat()))


@pytest.mark.parametrize("file_name", sorted(compiler.providers()))
def test_a_providers_file_follows_the_schema(file_name):
    schema = json.loads((compiler.MODELS_FOLDER / "schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    problems = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for error in validator.iter_errors(as_json(compiler.providers()[file_name]))
    ]
    assert problems == []


def test_every_family_in_use_is_there_and_there_are_enough_models(registry):
    assert {model.provider for model in registry.models.values()} >= MAIN_PROVIDERS
    assert len(registry.models) >= 900
    kinds = {model.kind for model in registry.models.values()}
    assert kinds == {"chat", "embedding", "rerank", "image", "audio", "moderation"}


def test_every_model_has_a_source_and_the_day_it_was_checked(registry):
    for model in registry.models.values():
        assert model.entries, model.id
        for entry in model.entries:
            assert entry.sources, f"{model.id} from {entry.start} has no source"
            for source in entry.sources:
                assert source.source, model.id
                assert source.seen, model.id
                assert date.fromisoformat(source.checked) <= date(2026, 11, 23), model.id


def test_no_model_of_unknown_size_has_a_parameter_count(compiled):
    for row in compiled["models"]:
        if row["tier"] == "unknown" or row.get("parameters") == "mpl":
            assert all("architecture" not in entry for entry in row["entries"]), row["id"]
            assert row["class"] in compiled["classes"], row["id"]


def test_a_guessed_size_is_only_in_the_mpl_part(registry, compiled):
    guesses = compiler.compile_mpl()["models"]
    assert set(guesses) == {row["id"] for row in compiled["models"] if row.get("parameters") == "mpl"}
    for model_id in guesses:
        model = registry.get(model_id)
        assert model.tier == "closed"
        assert model.sources[0].what == GUESS


def test_gpt_4o_carries_ecologits_range_and_its_geometric_mean(registry):
    entry = registry.get("openai/gpt-4o").entries[-1]
    assert entry.active_b == (44, 132)
    assert entry.total_b == (440, 440)
    assert entry.architecture.active_b == pytest.approx(math.sqrt(44 * 132))
    assert entry.architecture.is_moe
    assert (entry.architecture.precision, entry.architecture.gpus) == ("fp8", 8)
    assert "EcoLogits" in entry.sources[0].source
    assert "0.11.3" in entry.sources[0].seen


def test_without_the_mpl_folder_closed_models_are_of_unknown_size(registry, without_guesses):
    model = without_guesses.get("openai/gpt-4o")
    assert (model.tier, model.size_class) == ("unknown", "chat_large")
    assert model.architecture == without_guesses.classes["chat_large"].architecture
    assert "size class chat_large stands in" in model.sources[0].source
    for model_id, other in without_guesses.models.items():
        if registry.get(model_id).tier != "closed" or other.tier == "closed":
            assert other == registry.get(model_id)
    assert without_guesses.resolve("gpt-4o-2024-08-06").model.id == "openai/gpt-4o"


@pytest.mark.parametrize(
    ("model_id", "active_b", "total_b", "kv_kb", "context_tokens", "precision", "gpus"),
    [
        # 2 x 80 layers x 8 heads x 128 x 2 bytes; 70.6e9 / (80 x 64 x 128)
        ("meta/llama-3.1-70b", 70.6, 70.6, 327.7, 107_700, "bf16", 4),
        ("meta/llama-3.1-8b", 8.03, 8.03, 131.1, 61_260, "bf16", 1),
        # published in bf16, served in fp8: 405.9 x 1.2 / 80 = 6.1 GPUs, rounded up to a power of two
        ("meta/llama-3.1-405b", 405.9, 405.9, 516.1, 196_600, "fp8", 8),
        ("qwen/qwen3-32b", 32.8, 32.8, 262.1, 62_560, "bf16", 1),
        # latent attention: 61 layers x 576 x 2 bytes
        ("deepseek/deepseek-v3", 37, 671, 70.27, None, "fp8", 16),
        # sparse attention: 61 layers see 2,048 of the 4,000 tokens of reference
        ("deepseek/deepseek-v3.2", 37, 671, 35.98, None, "fp8", 16),
        # 18 full layers and 18 that see 128 of 4,000 tokens: 18.576 x 2 x 8 x 64 x 2 bytes
        ("openai/gpt-oss-120b", 5.1, 116.8, 38.04, None, "fp4", 1),
        # 10 full layers and 52 that see 1,024 of 4,000 tokens: 23.312 x 2 x 16 x 128 x 2 bytes
        ("google/gemma-3-27b", 27.4, 27.4, 191.0, 287_000, "bf16", 1),
        # nothing known of its attention: the defaults
        ("mistralai/mistral-medium-3.5", 128, 128, 150.0, 110_000, "fp8", 2),
        ("baai/bge-m3", 0.568, 0.568, 150.0, 110_000, "bf16", 1),
    ],
)
def test_shapes_compile_to_hand_computed_figures(
    registry, model_id, active_b, total_b, kv_kb, context_tokens, precision, gpus
):
    found = registry.get(model_id).architecture
    assert (found.active_b, found.total_b) == pytest.approx((active_b, total_b))
    assert found.kv_kb_per_token == kv_kb
    assert context_tokens is None or found.context_tokens == context_tokens
    assert (found.precision, found.gpus) == (precision, gpus)


def test_context_term_of_a_mixture_of_experts_is_not_charged_for_its_expert_layers(compiled):
    [row] = [row for row in compiled["models"] if row["id"] == "mistralai/mixtral-8x7b"]
    dense = 12.9e9 / (32 * 32 * 128)
    factor = row["entries"][0]["architecture"]["context_tokens"] / dense
    assert factor == pytest.approx(compiler.fit_prefill().moe_factor, rel=1e-3)


@pytest.mark.parametrize(
    ("total_b", "precision", "gpus"),
    [
        (0.1, "bf16", 1),
        (33, "bf16", 1),
        (34, "bf16", 2),
        (70.6, "bf16", 4),
        (671, "fp8", 16),
        (120, "fp4", 1),
    ],
)
def test_gpus_of_a_replica_hold_the_weights_and_a_fifth_more(total_b, precision, gpus):
    assert replica_gpus(total_b, precision) == gpus


def test_measured_models_name_their_evidence_rows(registry):
    measured = [model for model in registry.models.values() if model.tier == "open_measured"]
    expected = [
        "llama-3.1-8b",
        "llama-3.3-70b",
        "llama-4-scout",
        "qwen3-32b",
        "gpt-oss-20b",
        "deepseek-r1",
        "gemma-3-27b",
    ]
    assert {model.id.partition("/")[2] for model in measured} >= set(expected)
    for model in measured:
        assert len(model.evidence) >= 4, model.id
        assert all(row.startswith("mlenergy-v3/") for row in model.evidence)
        assert 0.5 < model.residual < 2, model.id
    others = [model for model in registry.models.values() if model.tier != "open_measured"]
    assert all(model.residual == 1.0 and not model.evidence for model in others)


def test_a_residual_is_that_of_the_rows_in_the_served_number_format(registry):
    rows = compiler._residuals()
    found = registry.get("meta/llama-3.1-405b")
    assert found.residual == float(rows["meta-llama/Llama-3.1-405B-Instruct-FP8"]["residual"])
    assert found.evidence == tuple(rows["meta-llama/Llama-3.1-405B-Instruct-FP8"]["row_ids"].split())


def test_a_fine_tune_has_the_shape_of_its_base_and_says_so(registry):
    tune, base = registry.get("nousresearch/hermes-4-70b"), registry.get("meta/llama-3.1-70b")
    assert tune.architecture == base.architecture
    assert tune.tier == "open"
    assert "meta/llama-3.1-70b" in tune.sources[0].source


def test_entries_hold_from_their_day_on_and_the_first_also_before(registry):
    model = registry.get("meta/llama-3.1-8b")
    old = model.entries[0]
    new = replace(old, start="2026-06-01", architecture=replace(old.architecture, active_b=9.0))
    amended = replace(model, entries=(old, new))
    assert amended.at(date(2020, 1, 1)).active_b == 8.03
    assert amended.at(date(2026, 5, 31)).active_b == 8.03
    assert amended.at(date(2026, 6, 1)).active_b == 9.0
    assert amended.architecture_at(2025).active_b == 8.03
    assert amended.architecture_at(2026).active_b == 9.0
    assert amended.architecture_at().active_b == 9.0


def test_recorded_entries_are_never_overwritten():
    assert compiler.overwritten() == [], (
        "entries that were recorded have changed: append a dated entry instead of editing one"
    )


def test_every_entry_is_recorded():
    missing = sorted(compiler.entry_digests().keys() - compiler.recorded().keys())
    assert missing == [], "run `python -m evidence.edition.models --record`"


def test_a_changed_entry_is_noticed(monkeypatch):
    key = "openai/gpt-4o 2024-05-13"
    monkeypatch.setattr(compiler, "recorded", lambda: {key: "0123456789abcdef"})
    assert compiler.overwritten() == [key]
    with pytest.raises(compiler.RegistryError, match="append a dated entry"):
        compiler.record()


def test_a_name_means_one_model_only(compiled):
    owner = {}
    for row in compiled["models"]:
        for name in row["names"]:
            assert owner.setdefault(name, row["id"]) == row["id"]
    assert not owner.keys() & compiled["aliases"].keys()


def test_two_models_with_one_name_are_refused(monkeypatch):
    model = {
        "id": "gpt-4o",
        "names": ["gpt-4o"],
        "class": "chat_large",
        "entries": [{"from": date(2026, 1, 1)}],
    }
    document = {
        "provider": "acme",
        "name": "Acme",
        "orgs": ["acme"],
        "checked": date(2026, 11, 23),
        "models": [model],
    }
    documents = {**compiler.providers(), "zzz.yaml": document}
    monkeypatch.setattr(compiler, "providers", lambda: documents)
    with pytest.raises(compiler.RegistryError, match="'gpt-4o' of acme/gpt-4o is openai/gpt-4o's already"):
        compiler.compile_models()


def test_aliases_point_at_models_or_say_that_nobody_knows(compiled):
    ids = {row["id"] for row in compiled["models"]}
    for name, points in compiled["aliases"].items():
        assert all(target is None or target in ids for _, target in points), name
        assert [start for start, _ in points] == sorted(start for start, _ in points), name


def test_the_build_writes_the_same_bytes_twice(tmp_path):
    for name in ("one", "two"):
        compiler.build(tmp_path / name)
    files = ["models.json", "mpl/LICENSE", "mpl/NOTICE", "mpl/models.json"]
    found = sorted(path.relative_to(tmp_path / "one").as_posix() for path in (tmp_path / "one").rglob("*.*"))
    assert sorted(found) == ["models.json", "mpl/models.json"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert "Mozilla Public License" in (tmp_path / "one" / "mpl" / "LICENSE").read_text()


def test_the_registry_reads_back_what_the_build_wrote(tmp_path, registry):
    compiler.build(tmp_path)
    read = Registry.from_edition_files(
        json.loads((tmp_path / "models.json").read_text()),
        json.loads((tmp_path / "mpl/models.json").read_text()),
    )
    assert read.models == registry.models
    assert read.classes == registry.classes
