"""The models part of an edition: models.json and mpl/models.json from the registry under evidence/models.

python -m evidence.edition.models --record     note new entries in entries.lock; changed ones are refused
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from evidence.edition.canonical import significant, write_json
from evidence.edition.fit import fit_prefill
from wattspan.methodology.models import replica_gpus
from wattspan.methodology.names import normalise

EVIDENCE_FOLDER = Path(__file__).parents[1]
MODELS_FOLDER = EVIDENCE_FOLDER / "models"
MPL_FOLDER = EVIDENCE_FOLDER / "mpl"
RESIDUALS = EVIDENCE_FOLDER / "energy" / "residuals.csv"
LOCK = MODELS_FOLDER / "entries.lock"
NOT_PROVIDERS = frozenset({"classes", "rules", "witnesses"})

DEFAULT_KV_KB = 150.0
"""Key-value cache of a token where the shape is not known: with this one value for all models the held-out
error of the fit moves from x1.40 to x1.43 (energy.md, decode)."""
DEFAULT_CONTEXT_TOKENS = 1.1e5
REFERENCE_CONTEXT = 4000
"""Tokens of context at which layers with a window are counted: window / 4,000 of a layer, one at most."""
FP8_FROM_TOTAL_B = 200.0
"""Weights published in bf16 are taken as served in fp8 from here on: 16-bit weights fill eight 80 GB GPUs."""
SIZE_TOKEN = re.compile(r"e?\d+(\.\d+)?[bmt]|a\d+(\.\d+)?[bm]|\d+x\d+b")
NARROWER = {
    "open_measured": "Declare the deployment (GPU, count, precision, engine, batch), or meter it.",
    "open": "A measurement in an open benchmark, or a declared deployment (GPU, precision, engine, batch).",
    "closed": "Parameter counts published by the maker, or energy reported by the provider on the span.",
    "unknown": "Any published parameter count, or energy reported by the provider on the span.",
}


class RegistryError(ValueError):
    """Something in evidence/models contradicts itself; the message names file, model and what to do."""


def build(out: Path) -> None:
    """Write models.json, mpl/models.json and the licence of the latter into the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "models.json", compile_models())
    (out / "mpl").mkdir(exist_ok=True)
    write_json(out / "mpl" / "models.json", compile_mpl())
    for name in ("LICENSE", "NOTICE"):
        shutil.copyfile(MPL_FOLDER / name, out / "mpl" / name)


@cache
def providers() -> dict[str, dict[str, Any]]:
    """The parsed files of the registry by file name, in alphabetical order."""
    return {
        path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted(MODELS_FOLDER.glob("*.yaml"))
        if path.stem not in NOT_PROVIDERS
    }


@cache
def mpl_ranges() -> dict[str, dict[str, Any]]:
    """Guessed parameter ranges of closed models by model id."""
    rows = yaml.safe_load((MPL_FOLDER / "ecologits.yaml").read_text(encoding="utf-8"))["ranges"]
    return {row["model"]: row for row in rows}


