"""The calls of forty surfaces: the Azure traces dealt out among them, over two quarters."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

HERE: Final = Path(__file__).parent
WORKLOADS: Final = HERE.parent / "workloads"
FILES: Final = {"chat": "azure_llm_2023_conv.csv.gz", "code completion": "azure_llm_2023_code.csv.gz"}
FIRST_DAY: Final = dt.date(2026, 4, 1)
DAYS: Final = 183
"""The second and third quarter."""
COLUMNS: Final = (
    "start", "request", "call", "within", "ContextTokens", "GeneratedTokens", "service", "surface", "model",
    "provider", "region",
)  # fmt: skip


class Surface(NamedTuple):
    """What a customer buys."""

    surface: str
    name: str
    sku: str
    service: str
    model: str
    provider: str
    region: str
    calls: int
    """Model calls of one request."""


def surfaces() -> list[Surface]:
    """All forty."""
    content = yaml.safe_load((HERE / "surfaces.yaml").read_text(encoding="utf-8"))
    return [Surface(**entry) for entry in content]


def feature_rules(known: Sequence[Surface]) -> list[dict[str, Any]]:
    """`features:` of a configuration: by service and by the attribute that the application sets."""
    return [
        {
            "feature": surface.surface,
            "service": surface.service,
            "attributes": {"app.surface": surface.surface},
        }
        for surface in known
    ]


def write_calls(path: Path, known: Sequence[Surface], every: int = 1) -> int:
    """Write the log of calls; `every`: only so many-th call of the traces. Returns how many calls."""
    written = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for service, name in FILES.items():
            dealt = [surface for surface in known if surface.service == service]
            for row in _dealt(dealt, list(_requests(WORKLOADS / name))[::every]):
                writer.writerow(row)
                written += 1
    return written


def _dealt(dealt: Sequence[Surface], calls: Sequence[tuple[str, str, str]]) -> Iterator[list[Any]]:
    """The calls one by one to the surfaces in turn, those of a surface evenly over the days."""
    for at, surface in enumerate(dealt):
        own = calls[at :: len(dealt)]
        for number, (time, tokens_in, tokens_out) in enumerate(own):
            request, step = divmod(number, surface.calls)
            day = request * surface.calls * DAYS // len(own)
            first = f"{surface.surface}-{request}-0"
            yield [
                f"{FIRST_DAY + dt.timedelta(days=day)} {time}",
                f"{surface.surface}-{request}",
                f"{surface.surface}-{request}-{step}",
                first if step else "",
                tokens_in,
                tokens_out,
                surface.service,
                surface.surface,
                surface.model,
                surface.provider,
                surface.region,
            ]


def _requests(path: Path) -> Iterator[tuple[str, str, str]]:
    """Time of day, input tokens and output tokens of each request of a trace."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["TIMESTAMP"].partition(" ")[2], row["ContextTokens"], row["GeneratedTokens"]
