"""The dashboard over Prometheus: the gateway's own metrics, and the counters of applications."""

from __future__ import annotations

from typing import Final

from deploy.grafana.panels import Panel, Row, dashboard_of, label_values

# An application's counters (docs/sdk.md) have the same names in Prometheus as the gateway's, so the two must
# never be summed together: only an application's carry the basis as `wattspan_basis`.
_GATEWAY: Final = '{wattspan_basis="", instance=~"$instance"}'
_APPLICATIONS: Final = '{wattspan_basis!=""}'
_HERE: Final = '{instance=~"$instance"}'
_TO: Final = '{instance=~"$instance", exporter=~"$exporter"}'
_RATE: Final = "[$__rate_interval]"


def _rate(metric: str, matcher: str = _HERE, by: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{matcher}{_RATE}))"


def _in_range(metric: str, matcher: str = _HERE) -> str:
    return f"sum(increase({metric}{matcher}[$__range]))"


OVERVIEW: Final = Row(
    "Overview",
    (
        Panel(
            "Energy",
            "watth",
            {"energy": f"{_in_range('wattspan_energy_joules_total', _GATEWAY)} / 3600"},
            "Energy of the model calls that the gateway counted in the chosen time: each call once, copies "
            "and agents that restate their calls left out.",
            "number",
            5,
        ),
        Panel(
            "Carbon",
            "massg",
            {"carbon": _in_range("wattspan_co2e_grams_total", _GATEWAY)},
            "Operational CO2e of those calls. Calls whose grid has no figure are not in it, so it may rest "
            "on fewer calls than the energy.",
            "number",
            5,
        ),
        Panel(
            "Spans a second",
            "cps",
            {"spans": _rate("wattspan_receiver_accepted_spans_total")},
            "Spans that were made durable and acknowledged.",
            "number",
            5,
        ),
        Panel(
            "Fullest queue",
            "percentunit",
            {
                "queue": f"max(wattspan_exporter_queue_bytes{_TO} "
                f"/ wattspan_exporter_queue_capacity_bytes{_TO})"
            },
            "How much of its quota the destination that lags most uses. At 100 % clients are refused, or "
            "its oldest spans dropped, as on_quota says. Alert above 80 %.",
            "number",
            5,
        ),
        Panel(
            "Lost to a destination",
            "short",
            {"spans": _in_range("wattspan_exporter_send_failed_spans_total", _TO)},
            "Spans that a destination refused for good or that were dropped at its quota. It should be 0.",
            "number",
            4,
        ),
    ),
)

ENERGY: Final = Row(
    "Energy and carbon of model calls",
    (
        Panel(
            "Power",
            "watt",
            {"power": _rate("wattspan_energy_joules_total", _GATEWAY)},
            "Energy a second of the calls that ended then: what the fleet's inference draws, at the "
            "facility.",
        ),
        Panel(
            "Carbon an hour",
            "massg",
            {"carbon": f"{_rate('wattspan_co2e_grams_total', _GATEWAY)} * 3600"},
            "Grams of CO2e an hour at the present rate.",
        ),
        Panel(
            "Carbon of a kWh",
            "suffix: g/kWh",
            {
                "intensity": f"{_rate('wattspan_co2e_grams_total', _GATEWAY)} / "
                f"({_rate('wattspan_energy_joules_total', _GATEWAY)} / 3.6e6)"
            },
            "Intensity of the mix of grids the calls ran on. It falls when work moves to a cleaner region, "
            "and also when calls have energy but no carbon figure.",
        ),
        Panel(
            "Calls by basis",
            "cps",
            {"{{basis}}": _rate("wattspan_processor_calls_total", by="basis")},
            "What figures rest on. A rise of no_usage: streams that do not report tokens. A rise of "
            "duplicate: a second instrumentation of the same calls.",
            "stacked",
        ),
        Panel(
            "Energy of a call",
            "watth",
            {
                "energy": f"{_rate('wattspan_energy_joules_total', _GATEWAY)} / 3600 / "
                'sum(rate(wattspan_processor_calls_total{instance=~"$instance", '
                f'basis=~"modelled|measured|reported"}}{_RATE}))'
            },
            "Mean of the calls that have a figure. It moves with the models that are used and the length of"
            " what they read and write.",
        ),
        Panel(
            "Values that could not be used",
            "cps",
            {
                "problems": _rate("wattspan_processor_problems_total"),
                "requests without our attributes": _rate("wattspan_processor_failures_total"),
            },
            "Problems are odd values on spans. Requests without our attributes are a defect of Wattspan: "
            "please report them; the spans themselves went on.",
        ),
    ),
)

