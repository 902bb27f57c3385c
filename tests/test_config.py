import datetime as dt
import re
from pathlib import Path

import pytest

from wattspan.config import ConfigError, load_config
from wattspan.estimator import DeploymentError

GOOD = """\
edition: "2026.11"
grid: {factor_type: direct, resolution: typical-hour}
attributes: {profile: both, detail: full}
deployments:
  - name: own-llama
    model: "*llama-3.3-70b*"
    gpu: H100
    metered: {boundary: facility, wh_per_1k_input_tokens: 0.05, wh_per_1k_output_tokens: 0.45}
regions:
  - match: {provider: azure.ai.openai}
    region: swedencentral
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "wattspan.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_no_file_and_an_empty_file_are_the_defaults(tmp_path):
    assert load_config(None) == load_config(write(tmp_path, "# nothing yet\n"))
    assert load_config(None).grid.factor_type == "lifecycle"


def test_a_whole_file_is_read_and_used(tmp_path):
    config = load_config(write(tmp_path, GOOD))
    estimator = config.estimator()
    assert estimator.grid.factor_type == "direct"
    azure = estimator.estimate_call(model="gpt-4o", provider="azure.ai.openai", output_tokens=10)
    assert (azure.plan.place.label, azure.plan.place.source) == ("azure/swedencentral", "rule")
    own = estimator.estimate_call(model="meta-llama/Llama-3.3-70B-Instruct", output_tokens=1000)
    assert own.energy_kwh == pytest.approx(0.00045)
    assert own.tier == "metered_facility"


def test_an_option_on_the_command_line_wins_over_the_file(tmp_path):
    config = load_config(write(tmp_path, GOOD))
    assert config.estimator(factor_type="lifecycle").grid.factor_type == "lifecycle"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gird: {}\n", "line 1: gird: Extra inputs are not permitted; allowed keys: edition, grid"),
        ("edition: '2026.11'\ngrid:\n  factor_type: marginal\n", "line 3: grid.factor_type"),
        ("grid:\n  shapes: own.json\n", "grid: shapes are typical hours and need resolution: typical-hour"),
        (
            "grid: {resolution: typical-hour, shapes: own.json, signal: marginal, live: {feed: watttime}}\n",
            "shapes multiply the edition's years, and none of those is marginal",
        ),
        ("grid:\n  factor: direct\n", "allowed keys: signal, factor_type, resolution, live, cache"),
        ("deployments:\n- name: x\n  model: llama\n  batch: 0\n", "line 4: deployments.0.batch"),
        ("deployments:\n- name: x\n", "say which calls it serves: give a pattern other than *"),
        (
            "deployments:\n- name: x\n  model: y\n  metered: {boundary: node, kwh_per_day: 3}\n",
            "or kwh_per_day with input_tokens_per_day and output_tokens_per_day",
        ),
        ("- just\n- a list\n", "the file must be a mapping"),
        ("grid: [unclosed\n", "not YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_line_key_and_what_is_allowed(tmp_path, text, expected):
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    assert expected in str(caught.value)
    assert "wattspan.yaml" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        load_config(tmp_path / "nowhere.yaml")


def test_hardware_and_regions_nobody_knows_are_refused(tmp_path):
    with pytest.raises(DeploymentError, match="gpu is 'H1000'"):
        load_config(write(tmp_path, "deployments:\n- {name: x, model: y, gpu: H1000}\n")).estimator()
    with pytest.raises(ValueError, match="swedencentrall"):
        load_config(
            write(tmp_path, "regions:\n- match: {provider: openai}\n  region: swedencentrall\n")
        ).estimator()


def test_a_feed_gives_each_call_the_intensity_of_its_own_hour_and_the_coarser_one_where_it_has_none(tmp_path):
    pytest.importorskip("httpx", reason="the extra wattspan[grid] is not installed")
    (tmp_path / "hours.csv").write_text("zone,time,value\nFR,2025-06-01T10:00Z,55\n", encoding="utf-8")
    config = load_config(
        write(
            tmp_path,
            f"""\
grid:
  factor_type: direct
  cache: {tmp_path / "grid.sqlite"}
  live:
    feed: file
    path: {tmp_path / "hours.csv"}
    signal: average
    factor_type: direct