def _part(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((MODELS_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))


def models() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every model: its id, its provider's file and its row, with the file's defaults filled in."""
    for file_name, document in providers().items():
        defaults = document.get("defaults", {})
        for row in document["models"]:
            for local_id in row.get("ids", [row.get("id")]):
                full = {
                    "kind": "chat",
                    "names": [local_id],
                    "snapshots": defaults.get("snapshots", []),
                    "endings": defaults.get("endings", []),
                    "default_seen": defaults.get("seen", "recalled"),
                    "file": file_name,
                    **row,
                }
                yield f"{document['provider']}/{local_id}", document, full


def compile_models() -> dict[str, Any]:
    """The content of models.json."""
    rows_by_id: dict[str, dict[str, Any]] = {}
    for model_id, _, row in models():
        if model_id in rows_by_id:
            raise RegistryError(f"{row['file']}: the id {model_id} is used twice; ids are unique, rename one")
        rows_by_id[model_id] = row
    compiled: list[dict[str, Any]] = []
    ollama: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for model_id, document, row in models():
        compiled.append(_compile_model(model_id, document, row, rows_by_id))
        for name in compiled[-1]["names"]:
            _claim(spelled, name, model_id, row["file"])
        for tag in row.get("ollama", []):
            if tag in ollama:
                raise RegistryError(
                    f"{row['file']}: the Ollama tag {tag} of {model_id} is {ollama[tag]}'s already"
                )
            ollama[tag] = model_id
    unused = sorted(mpl_ranges().keys() - rows_by_id.keys())
    if unused:
        raise RegistryError(
            f"mpl/ecologits.yaml: no model has the ids {', '.join(unused)}; correct or remove them"
        )
    return {
        "aliases": _compile_aliases(rows_by_id, spelled),
        "checked": max(str(document["checked"]) for document in providers().values()),
        "classes": {name: _compile_class(row) for name, row in _part("classes").items()},
        "models": sorted(compiled, key=lambda model: str(model["id"])),
        "narrower": NARROWER,
        "ollama": ollama,
        "orgs": _orgs(),
        "providers": {document["provider"]: document["name"] for document in providers().values()},
        "rules": _part("rules"),
        "witnesses": {name: row["text"] for name, row in _part("witnesses").items()},
    }


def compile_mpl() -> dict[str, Any]:
    """The content of mpl/models.json."""
    shapes = {}
    for model_id, row in mpl_ranges().items():
        shapes[model_id] = {
            "architecture": _architecture({**row, "total_b": row["total_b"]}, seed=model_id),
            "checked": "2026-11-23",
            "name": row["name"],
            "release": row["release"],
        }
    return {
        "licence": "MPL-2.0",
        "models": shapes,
        "source": "EcoLogits, ecologits/data/models.json (third-party guess, MPL-2.0)",
    }


def _claim(spelled: dict[str, str], name: str, owner: str, file_name: str) -> None:
    if name in spelled:
        raise RegistryError(
            f"{file_name}: the name {name!r} of {owner} is {spelled[name]}'s already; a name means one model"
        )
    spelled[name] = owner


def _orgs() -> dict[str, str]:
    orgs: dict[str, str] = {}
    for file_name, document in providers().items():
        for org in document["orgs"]:
            if org in orgs:
                raise RegistryError(f"{file_name}: the org {org!r} is {orgs[org]}'s already")
            orgs[org] = document["provider"]
    return orgs


def _compile_aliases(
    rows: Mapping[str, Mapping[str, Any]], spelled: dict[str, str]
) -> dict[str, list[list[str | None]]]:
    aliases: dict[str, list[list[str | None]]] = {}
    for file_name, document in providers().items():
        for alias in document.get("aliases", []):
            name, points = normalise(alias["name"]), alias["points"]
            _claim(spelled, name, f"alias {alias['name']}", file_name)
            targets = [point["to"] and f"{document['provider']}/{point['to']}" for point in points]
            dates = [point["from"].isoformat() for point in points]
            missing = [target for target in targets if target and target not in rows]
            if missing or dates != sorted(set(dates)):
                raise RegistryError(
                    f"{file_name}: alias {name}: {missing or 'dates'} unknown or not in order"
                )
            aliases[name] = [[start, target] for start, target in zip(dates, targets, strict=True)]
    return aliases


def _compile_class(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "architecture": _architecture(row, seed=row["reason"]),
        "kind": row["kind"],
        "reason": row["reason"],
    }


def _compile_model(
    model_id: str,
    document: Mapping[str, Any],
    row: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    file_name = row["file"]
    entries = [_compile_entry(model_id, document, row, entry, rows) for entry in row["entries"]]
    starts = [entry["from"] for entry in entries]
    if starts != sorted(set(starts)):
        raise RegistryError(
            f"{file_name}: {model_id}: entries must be in order of their dates, found {starts}"
        )
    has_parameters = all("architecture" in entry for entry in entries)
    compiled: dict[str, Any] = {
        "entries": entries,
        "family": _family(model_id),
        "id": model_id,
        "kind": row["kind"],
        "names": _spellings(row),
        "provider": document["provider"],
        "snapshots": row["snapshots"],
        "tier": row.get("tier", "open") if has_parameters else "unknown",
    }
    if "note" in row:
        compiled["note"] = row["note"]
    if "orgs" in row:
        compiled["orgs"] = row["orgs"]
    if not has_parameters:
        if "class" not in row:
            raise RegistryError(
                f"{file_name}: {model_id} has neither active_b nor a class; give it one of the two"
            )
        compiled["class"] = row["class"]
    if model_id in mpl_ranges():
        if has_parameters:
            raise RegistryError(f"{model_id} has published parameters: remove it from mpl/ecologits.yaml")
        compiled |= {"tier": "closed", "parameters": "mpl"}
    measured = _measured(row.get("benchmarks", []), entries[-1].get("architecture"))
    if measured:
        compiled |= {"tier": "open_measured", "residual": measured[0], "evidence": measured[1]}
    return compiled


def _compile_entry(
    model_id: str,
    document: Mapping[str, Any],
    row: Mapping[str, Any],
    entry: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    checked = str(entry.get("checked", document["checked"]))
    seen = entry.get("seen", row["default_seen"])
    card = _card(row, document)
    start = entry["from"].isoformat()
    shape, sources = dict(entry), []
    if "like" in row:
        base_id = row["like"] if "/" in row["like"] else f"{document['provider']}/{row['like']}"
        if base_id not in rows or "active_b" not in rows[base_id]["entries"][-1]:
            raise RegistryError(f"{row['file']}: {model_id} is like {base_id}, which has no parameters here")
        base = dict(rows[base_id]["entries"][-1])
        sources.append(_source("base model", f"{card}: has the shape of {base_id}", "recalled", checked))
        if "active_b" in entry:
            base.pop("total_b", None)
        shape = {**base, **entry}
        seen = entry.get("seen", base.get("seen", rows[base_id]["default_seen"]))
    if "active_b" not in shape:
        listed = f"none published; the size class {row.get('class')} stands in"
        return {"from": start, "sources": [_source("parameters", listed, seen, checked)]}
    sources.append(_source("parameters", card, seen, checked))
    if shape.get("layers") is not None or "kv_kb" in shape:
        sources.append(_source("attention shape", card, shape.get("shape_seen", seen), checked))
    return {"architecture": _architecture(shape, seed=model_id), "from": start, "sources": sources}


def _source(what: str, source: str, seen: str, checked: str) -> dict[str, str]:
    return {"checked": checked, "seen": seen, "source": source, "what": what}


def _card(row: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    card = row.get("card", "")
    if not card:
        return f"documentation of {document['name']}"
    return card if card.count("/") > 1 else f"Hugging Face {card}"


def _architecture(shape: Mapping[str, Any], seed: str) -> dict[str, Any]:
    """The architecture of a row of the registry, as models.json holds it. `seed` names the row in errors."""
    active = _pair(shape["active_b"])
    total = _pair(shape.get("total_b", shape["active_b"]))
    if active[0] > active[1] or any(low > high for low, high in zip(active, total, strict=True)):
        raise RegistryError(f"{seed}: active_b {active} and total_b {total} are not in order")
    is_moe = shape.get("is_moe", "total_b" in shape)
    centre_total = math.sqrt(total[0] * total[1])
    precision = shape.get("precision", "fp8" if centre_total >= FP8_FROM_TOTAL_B else "bf16")
    return {
        "active_b": active,
        "context_tokens": _context_tokens(shape, math.sqrt(active[0] * active[1]), is_moe),
        "gpus": shape.get("gpus", replica_gpus(centre_total, precision)),
        "is_moe": is_moe,
        "kv_kb_per_token": _kv_kb(shape),
        "precision": precision,
        "total_b": total,
    }


def _pair(value: float | Sequence[float]) -> list[float]:
    return [float(value), float(value)] if isinstance(value, int | float) else [float(x) for x in value]


def _attending_layers(shape: Mapping[str, Any]) -> float:
    share = min(1.0, shape.get("window", 0) / REFERENCE_CONTEXT)
    return float(shape["layers"] + shape.get("local_layers", 0) * share)


def _kv_kb(shape: Mapping[str, Any]) -> float:
    """Key-value cache of a token in 16 bit, kB; latent attention caches one vector, others two."""
    if "kv_kb" in shape:
        return float(shape["kv_kb"])
    if "latent" in shape:
        elements = float(shape["latent"])
    elif "kv_heads" in shape:
        elements = 2.0 * shape["kv_heads"] * shape["head_dim"]
    else:
        return DEFAULT_KV_KB
    return significant(_attending_layers(shape) * elements * 2 / 1000)


@cache
def _moe_prefill_factor() -> float:
    return float(fit_prefill().moe_factor)


def _context_tokens(shape: Mapping[str, Any], active_b: float, is_moe: bool) -> float:
    """n_c: parameters / (layers x width), the input length at which attention costs what the weights cost.

    In a mixture of experts the form multiplies the whole prefill by the factor that its expert layers need;
    attention does not need it, so that n_c is multiplied by the same factor.
    """
    if "context_tokens" in shape:
        return float(shape["context_tokens"])
    if "heads" not in shape:
        return DEFAULT_CONTEXT_TOKENS
    per_token = _attending_layers(shape) * shape["heads"] * shape["head_dim"]
    return significant(active_b * 1e9 / per_token * (_moe_prefill_factor() if is_moe else 1.0))


def _family(model_id: str) -> str:
    """The id without its size: llama-3.1 of meta/llama-3.1-8b."""
    local_id = model_id.partition("/")[2]
    kept = [part for part in local_id.split("-") if not SIZE_TOKEN.fullmatch(part)]
    return "-".join(kept) or local_id


def _spellings(row: Mapping[str, Any]) -> list[str]:
    """Every name of a model, alone and with each of its endings, normalised; the main one first."""
    found: dict[str, None] = {}
    for name in row["names"]:
        for ending in ("", *row["endings"]):
            found.setdefault(normalise(name + ending))
    return list(found)


@cache
def _residuals() -> dict[str, dict[str, str]]:
    if not RESIDUALS.is_file():
        raise RegistryError(
            f"{RESIDUALS.name} is not there: run `make edition`, which writes it before the models"
        )
    with RESIDUALS.open(encoding="utf-8", newline="") as file:
        return {row["model"]: row for row in csv.DictReader(file)}


def _measured(
    benchmarks: Sequence[str], architecture: Mapping[str, Any] | None
) -> tuple[float, list[str]] | None:
    """Measured / fitted decode of a model and its evidence rows; None where the fit has no row of it.

    Geometric mean over its rows, of those in the number format that is taken as served where there are any.
    """
    rows = [_residuals()[name] for name in benchmarks if name in _residuals()]
    if not rows or architecture is None:
        return None
    is_fp8 = architecture["precision"] == "fp8"
    rows = [row for row in rows if row["model"].endswith("-FP8") == is_fp8] or rows
    weights = [int(row["n_rows"]) for row in rows]
    logs = [math.log(float(row["residual"])) * weight for row, weight in zip(rows, weights, strict=True)]
    evidence = [row_id for row in rows for row_id in row["row_ids"].split()]
    return significant(math.exp(math.fsum(logs) / sum(weights))), evidence


def entry_digests() -> dict[str, str]:
    """Model id and date -> digest of each entry as it is written, the guard against overwriting."""
    digests = {}
    for model_id, _, row in models():
        for entry in row["entries"]:
            content = {**entry, "like": row.get("like"), "class": row.get("class"), "tier": row.get("tier")}
            text = json.dumps(content, sort_keys=True, default=str)
            digests[f"{model_id} {entry['from']}"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return digests


def recorded() -> dict[str, str]:
    """The digests in entries.lock."""
    if not LOCK.is_file():
        return {}
    return dict(line.rsplit(" ", 1) for line in LOCK.read_text(encoding="utf-8").splitlines())


def overwritten() -> list[str]:
    """Recorded entries that are gone or were changed."""
    now = entry_digests()
    return sorted(key for key, digest in recorded().items() if now.get(key) != digest)


def record() -> int:
    """Add the new entries to entries.lock and return how many; RegistryError if recorded ones changed."""
    changed = overwritten()
    if changed:
        raise RegistryError(
            f"{len(changed)} recorded entries were changed or removed ({', '.join(changed[:3])}): undo "
            "that and append a dated entry instead"
        )
    now = entry_digests()
    added = len(now) - len(recorded())
    LOCK.write_text("".join(f"{key} {digest}\n" for key, digest in sorted(now.items())), encoding="utf-8")
    return added


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the registry, and with --record note its new entries; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m evidence.edition.models", description=__doc__)
    parser.add_argument("--record", action="store_true", help="note new entries in entries.lock")
    options = parser.parse_args(arguments)
    try:
        found = compile_models()["models"]
        print(f"{len(found)} models of {len(providers())} providers")
        if options.record:
            print(f"{record()} new entries recorded")
    except RegistryError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