INTAKE: Final = Row(
    "Intake",
    (
        Panel(
            "Accepted spans",
            "cps",
            {"{{transport}}": _rate("wattspan_receiver_accepted_spans_total", by="transport")},
            "Made durable, by OTLP over HTTP or gRPC.",
            "stacked",
        ),
        Panel(
            "Refused spans",
            "cps",
            {"{{transport}}": _rate("wattspan_receiver_refused_spans_total", by="transport")},
            "Read, but not made durable: disk full or a quota used up. Clients are told to send them again.",
        ),
        Panel(
            "Requests by answer",
            "reqps",
            {"{{signal}} {{status}}": _rate("wattspan_receiver_requests_total", by="signal, status")},
            "HTTP status or gRPC code. 400: a client that sends no OTLP. 429 and 503 (UNAVAILABLE): "
            "overload, sent again by clients. 404 (UNIMPLEMENTED): a signal that no destination takes.",
        ),
    ),
)

DESTINATIONS: Final = Row(
    "Destinations",
    (
        Panel(
            "Sent spans",
            "cps",
            {"{{exporter}}": _rate("wattspan_exporter_sent_spans_total", _TO, "exporter")},
            "What each destination took.",
        ),
        Panel(
            "Waiting spans",
            "short",
            {"{{exporter}}": f"sum by (exporter) (wattspan_exporter_queued_spans{_TO})"},
            "In the spool or under way. A line that rises without end: that destination is down or too slow.",
        ),
        Panel(
            "Spool",
            "bytes",
            {
                "{{exporter}}": f"sum by (exporter) (wattspan_exporter_queue_bytes{_TO})",
                "{{exporter}} quota": f"sum by (exporter) (wattspan_exporter_queue_capacity_bytes{_TO})",
            },
            "Bytes that wait on disk, and how many may.",
        ),
        Panel(
            "Attempts by outcome",
            "reqps",
            {"{{exporter}} {{outcome}}": _rate("wattspan_exporter_attempts_total", _TO, "exporter, outcome")},
            "HTTP status, gRPC code or kind of network error of each attempt to send: why a queue does not "
            "empty.",
        ),
        Panel(
            "Lost spans",
            "cps",
            {
                "{{exporter}} refused for good or dropped": _rate(
                    "wattspan_exporter_send_failed_spans_total", _TO, "exporter"
                ),
                "{{exporter}} rejected in part": _rate(
                    "wattspan_exporter_rejected_spans_total", _TO, "exporter"
                ),
            },
            "Spans that will not reach the destination.",
        ),
        Panel(
            "Books that do not balance",
            "short",
            {
                "{{exporter}}": f"sum by (exporter) (wattspan_exporter_enqueued_spans_total{_TO} "
                f"+ wattspan_exporter_recovered_spans_total{_TO} - wattspan_exporter_sent_spans_total{_TO} "
                f"- wattspan_exporter_send_failed_spans_total{_TO} - wattspan_exporter_queued_spans{_TO})"
            },
            "Enqueued and recovered, less sent, failed and waiting: 0, or spans went astray.",
        ),
    ),
)

LAKE: Final = Row(
    "The lake (lake.folder)",
    (
        Panel(
            "Spans into the lake",
            "cps",
            {
                "taken in": _rate("wattspan_lake_spans_total"),
                "sealed": _rate("wattspan_lake_sealed_spans_total"),
            },
            "Taken in: durable in the lake. Sealed a minute later: in its files, where reports see them.",
        ),
        Panel(
            "Waiting for the lake",
            "bytes",
            {
                "waiting": f"sum(wattspan_lake_queued_bytes{_HERE})",
                "quota": f"sum(wattspan_lake_queue_capacity_bytes{_HERE})",
            },
            "In the spools. At the quota clients are refused, or the oldest never come into the lake, as "
            "lake.on_quota says.",
        ),
        Panel(
            "Size of the lake",
            "bytes",
            {"files": f"sum(wattspan_lake_bytes{_HERE})"},
            "Files of spans; sums and indexes beside them take about a tenth more.",
        ),
        Panel(
            "Spans of open traces",
            "short",
            {"open": f"sum(wattspan_lake_open_spans{_HERE})"},
            "In memory until their trace is sealed; lake.most_open_spans bounds them.",
        ),
        Panel(
            "Lost to the lake",
            "short",
            {
                "dropped at the quota": _in_range("wattspan_lake_dropped_spans_total"),
                "damaged batches": _in_range("wattspan_lake_damaged_batches_total"),
                "of days dropped before": _in_range("wattspan_lake_retired_spans_total"),
            },
            "The first two should be 0 in the chosen time; the third are spans that came again, or too late.",
        ),
        Panel(
            "Disk of the lake refuses",
            "short",
            {"failing": f"max(wattspan_lake_failing{_HERE})"},
            "1: nothing can be written, batches wait in the spool. The log says why.",
        ),
    ),
)