""",
        )
    )
    estimator = config.estimator()
    known, unknown = (
        estimator.estimate_call(
            model="gpt-4o",
            provider="aws.bedrock",
            region="eu-west-3",
            output_tokens=100,
            at=dt.datetime(2025, 6, 1, hour, 30, tzinfo=dt.UTC),
        )
        for hour in (10, 11)
    )
    assert known.co2e_g == pytest.approx(known.energy_kwh * 55)
    assert known.plan.intensity.resolution == "hour"
    assert unknown.plan.intensity.resolution == "annual"
    assert unknown.plan.intensity.kind == known.plan.intensity.kind


def test_a_feed_of_another_kind_than_the_configured_one_is_refused(tmp_path):
    pytest.importorskip("httpx", reason="the extra wattspan[grid] is not installed")
    config = load_config(write(tmp_path, "grid:\n  live: {feed: uk-carbon-intensity}\n"))
    with pytest.raises(ValueError, match=r"set grid\.signal: average and grid\.factor_type: direct"):
        config.estimator()


def test_marginal_without_a_feed_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="marginal needs a feed under live"):
        load_config(write(tmp_path, "grid: {signal: marginal}\n"))


def test_own_typical_hours_that_cannot_be_used_are_named(tmp_path):
    own = tmp_path / "own.json"
    own.write_text("{}", encoding="utf-8")
    config = load_config(write(tmp_path, f"grid: {{resolution: typical-hour, shapes: {own}}}\n"))
    with pytest.raises(ValueError, match="not a file of typical hours; `wattspan grid shapes` makes one"):
        config.estimator()
    # They are not read where they are not used.
    assert config.estimator(resolution="annual").grid.factor_type == "lifecycle"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("true", (None, "database")),
        ("{}", (None, "database")),
        ("{utilisation: 0.2, client_spans: all}", (0.2, "all")),
    ],
)
def test_compute_spans_are_opted_into(tmp_path, given, expected):
    path = tmp_path / "wattspan.yaml"
    path.write_text(f"lake:\n  compute: {given}\n")
    compute = load_config(path).lake.compute
    assert (compute.utilisation, compute.client_spans) == expected


def test_compute_spans_are_left_alone_by_default():
    assert load_config(None).lake.compute is None


def test_a_wrong_key_of_compute_names_those_that_are_allowed(tmp_path):
    path = tmp_path / "wattspan.yaml"
    path.write_text("lake:\n  compute:\n    watts: 3\n")
    with pytest.raises(
        ConfigError, match=r"line 3: lake\.compute\.watts: .*allowed keys: utilisation, client_spans"
    ):
        load_config(path)


def test_one_file_serves_every_command(tmp_path):
    path = tmp_path / "wattspan.yaml"
    path.write_text(
        "edition: '2026.11'\ngateway: {destinations: []}\nweb: {port: 1}\n"
        "lake: {folder: here, retention_days: 30, attributes: [app.plan], sampling_rate: 0.25}\n"
        "features:\n- {feature: search, route: /search}\n- {feature_from: app.feature}\n"
    )
    config = load_config(path)
    settings = config.lake_settings()
    assert (settings.retention_days, settings.seal_after_s, settings.most_open_s) == (30, 60.0, 900.0)
    assert config.lake.sampling_rate == 0.25
    kept = config.span_source().kept
    assert {"app.plan", "app.feature", "http.route"} <= set(kept)
    sealer = config.sealer(config.estimator())
    assert (sealer.sampling_rate, [rule.feature for rule in sealer.features.rules]) == (
        0.25,
        ["search", None],
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lake:\n  retention_days: 0\n", "line 2: lake.retention_days"),
        ("lake:\n  attributes: [user.id]\n", "'user.id' cannot be kept in the lake: it names a person"),
        ("features:\n- {feature_from: session.id}\n", "'session.id' cannot be kept in the lake"),
        ("features:\n- {feature: all}\n", "line 2: features.0: say which spans it is"),
        ("lake:\n  retention: 3\n", "allowed keys: folder, seal_after_s"),
    ],
)
def test_what_a_lake_cannot_be_told_is_refused_by_line(tmp_path, text, message):
    path = tmp_path / "wattspan.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(path)
