"""`make questionnaire`: a customer's form about forty product surfaces, answered from a lake, end to end.

Calls are imported, two quarters published and signed, the form filled with a note on every cell, a disclosure
verified and reproduced. Names, models and regions are made up; the key is made for the run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console

from demo.questionnaire.form import write_form
from demo.questionnaire.surfaces import HERE, Surface, feature_rules, surfaces, write_calls
from demo.services import ServiceError, command

QUARTERS: Final = ("2026Q2", "2026Q3")
console: Final = Console(highlight=False)


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(prog="make questionnaire ARGS=…", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/questionnaire"), help="where the files go")
    parser.add_argument("--every", type=int, default=1, help="take every so many-th call of the traces")
    options = parser.parse_args()
    try:
        _run(options.out, options.every)
    except ServiceError as error:
        console.print(f"the example could not go on: {error}", style="red", markup=False)
        sys.exit(1)


def _run(out: Path, every: int) -> None:
    began = time.monotonic()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    known = surfaces()
    config, lake = _configuration(out, known), str(out / "lake")
    calls = write_calls(out / "calls.csv", known, every)
    _say(f"importing {calls:,} calls of {len(known)} surfaces ...")
    command(
        "import", str(out / "calls.csv"), "--map-file", str(HERE / "calls.yaml"), "--lake", lake,
        "--config", config, "--quiet",
    )  # fmt: skip
    command("key", "new", str(out / "demonstration-key.pem"))
    for quarter in QUARTERS:
        _say(f"publishing {quarter} ...")
        command("disclosure", "publish", "--period", quarter, "--lake", lake, "--config", config)
    write_form(out / "questionnaire.xlsx", known, every)
    _say("filling the customer's form ...")
    said = json.loads(
        command(
            "disclosure", "fill", str(out / "questionnaire.xlsx"), "--map", str(HERE / "map.yaml"),
            "--out", str(out / "answered.xlsx"), "--config", config, "--json",
        )
    )  # fmt: skip
    _say("verifying and reproducing one of them ...")
    chosen = f"{QUARTERS[1]}/{known[0].surface}@1"
    for check in ("verify", "reproduce"):
        command("disclosure", check, chosen, "--config", config)
    _report(out, said, command("disclosure", "head", "--config", config).strip(), chosen)
    _say(f"{time.monotonic() - began:.0f} s in all")


def _configuration(out: Path, known: list[Surface]) -> str:
    content: dict[str, Any] = {
        "features": feature_rules(known),
        "lake": {"sampling_rate": 1},
        "disclosure": {
            "issuer": {"domain": "saas.example", "name": "Example SaaS GmbH"},
            "folder": str(out / "disclosures"),
            "key": str(out / "demonstration-key.pem"),
            "features": {surface.surface: {"name": surface.name, "sku": surface.sku} for surface in known},
        },
    }
    path = out / "wattspan.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return str(path)


def _report(out: Path, said: dict[str, Any], head: str, chosen: str) -> None:
    ids = {one["disclosure"] for one in said["filled"]}
    console.print(
        f"\n{len(said['filled'])} cells about {len(ids)} surfaces are filled: {out / 'answered.xlsx'}"
    )
    reasons: dict[str, int] = {}
    for left in said["left"]:
        reasons[left["why"]] = reasons.get(left["why"], 0) + 1
    for why, times in reasons.items():
        console.print(f"  left, {times} ×: {why}", markup=False)
    console.print(f"  not asked of us: {', '.join(said['unmapped_columns'])}", markup=False)
    console.print(f"signed disclosures: {out / 'disclosures'}; head of the ledger {head}", markup=False)
    console.print(
        f"look: wattspan web --lake {out / 'lake'} --config {out / 'wattspan.yaml'}\n"
        f"check: wattspan disclosure verify {chosen} --book {out / 'disclosures'}",
        markup=False,
    )


def _say(text: str) -> None:
    console.print(text, style="dim", markup=False)


if __name__ == "__main__":
    main()
