"""The edition's own document: its formulas, every number with range and source, its tiers and its limits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from evidence.edition.canonical import write_text
from evidence.edition.fit import decode_measurements
from evidence.edition.tables import read_table

TEMPLATE = Path(__file__).with_suffix(".md")
PARTS = {
    "core": (
        "everything outside the folders below",
        "CC BY 4.0 (Ember), public domain, facts; see NOTICE",
    ),
    "mpl": ("parameter ranges of closed models as EcoLogits guessed them", "MPL-2.0; may be deleted"),
    "odbl": ("grid intensities of Electricity Maps", "ODbL-1.0; may be deleted"),
}


def write_document(folder: Path, edition: str) -> None:
    """Write README.md of the edition in `folder` from its JSON files and the template document.md."""
    form, gpus, hosts, spreads, compute = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("form", "gpus", "hosts", "spreads", "compute")
    )
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        edition=edition,
        form=_table(("number", "value", "range", "unit", "from"), _form_rows(form)),
        gpus=_table(GPU_HEAD, _gpu_rows(gpus)),
        hosts=_table(("host", "GPU", "batch", "k_host", "k_idle", "why"), _host_rows(hosts)),
        tiers=_table(("tier", "known", "g", "90 % band", "made of", "basis"), _tier_rows(spreads)),
        utilisation=compute["utilisation"]["value"],
        clouds=_table(("cloud", "W at rest", "W at work", "from"), _cloud_rows(compute)),
        compute_factors=_table(("error", "g", "holds for", "reason"), _compute_factor_rows(compute)),
        sources=_table(("source", "rows", "licence", "attribution"), _source_rows()),
        decode_rows=len(decode_measurements()),
        parts="\n".join(_line((name, *PARTS[name])) for name in PARTS if _is_present(folder, name)),
    )
    write_text(folder / "README.md", text)


GPU_HEAD = ("GPU", "basis", "step", "weight", "active", "prefill", "W serving", "kgCO2e embodied", "years")


def _cloud_rows(compute: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    for name, row in sorted(compute["clouds"].items()):
        yield (name, _span(row["min_w"]), _span(row["max_w"]), row["min_w"]["source"])


def _compute_factor_rows(compute: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    of_machine = {row["key"] for row in compute["factors"]["cpu_time"]}
    for row in compute["factors"]["own_time"]:
        holds = "processor time, own time" if row["key"] in of_machine else "own time"
        yield (f"`{row['key']}`", f"{row['g']:g}", holds, row["reason"])


def _is_present(folder: Path, part: str) -> bool:
    return part == "core" or (folder / part).exists()


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(_line(cells) for cells in (head, ["---"] * len(head), *rows))


def _span(number: Mapping[str, Any]) -> str:
    return f"{number['value']:g} ({number['low']:g} to {number['high']:g})"


def _form_rows(form: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    numbers = {**form["decode"], **form["prefill"]}
    for name, row in form["precisions"].items():
        numbers[f"weight_precision, {name} ({row['bytes_per_weight']:g} bytes)"] = row["weight"]
    for name, number in numbers.items():
        where = number.get("reason", "") or number["source"]
        yield (
            f"`{name}`",
            f"{number['value']:g}",
            f"{number['low']:g} to {number['high']:g}",
            number["unit"],
            where,
        )


def _gpu_rows(gpus: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    for name, row in gpus.items():
        factors = [_span(row[key]) for key in ("step", "weight", "active", "prefill")]
        power, embodied, years = (_span(row[key]) for key in ("serving_w", "embodied_kg", "lifetime_years"))
        yield (name, row["basis"], *factors, power, embodied, years)


def _host_rows(hosts: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    for name, row in hosts.items():
        yield (
            name,
            row["gpu"],
            _span(row["batch"]),
            _span(row["k_host"]),
            _span(row["k_idle"]),
            row["reason"],
        )


def _tier_rows(spreads: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    for name, row in sorted(spreads["tiers"].items(), key=lambda item: float(item[1]["g"])):
        made_of = ", ".join(f"`{factor['key']}` {factor['g']:g}" for factor in row["factors"])
        yield (name, row["what_is_known"], f"x{row['g']:g}", f"x{row['band_90']:.3g}", made_of, row["basis"])


def _source_rows() -> Iterable[Sequence[str]]:
    """Attribution of every source that a fitted or chosen number rests on, with its number of rows."""
    chosen = {row_id for choice in read_table("choices") for row_id in choice["evidence"].split()}
    counts = Counter(
        row["source"]
        for table in ("published_energy", "hardware")
        for row in read_table(table)
        if row["used_in_fit"] or row["id"] in chosen
    )
    known = {row["source"]: row for row in read_table("sources")}
    for key, count in sorted(counts.items()):
        source = known[key]
        yield (f"[{source['title']}]({source['url']})", str(count), source["licence"], source["attribution"])
