"""The dashboards are what their script makes, and Grafana can take them in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deploy.grafana.__main__ import main

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "grafana"
SOURCES = {"gateway.json": "prometheus", "traces.json": "tempo"}
# grafana/packages/grafana-data/src/valueFormats/categories.ts, those that we use.
UNITS = {"watth", "kwatth", "watt", "massg", "cps", "reqps", "percentunit", "short", "bytes"}


def loaded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / name).read_text())
    return found


def panels_of(name: str) -> list[dict[str, Any]]:
    return [panel for panel in loaded(name)["panels"] if panel["type"] != "row"]


def test_the_files_are_what_the_script_writes(tmp_path: Path) -> None:
    main(tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize("name", SOURCES)
def test_whoever_imports_a_dashboard_chooses_its_data_source(name: str) -> None:
    variables = {variable["name"]: variable for variable in loaded(name)["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == SOURCES[name]
    chosen = {"type": SOURCES[name], "uid": "${datasource}"}
    for panel in panels_of(name):
        assert panel["datasource"] == chosen
        assert [target["datasource"] for target in panel["targets"]] == [chosen] * len(panel["targets"])


@pytest.mark.parametrize("name", SOURCES)
def test_every_panel_has_a_unit_a_query_and_a_word_on_what_it_tells(name: str) -> None:
    for panel in panels_of(name):
        unit = panel["fieldConfig"]["defaults"]["unit"]
        assert unit in UNITS or unit == "suffix: g/kWh"
        assert panel["description"].endswith(".")
        queries = [target.get("expr") or target["query"] for target in panel["targets"]]
        assert all(queries)
        assert panel["targets"]


@pytest.mark.parametrize("name", SOURCES)
def test_ids_and_titles_are_there_once_and_no_panel_lies_on_another(name: str) -> None:
    panels = loaded(name)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    cells: list[tuple[int, int]] = []
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells += [
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        ]
    assert len(cells) == len(set(cells))


@pytest.mark.parametrize("name", SOURCES)
def test_queries_use_only_variables_that_there_are(name: str) -> None:
    known = {variable["name"] for variable in loaded(name)["templating"]["list"]}
    built_in = {"__rate_interval", "__range"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps([panel["targets"] for panel in panels_of(name)])))
    assert used <= known | built_in
    assert known <= used | {"datasource"}


def test_every_metric_in_a_query_is_documented() -> None:
    """In docs/operations.md; that Prometheus has them is another test."""
    documented = set(re.findall(r"`(wattspan_\w+)`", (ROOT / "docs" / "operations.md").read_text()))
    used = {
        metric
        for panel in panels_of("gateway.json")
        for target in panel["targets"]
        for metric in re.findall(r"\b(wattspan_\w+?)(?=[{\[])", target["expr"])
    }
    assert len(used) == 39
    assert used <= documented


def test_every_attribute_in_a_traceql_query_is_one_that_we_write() -> None:
    documented = set(re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs" / "attributes.md").read_text(), re.M))
    queries = [target["query"] for panel in panels_of("traces.json") for target in panel["targets"]]
    for names in ("gen_ai.usage", "wattspan"):
        used = {
            attribute
            for query in queries
            for attribute in re.findall(r"span\.([\w.]+)", query.replace("${names}", names))
        }
        assert f"{names}.energy_kwh" in used
        assert used <= documented


def test_traceql_functions_are_those_of_tempo() -> None:
    """grafana.com/docs/tempo/latest/metrics-from-traces/metrics-queries/functions."""
    metrics = {"sum_over_time", "count_over_time", "quantile_over_time"}
    for panel in panels_of("traces.json"):
        for target in panel["targets"]:
            assert target["queryType"] == "traceql"
            selector, _, stage = target["query"].partition(" | ")
            assert re.fullmatch(r"\{ span\.\S+ (> [\d.]+|!= nil) \}", selector)
            function = re.match(r"(\w+)\(", stage)
            assert function is not None
            assert function[1] == "select" if panel["type"] == "table" else function[1] in metrics