GRID: Final = Row(
    "Live grid feed (grid.live)",
    (
        Panel(
            "Calls without their hour",
            "cps",
            {"{{reason}}": _rate("wattspan_grid_misses_total", by="reason")},
            "They have a coarser figure of the same kind, or none; the lake gets the hour when it comes.",
            "stacked",
        ),
        Panel(
            "Values from the feed",
            "short",
            {
                "new": _in_range("wattspan_grid_prefetch_new_total"),
                "revised": _in_range("wattspan_grid_prefetch_revised_total"),
            },
            "Hours that came in the chosen time, and hours whose value was replaced.",
        ),
        Panel(
            "Answers that could not be used",
            "short",
            {
                "errors": _in_range("wattspan_grid_prefetch_errors_total"),
                "rejected values": _in_range("wattspan_grid_prefetch_rejected_total"),
            },
            "Errors: the feed is down, or the token is not good. Rejected: values that cannot be.",
        ),
    ),
)

WORKERS: Final = Row(
    "Workers (gateway.workers above 1)",
    (
        Panel(
            "Workers that answer",
            "short",
            {"{{instance}}": f"sum by (instance) (wattspan_workers{_HERE})"},
            "As many as gateway.workers says, or one died or hangs. The lake's process is not counted.",
        ),
        Panel(
            "Starts of workers",
            "short",
            {"worker {{worker}}": f"sum by (worker) (wattspan_worker_starts_total{_HERE})"},
            "Each starts once. More: it died; the log says with which status.",
        ),
    ),
)

PROCESS: Final = Row(
    "Process",
    (
        Panel(
            "Processor cores",
            "short",
            {"{{instance}}": _rate("wattspan_process_cpu_seconds_total", by="instance")},
            "Cores in use. One process uses little more than one.",
        ),
        Panel(
            "Memory",
            "bytes",
            {
                "{{instance}}": f"wattspan_process_memory_rss_bytes{_HERE}",
                "{{instance}} requests": f"wattspan_receiver_memory_bytes{_HERE}",
            },
            "Resident memory, and how much of it is bodies of requests (gateway.limits.memory_bytes bounds "
            "those).",
        ),
        Panel(
            "Traces remembered",
            "short",
            {
                "remembered": f"sum(wattspan_owner_memory_traces{_HERE})",
                "forgotten": f"sum(wattspan_owner_memory_evicted_traces_total{_HERE})",
            },
            "By these, copies of a call that come later are known. Where many are forgotten, late copies are "
            "counted again.",
        ),
    ),
)

APPLICATIONS: Final = Row(
    "Applications with Wattspan inside (wattspan.energy, wattspan.co2e)",
    (
        Panel(
            "Power by model",
            "watt",
            {"{{wattspan_model}}": _rate("wattspan_energy_joules_total", _APPLICATIONS, "wattspan_model")},
            "From the counters of the in-process exporter. Where such an application sends through the "
            "gateway, its calls are in the panels above too: do not add the two.",
            "stacked",
        ),
        Panel(
            "Carbon an hour by region",
            "massg",
            {
                "{{wattspan_region}}": _rate("wattspan_co2e_grams_total", _APPLICATIONS, "wattspan_region")
                + " * 3600"
            },
            "Where the applications' calls emit.",
            "stacked",
        ),
        Panel(
            "Energy by job and provider",
            "watth",
            {
                "{{job}} {{gen_ai_provider_name}}": "sum by (job, gen_ai_provider_name) "
                f"(increase(wattspan_energy_joules_total{_APPLICATIONS}{_RATE})) / 3600"
            },
            "Energy in each interval, by the application and whom it called.",
            "stacked",
        ),
    ),
)


def gateway_dashboard() -> str:
    """`gateway.json`."""
    return dashboard_of(
        "wattspan-gateway",
        "Wattspan gateway",
        "Energy and carbon of the model calls that pass the gateway, and whether it passes everything on.",
        "prometheus",
        (
            label_values("instance", "instance", "wattspan_process_uptime_seconds_total"),
            label_values("exporter", "exporter", "wattspan_exporter_queue_size", _HERE),
        ),
        (OVERVIEW, ENERGY, INTAKE, DESTINATIONS, LAKE, GRID, WORKERS, PROCESS, APPLICATIONS),
    )
