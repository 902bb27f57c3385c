"""Sealed rows under another edition are what the estimator of that edition makes of the calls."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.disclosure import second_edition
from tests.disclosure.second_edition import SECOND
from tests.disclosure.test_aggregate import DAY_NS, JULY_NS, NOW, RELEASED, RULES, call, request
from tests.otlp.otlp_spans import traces
from wattspan.disclosure.aggregate import aggregate
from wattspan.disclosure.figure import Sealed, reckon
from wattspan.disclosure.folder import canonical
from wattspan.disclosure.prepare import sealed_of
from wattspan.disclosure.restatement import Restatement, kind_of
from wattspan.disclosure.restating import Methodology, Restater
from wattspan.disclosure.subject import Period
from wattspan.estimator import Deployment, Estimator
from wattspan.lake.reader import open_snapshot
from wattspan.lake.seal import Sealer
from wattspan.lake.spans import SpanSource
from wattspan.lake.writer import LakeWriter
from wattspan.methodology import Edition

CALLS = (
    {"gen_ai__response__model": "gpt-4o-2024-08-06"},
    {"gen_ai__response__model": "claude-sonnet-4-5", "gen_ai__provider__name": "anthropic"},
    {
        "gen_ai__response__model": "no-such-model-x9",
        "gen_ai__request__model": "no-such-model",
        "gen_ai__provider__name": "acme",
    },
    {
        "gen_ai__response__model": "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
        "gen_ai__provider__name": "aws.bedrock",
        "server__address": "bedrock-runtime.eu-west-3.amazonaws.com",
    },
    {"gen_ai__response__model": "gemini-2.5-flash", "cloud__region": "europe-west4"},
    {
        "gen_ai__response__model": "llama3.3:70b",
        "gen_ai__provider__name": "ollama",
        "server__address": "127.0.0.1",
    },
    {"gen_ai__response__model": "text-embedding-3-small", "gen_ai__operation__name": "embeddings"},
    {"gen_ai__usage__energy_kwh": 0.002},
)


def spans() -> list[Span]:
    found: list[Span] = []
    for trace in range(1, 25):
        start = JULY_NS + trace * DAY_NS
        calls = [
            call(2 + place, trace, start, gen_ai__usage__input_tokens=900 + 37 * trace, **attributes)
            for place, attributes in enumerate(CALLS)
        ]
        found += request(trace, "/summaries", calls, start=start)
    return found


def rows(folder: Path, estimator: Estimator) -> Sealed:
    with LakeWriter(folder, Sealer(estimator, RULES, 1.0)) as writer:
        writer.ingest([SpanSource(RULES.keys).request(traces(spans()).SerializeToString())])
        writer.seal_all()
    found = aggregate(open_snapshot(folder), Period.of("2026Q3"), RELEASED, NOW, "mean_of_model")
    return sealed_of(found, "summary", "mean_of_model")


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Edition:
    return second_edition.made(
        tmp_path_factory.mktemp("editions"),
        second_edition.coefficients(0.8),
        second_edition.pue("1.31"),
        second_edition.grid(1.1),
        second_edition.embodied(2),
    )


@pytest.mark.parametrize("resolution", ["annual", "typical-hour"])
def test_rows_restated_are_those_of_the_other_estimator(
    tmp_path: Path, second: Edition, resolution: str
) -> None:
    old = rows(tmp_path / "old", Estimator(resolution=resolution))
    new = rows(tmp_path / "new", Estimator(second, resolution=resolution))
    first = Edition.load()
    crossing = Restater(Methodology(first, "lifecycle"), Methodology(second, "lifecycle"))
    restatement = crossing.restatement(old, new.rules, "mean_of_model")
    assert restatement.stays(old.cells) == set()
    restated = restatement.apply(old)
    figures = [reckon(one, "summary") for one in (restated, new, old)]
    assert [c.key for c in restated.cells] == [c.key for c in new.cells]
    if resolution == "annual":
        assert restated.cells == new.cells
        assert figures[0] == figures[1]
    # weights of typical hours are scaled as whole numbers: right to the microgram
    assert float(figures[0].co2e_kg) == pytest.approx(float(figures[1].co2e_kg), rel=1e-12)
    assert figures[2].co2e_kg != figures[1].co2e_kg


def test_there_and_back_is_where_one_was(tmp_path: Path, second: Edition) -> None:
    old = rows(tmp_path, Estimator())
    one, other = Methodology(Edition.load(), "lifecycle"), Methodology(second, "lifecycle")
    there = Restater(one, other).restatement(old, old.rules, "mean_of_model").apply(old)
    back = Restater(other, one).restatement(there, old.rules, "mean_of_model").apply(there)
    assert back.cells == old.cells


def test_what_a_deployment_declares_is_asked_with_the_deployment(tmp_path: Path, second: Edition) -> None:
    declared = [Deployment("farm", model="gpt-4o*", gpu="H100", batch=48.0, region="eu-west-3")]
    old = rows(tmp_path, Estimator(deployments=declared))
    with_it = Restater(
        Methodology(Edition.load(), "lifecycle", declared), Methodology(second, "lifecycle", declared)
    )
    assert with_it.restatement(old, old.rules, "none").stays(old.cells) == set()
    without = Restater(Methodology(Edition.load(), "lifecycle"), Methodology(second, "lifecycle"))
    kept = without.restatement(old, old.rules, "none").stays(old.cells)
    # every call asked for gpt-4o, whatever answered; energy that was reported has no host to differ in
    assert {kind[1] for kind in kept} >= {"openai/gpt-4o", "google/gemini-2.5-flash"}


def test_a_value_of_a_feed_stays_and_the_energy_is_the_other_edition_s(
    tmp_path: Path, second: Edition
) -> None:
    annual = rows(tmp_path, Estimator())
    live = replace(
        annual, cells=tuple(replace(c, grid_resolution="hour", grid_source="feed 2026") for c in annual.cells)
    )
    crossing = Restater(Methodology(Edition.load(), "lifecycle"), Methodology(second, "lifecycle"))
    restated = crossing.restatement(live, live.rules, "none").apply(live)
    assert [c.weighted for c in restated.cells] == [c.weighted for c in live.cells]
    assert {c.grid_source for c in restated.cells} == {"feed 2026"}
    before, after = (reckon(one, "summary") for one in (live, restated))
    # 20 % less per token, another PUE, the same grams for each kWh of a place
    assert after.use_kg / after.energy_kwh == pytest.approx(
        before.use_kg / before.energy_kwh, rel=Decimal("0.05")
    )
    assert after.energy_kwh != before.energy_kwh


def test_a_restatement_reads_back_as_it_was_written(tmp_path: Path, second: Edition) -> None:
    old = rows(tmp_path, Estimator())
    made = Restater(Methodology(Edition.load(), "lifecycle"), Methodology(second, "lifecycle")).restatement(
        old, old.rules, "none"
    )
    content = canonical.read(canonical.written(made.to_json()), "crossing")
    again = Restatement.from_json(content, made.vectors, made.spreads, made.rules, made.gap_rule)
    assert again == made
    assert {kind_of(c) for c in old.cells} == set(again.changes)
    assert second.name == SECOND
