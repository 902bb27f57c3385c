"""Panels and dashboards as this project makes them: a title, a unit, queries, and a word on what it tells."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, table, tempo, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, StackingConfig, VizTooltipOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueGraphMode, StackingMode, TooltipDisplayMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableOption, VariableRefresh

NUMBER_HEIGHT: Final = 4
HEIGHT: Final = 8
"""Rows of Grafana's grid, which has 24 columns."""


ALL: Final = VariableOption(text="All", value="$__all")


@dataclass(frozen=True)
class Panel:
    """One panel. `queries` by the name of their lines; `unit` as Grafana names units."""

    title: str
    unit: str
    queries: Mapping[str, str]
    tells: str
    kind: str = "lines"
    """`lines`, `stacked`, `number` or `spans` (a table of spans from TraceQL)."""
    width: int = 8


@dataclass(frozen=True)
class Row:
    """A row of panels under a title."""

    title: str
    panels: Sequence[Panel]


def dashboard_of(
    uid: str, title: str, tells: str, source: str, variables: Sequence[Any], rows: Sequence[Row]
) -> str:
    """The dashboard as JSON text, the same bytes every time.

    `source`: kind of the data source, `prometheus` or `tempo`; whoever imports it chooses which one in the
    variable `datasource`.
    """
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(tells)
        .tags(["wattspan", "energy", "carbon"])
        .time("now-6h", "now")
        .refresh("1m")
        .timezone("browser")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type(source))
    )
    for variable in variables:
        made = made.with_variable(variable)
    ids = itertools.count(1)
    for row in rows:
        made = made.with_row(dashboard.Row(row.title).id(next(ids)))
        for panel in row.panels:
            made = made.with_panel(_built(panel, source).id(next(ids)))
    return json.dumps(made.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def label_values(name: str, label: str, metric: str, matcher: str = "") -> dashboard.QueryVariable:
    """A variable with the values that a label of a metric has; several may be chosen, all are at first."""
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(data_source("prometheus"))
        .query(f"label_values({metric}{matcher}, {label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .current(ALL)
    )


def data_source(kind: str) -> DataSourceRef:
    """The one that is chosen in the variable."""
    return DataSourceRef(type_val=kind, uid="${datasource}")


def _built(panel: Panel, source: str) -> Any:
    made = _KINDS[panel.kind]()
    made.title(panel.title).description(panel.tells).datasource(data_source(source)).unit(panel.unit)
    made.span(panel.width).height(NUMBER_HEIGHT if panel.kind == "number" else HEIGHT)
    for place, (name, query) in enumerate(panel.queries.items()):
        target = (
            _traceql(query) if source == "tempo" else _promql(name, query, is_number=panel.kind == "number")
        )
        made.with_target(target.ref_id(chr(ord("A") + place)).datasource(data_source(source)))
    return made


def _traceql(query: str) -> tempo.TempoQuery:
    return tempo.TempoQuery().query(query).query_type("traceql").limit(20)


def _promql(name: str, query: str, *, is_number: bool) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query).legend_format(name)
    return made.instant() if is_number else made.range()


def _number() -> stat.Panel:
    return (
        stat.Panel()
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    )


def _lines() -> timeseries.Panel:
    tooltip = VizTooltipOptions().mode(TooltipDisplayMode.MULTI)
    return timeseries.Panel().tooltip(tooltip).fill_opacity(10).min(0)


def _stacked() -> timeseries.Panel:
    return _lines().fill_opacity(40).stacking(StackingConfig().mode(StackingMode.NORMAL))


_KINDS: Final = {"lines": _lines, "stacked": _stacked, "number": _number, "spans": table.Panel}
