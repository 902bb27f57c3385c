"""`make demo`: the gateway and the page over real spans, with nothing but embedded defaults.

An hour of traffic is imported, the spans of thirteen instrumentations go through the gateway by OTLP, and the
page shows all of it. Ctrl-C stops everything; `--once` shows the figures and leaves.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.backend import Backend
from demo.services import HOST, Service, ServiceError, command, free_ports, post
from wattspan import quantities
from wattspan.estimator import Band
from wattspan.lake.reader import open_snapshot
from wattspan.otlp.wire import scan
from wattspan.views.question import Question
from wattspan.views.rollup import kinds, roll_up
from wattspan.views.top import top_subtrees

HERE: Final = Path(__file__).parent
CAPTURES: Final = HERE.parent / "tests" / "captures"
WORKLOADS: Final = HERE / "workloads"
FEATURES: Final = (
    {"feature": "Code completion", "service": "code completion"},
    {"feature": "Chat", "service": "chat"},
    {"feature": "Answers", "service": "answers-*"},
    {"feature": "Weather agent", "service": "weather-*"},
)
console: Final = Console(highlight=False)


def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(prog="make demo ARGS=…", description=__doc__)
    parser.add_argument("--once", action="store_true", help="show the figures and leave")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where the files go")
    options = parser.parse_args()
    try:
        with _interrupts() as interrupted:
            _run(options, interrupted)
    except ServiceError as error:
        console.print(f"[red]the demonstration could not go on:[/] {error}", markup=True)
        sys.exit(1)


def _run(options: argparse.Namespace, interrupted: threading.Event) -> None:
    out: Path = options.out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    lake, enriched = out / "lake", out / "enriched.binpb"
    http, grpc, telemetry, web = free_ports(4)
    with ExitStack() as stack:
        backend = Backend(enriched)
        stack.callback(backend.close)
        config = _configuration(out, backend.address, http, grpc, telemetry)

        _say("importing an hour of Azure's chat and code completion (2023, CC BY 4.0) ...")
        for name in ("azure_llm_2023_code", "azure_llm_2023_conv"):
            command(
                "import",
                str(WORKLOADS / f"{name}.csv.gz"),
                "--map-file",
                str(WORKLOADS / f"{name}.yaml"),
                "--lake",
                str(lake),
                "--config",
                str(config),
                "--quiet",
            )

        imported = _spans(lake)
        _say("sending captured spans of thirteen instrumentations through the gateway ...")
        gateway = Service(out / "gateway.log", "serve", "--config", str(config))
        stack.callback(gateway.stop)
        gateway.wait_for(f"http://{HOST}:{telemetry}/readyz")
        sent = 0
        for path in sorted(CAPTURES.glob("*.binpb")):
            body = path.read_bytes()
            sent += scan(body, ()).n
            post(f"http://{HOST}:{http}/v1/traces", body)
        _wait_until(lambda: backend.spans >= sent, "the back end to have all spans")
        _wait_until(lambda: _spans(lake) >= imported + sent, "the traces to be sealed")

        page = Service(out / "page.log", "web", "--lake", str(lake), "--port", str(web))
        stack.callback(page.stop)
        address = f"http://{HOST}:{web}/"
        page.wait_for(address)
        _print(lake, sent, enriched)
        if options.once:
            _say(f"the page was at {address}; `make demo` leaves it up")
            return
        console.print(f"\n[bold]{address}[/]   the page; Ctrl-C stops it\n")
        while not interrupted.wait(0.2):
            pass
        _say("\nstopping ...")


def _configuration(out: Path, backend: str, http: int, grpc: int, telemetry: int) -> Path:
    """The one file that every command here reads."""
    content: dict[str, Any] = {
        "features": list(FEATURES),
        "lake": {"folder": str(out / "lake"), "seal_after_s": 1, "most_open_s": 5, "sampling_rate": 1},
        "gateway": {
            "http": {"port": http},
            "grpc": {"port": grpc},
            "telemetry": {"port": telemetry},
            "spool": {"directory": str(out / "spool")},
            "destinations": [
                {"name": "backend", "endpoint": backend, "compression": "none", "detail": "full"}
            ],
        },
    }
    path = out / "wattspan.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def _spans(lake: Path) -> int:
    return sum(segment.rows for segment in open_snapshot(lake).manifest.segments)


def _wait_until(is_so: Any, what: str) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        if time.monotonic() > deadline:
            raise ServiceError(f"waited a minute for {what}")
        time.sleep(0.1)


def _print(lake: Path, sent: int, enriched: Path) -> None:
    snapshot, question = open_snapshot(lake), Question(("feature",))
    console.print()
    for kind in kinds(snapshot, question):
        rolled = roll_up(snapshot, question, kind)
        table = _table("feature", "inferences", "model calls")
        for group in rolled.groups:
            name = group.key[0] or "unmapped"
            table.add_row(
                name,
                f"{group.requests.completed:,.0f}" if group.requests else "",
                f"{group.calls:,.0f}",
                *_figures(group.energy_kwh, group.co2e_g),
            )
        console.print(table)
    console.print()
    table = _table("the most energy-hungry subtrees", "times", "model calls")
    for subtree in top_subtrees(snapshot, Question(), 3):
        table.add_row(
            f"{subtree.service}: {subtree.name}",
            f"{subtree.count:,.0f}",
            f"{subtree.calls:,.0f}",
            *_figures(subtree.energy_kwh, subtree.co2e_g),
        )
    console.print(table)
    console.print(
        f"\n{sent} spans came out of the gateway with energy and carbon on them: {enriched}", style="dim"
    )


def _table(first: str, *counts: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, overflow="fold")
    for name in (*counts, "energy", "90 %", "CO2e"):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _figures(energy: Band, carbon: Band) -> tuple[Text, str, str]:
    return (
        Text(quantities.energy(energy.central), style="bold"),
        quantities.energy_band(energy.low, energy.high, energy.central),
        quantities.mass(carbon.central),
    )


def _say(text: str) -> None:
    console.print(text, style="dim", markup=False)


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Ctrl-C as an event, so that what was started is stopped in order."""
    event = threading.Event()

    def note(*_: object) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


main()
