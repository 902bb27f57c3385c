"""What each page shows, as plain values for its template; texts of spans stay texts and are escaped there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
from markupsafe import Markup, escape

from wattspan import quantities
from wattspan.decisions.explain import Explanation
from wattspan.estimator import Estimator
from wattspan.lake.reader import Snapshot
from wattspan.methodology import LATEST
from wattspan.views.dimensions import QueryError, label
from wattspan.views.frames import tokens as token_counts
from wattspan.views.period import read_period
from wattspan.views.rollup import RollUp
from wattspan.views.traces import ORDERS, TraceFilter, TracePage, list_traces, trace_rows
from wattspan.views.unknown import Unknown
from wattspan.web import comparisons
from wattspan.web.overview import SHOWN, Overview
from wattspan.web.span_chain import explain_row

PAGE_ROWS: Final = 50
WATERFALL_ROWS: Final = 500
TIERS: Final = {
    "metered_facility": "node and facility metered",
    "metered_node": "node metered",
    "benchmarked": "benchmarked with known configuration",
    "open_measured": "open weights, measured by others",
    "open": "open weights",
    "closed": "closed weights: size and hardware are inferred",
    "unknown": "unknown model: a class, not a guess at a name",
    "compute": "not a model call: processor time by vCPU watts",
}


def moment(unix_ns: int) -> str:
    """A time in UTC."""
    if unix_ns <= 0:
        return "no time"
    return dt.datetime.fromtimestamp(unix_ns / 1e9, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def money(usd: float) -> str:
    """Dollars; a dash where nothing is known to cost anything."""
    return quantities.money(usd) if usd else "–"


def marked(words: str) -> Markup:
    """Our own words, what stands between backticks as code; nothing of a span goes through here."""
    parts = [escape(part) for part in words.split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else p for i, p in enumerate(parts))


FILTERS: Final[dict[str, Any]] = {
    "energy": lambda kwh: quantities.energy(kwh) if kwh else "–",
    "carbon": lambda g: f"{quantities.mass(g)} CO₂e" if g else "–",
    "duration": quantities.duration,
    "moment": moment,
    "money": money,
    "count": lambda n: f"{n:,.0f}",
    "marked": marked,
}


def overview_page(snapshot: Snapshot, found: Overview, words: str) -> dict[str, Any]:
    """Totals, parts, coverage, what is unknown."""
    whole = found.total
    energy, carbon = whole.energy_kwh, whole.co2e_g
    tiers = sorted(whole.energy_by_tier.items(), key=lambda item: -item[1])
    return {
        "words": words,
        "kind": found.kind,
        "kinds": found.kinds,
        "is_empty": not whole.calls,
        "has_spans": bool(snapshot.manifest.segments),
        "energy": quantities.energy(energy.central),
        "energy_band": quantities.energy_band(energy.low, energy.high, energy.central),
        "energy_like": comparisons.of_energy(energy.central),
        "carbon": f"{quantities.mass(carbon.central)} CO₂e",
        "carbon_band": quantities.mass_band(carbon.low, carbon.high, carbon.central),
        "carbon_like": comparisons.of_carbon(carbon.central),
        "calls": f"{whole.calls:,.0f}",
        "requests": f"{whole.requests.completed:,.0f}" if whole.requests else "",
        "cost": money(whole.cost_usd) if whole.with_cost else "",
        "tokens": f"{whole.tokens['input_tokens'] + whole.tokens['output_tokens']:,.0f}",
        "coverage": "" if whole.coverage is None else quantities.share(whole.coverage, 1),
        "tiers": [
            {
                "name": name.replace("_", " "),
                "meaning": TIERS.get(name, ""),
                "share": quantities.share(kwh / energy.central) if energy.central else "",
                "width": f"{100 * kwh / energy.central:.2f}" if energy.central else "0",
            }
            for name, kwh in tiers
        ],
        "parts": [
            ("By feature", "feature", _parts(found.by_feature)),
            ("By model", "model", _parts(found.by_model)),
            ("By region", "region", _parts(found.by_region)),
        ],
        "unknown": [_unknown(one, energy.central) for one in found.unknown],
    }


def _unknown(one: Unknown, whole_kwh: float) -> dict[str, str]:
    share = f", {quantities.share(one.energy_kwh / whole_kwh)} of the energy" if one.energy_kwh else ""
    number = "1 call" if one.calls == 1 else f"{one.calls:,.0f} calls"
    return {
        "number": f"{number}{share}",
        "what": one.finding,
        "examples": ", ".join(one.examples),
        "remedy": one.remedy[0].upper() + one.remedy[1:],
    }


def _parts(found: RollUp) -> list[dict[str, str]]:
    groups = [group for group in found.groups if group.calls or group.energy_kwh.central]
    largest = max((group.energy_kwh.central for group in groups), default=0.0)
    rows = [
        {
            "name": label(found.by[0], group.key[0]),
            "key": group.key[0],
            "energy": quantities.energy(group.energy_kwh.central)
            if group.energy_kwh.central
            else "no figure",
            "carbon": f"{quantities.mass(group.co2e_g.central)} CO₂e" if group.co2e_g.central else "",
            "calls": f"{group.calls:,.0f}",
            "width": f"{100 * group.energy_kwh.central / largest:.2f}" if largest else "0",
        }
        for group in groups[:SHOWN]
    ]
    if len(groups) > SHOWN:
        rest = groups[SHOWN:]
        kwh = sum(group.energy_kwh.central for group in rest)
        rows.append(
            {
                "name": f"{len(rest)} more",
                "key": "",
                "energy": quantities.energy(kwh) if kwh else "no figure",
                "carbon": "",
                "calls": f"{sum(group.calls for group in rest):,.0f}",
                "width": f"{min(100.0, 100 * kwh / largest):.2f}" if largest else "0",
            }
        )
    return rows


class FoundTraces(NamedTuple):
    """A page of traces, and how it was asked for."""

    page: TracePage
    order: str
    is_ascending: bool
    number: int


def found_traces(snapshot: Snapshot, query: Mapping[str, str]) -> FoundTraces:
    """The traces that a query string asks for."""
    period, _ = read_period(query.get("from") or None, query.get("to") or None)
    order = query.get("sort", "energy")
    ascending = query.get("dir") == "asc"
    try:
        number = max(1, int(query.get("page", "1")))
    except ValueError:
        raise QueryError(f"page {query['page']!r} is not a number") from None
    chosen = TraceFilter(
        period.start_unix_ns,
        period.end_unix_ns,
        query.get("feature") or None,
        query.get("service") or None,
        query.get("model") or None,
        query.get("q") or None,
    )
    page = list_traces(
        snapshot, chosen, order, ascending=ascending, limit=PAGE_ROWS, offset=(number - 1) * PAGE_ROWS
    )
    return FoundTraces(page, order, ascending, number)


def traces_page(snapshot: Snapshot, query: Mapping[str, str]) -> dict[str, Any]:
    """The list, its columns' links, its paging."""
    found = found_traces(snapshot, query)

    def link(**changes: str) -> str:
        return "?" + urlencode({**{key: value for key, value in query.items() if value}, **changes})

    columns = []
    for order in ("start", "spans", "calls", "tokens", "energy", "carbon", "cost", "duration"):
        assert order in ORDERS
        is_it = order == found.order
        columns.append(
            {
                "name": {"start": "start (UTC)", "carbon": "CO₂e"}.get(order, order),
                "link": link(
                    sort=order,
                    dir="desc" if is_it and found.is_ascending else "asc" if is_it else "desc",
                    page="1",
                ),
                "sort": ("ascending" if found.is_ascending else "descending") if is_it else "",
            }
        )
    pages = max(1, -(-found.page.total // PAGE_ROWS))
    return {
        "rows": found.page.rows,
        "total": f"{found.page.total:,}",
        "columns": columns,
        "number": found.number,
        "pages": pages,
        "before": link(page=str(found.number - 1)) if found.number > 1 else "",
        "after": link(page=str(found.number + 1)) if found.number < pages else "",
        "is_filtered": any(query.get(name) for name in ("q", "feature", "service", "model", "from", "to")),
    }


def trace_page(snapshot: Snapshot, trace_id: str) -> dict[str, Any]:
    """One trace: figures, flame graph, waterfall. Raises KeyError where there is none of the id."""
    _, rows = _trace(snapshot, trace_id)
    shown = rows.slice(0, WATERFALL_ROWS)
    start = rows.column("start_unix_ns").to_numpy()
    lasts = rows.column("duration_ns").to_numpy()
    known = start[start > 0]
    begin = int(known.min()) if len(known) else 0
    span_ns = max(1, int((start + lasts).max()) - begin) if len(known) else 1
    energy = float(np.nansum(_floats(rows, "energy_kwh")))
    carbon = float(np.nansum(_floats(rows, "co2e_g")))
    cost = float(np.nansum(_floats(rows, "cost_usd")))
    counted = token_counts(shown)
    spans = []
    for number, row in enumerate(
        shown.select(
            [
                "span_id",
                "name",
                "depth",
                "status",
                "is_owner",
                "basis",
                "energy_kwh",
                "evidence",
                "resolved_model",
                "model",
            ]
        ).to_pylist()
    ):
        offset = max(0, int(start[number]) - begin)
        spans.append(
            {
                **row,
                "span_id": f"{row['span_id']:016x}",
                "indent": min(row["depth"], 12),
                "x": f"{100 * offset / span_ns:.3f}",
                "width": f"{max(0.25, 100 * int(lasts[number]) / span_ns):.3f}",
                "duration": quantities.duration(int(lasts[number])),
                "energy": quantities.energy(row["energy_kwh"]) if row["energy_kwh"] else "",
                "tokens": f"{counted[number]:,.0f}" if row["is_owner"] and counted[number] else "",
                "kind": "bad" if row["status"] == 2 else "call" if row["basis"] else "work",
            }
        )
    return {
        "trace": trace_id,
        "name": rows.column("name")[0].as_py() or "(no name)",
        "service": rows.column("service")[0].as_py(),
        "begin": moment(begin),
        "lasts": quantities.duration(span_ns),
        "energy": quantities.energy(energy) if energy else "none",
        "energy_like": comparisons.of_energy(energy),
        "carbon": f"{quantities.mass(carbon)} CO₂e" if carbon else "none",
        "carbon_like": comparisons.of_carbon(carbon),
        "cost": money(cost),
        "calls": int(np.count_nonzero(rows.column("is_owner").fill_null(False).to_numpy())),
        "copies": sum(1 for basis in rows.column("basis").to_pylist() if basis == "duplicate"),
        "count": rows.num_rows,
        "spans": spans,
        "left_out": rows.num_rows - shown.num_rows,
    }


def explained(snapshot: Snapshot, trace_id: str, span_id: str) -> tuple[Explanation, str]:
    """The chain of a span. Raises KeyError where there is none, QueryError for ids that are none."""
    segment, rows = _trace(snapshot, trace_id)
    try:
        number = int(span_id, 16)
    except ValueError:
        raise QueryError(f"{span_id!r} is no span id: 16 hexadecimal digits") from None
    found = explain_row(segment, rows, number) if 0 <= number < 2**64 else None
    if found is None:
        raise KeyError(f"trace {trace_id} has no span {span_id}")
    return found


def span_page(snapshot: Snapshot, trace_id: str, span_id: str) -> dict[str, Any]:
    """One span: from tokens to grams."""
    found, note = explained(snapshot, trace_id, span_id)
    steps = []
    for step in found.steps:
        if step.unit == "kWh":
            value = quantities.energy(step.value)
        elif step.unit == "g":
            value = f"{quantities.mass(step.value)} CO₂e"
        elif step.unit == "kWh/J":
            value = "1 / 3.6e6"
        else:
            value = f"{quantities.digits(step.value)} {step.unit}".strip()
        share = found.share(step.factors)
        steps.append(
            {
                "sign": step.operation,
                "name": step.name,
                "value": value,
                "how": step.how,
                "source": step.source,
                "share": f"{share * 100:.0f} %" if step.factors else "",
                "kind": {"=": "sum", "+": "part"}.get(step.operation, ""),
            }
        )
    energy, carbon = found.energy_kwh, found.co2e_g
    return {
        "trace": trace_id,
        "span": span_id,
        "found": found,
        "note": note,
        "steps": steps,
        "tier": found.tier.replace("_", " "),
        "energy_band": quantities.energy_band(energy.low, energy.high, energy.central) if energy else "",
        "carbon_band": quantities.mass_band(carbon.low, carbon.high, carbon.central) if carbon else "",
    }


def models_page(snapshot: Snapshot, search: str) -> dict[str, Any]:
    """The models of the newest edition in the lake, with coefficients and sources."""
    estimator = Estimator(_edition(snapshot))
    wanted = search.lower()
    rows = []
    for model in sorted(estimator.edition.registry.models.values(), key=lambda model: model.id):
        if wanted not in f"{model.id} {model.family} {model.provider}".lower():
            continue
        reading = estimator.estimate_call(model=model.id, input_tokens=1000)
        writing = estimator.estimate_call(model=model.id, output_tokens=1000)
        plan = writing.plan
        rows.append(
            {
                "id": model.id,
                "tier": model.tier,
                "band": quantities.times(plan.energy_g90),
                "input": quantities.energy(reading.energy_kwh),
                "output": quantities.energy(writing.energy_kwh),
                "host": f"{plan.host.gpu}, batch {plan.host.batch:g}",
                "sources": [source.source for source in model.sources][:3],
            }
        )
    return {"rows": rows, "edition": estimator.edition.label, "tiers": TIERS, "search": search}


def methodology_page(snapshot: Snapshot) -> dict[str, Any]:
    """Edition, digest, formula, tiers."""
    estimator = Estimator(_edition(snapshot))
    names = {segment.edition: segment.edition_digest for segment in snapshot.manifest.segments}
    return {
        "edition": estimator.edition.label,
        "digest": estimator.edition.digest,
        "in_lake": sorted(names.items()),
        "kinds": sorted(
            {f"{segment.signal}, {segment.factor_type}" for segment in snapshot.manifest.segments}
        ),
        "tiers": TIERS,
    }


def _edition(snapshot: Snapshot) -> str:
    there = sorted({segment.edition for segment in snapshot.manifest.segments})
    return there[-1] if there else LATEST


def _trace(snapshot: Snapshot, trace_id: str) -> Any:
    found = trace_rows(snapshot, trace_id)
    if found is None:
        raise KeyError(f"the lake has no trace {trace_id}")
    return found


def _floats(rows: pa.Table, name: str) -> Any:
    return rows.column(name).fill_null(float("nan")).to_numpy()
