"""What a change of edition does, for `wattspan edition diff`: loaded when it is asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from wattspan.cli.console import console, fail
from wattspan.config import ConfigError, load_config
from wattspan.disclosure.aggregate import AggregateError, Aggregates, aggregate
from wattspan.disclosure.edition_effect import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    Effect,
    Reference,
    Under,
    effects,
    reference_calls,
)
from wattspan.disclosure.figure import Sealed
from wattspan.disclosure.numbers import shown, written
from wattspan.disclosure.restating import Methodology
from wattspan.disclosure.rules import current_rules
from wattspan.disclosure.subject import Period, PeriodError
from wattspan.lake.disk import LakeError
from wattspan.lake.reader import Snapshot, open_snapshot
from wattspan.methodology import Edition, EditionError

references = reference_calls


def of_lake(lake: Path, period: str, old: Edition, new: Edition, config: Path | None) -> tuple[Effect, ...]:
    """By feature and model; the lake may have been estimated by either edition, or by a third."""
    try:
        settings = load_config(config)
        snapshot = open_snapshot(lake)
        found = aggregate(snapshot, _period(snapshot, period), {}, dt.datetime.now(dt.UTC), "none")
        used = _edition_of(snapshot, found)
        (kind,) = found.facts.kinds
        deployments = [section.deployment() for section in settings.deployments]
        own, before, after = (
            Methodology(edition, kind.factor_type, deployments, settings.regions)
            for edition in (used, old, new)
        )
    except (AggregateError, ConfigError, EditionError, LakeError, PeriodError) as error:
        fail(str(error))
    rows = Sealed(found.cells, found.requests, found.vectors, found.spreads, current_rules(), "none")
    return effects(rows, own, before, after)


def _period(snapshot: Snapshot, label: str) -> Period:
    if label:
        return Period.of(label)
    days = [dt.date.fromisoformat(segment.day) for segment in snapshot.manifest.segments]
    if not days:
        fail(f"{snapshot.folder} has no calls yet")
    # a span may start on the day after its trace's first
    return Period("all", min(days), max(days) + dt.timedelta(days=2))


def _edition_of(snapshot: Snapshot, found: Aggregates) -> Edition:
    labels = sorted(found.facts.editions)
    if not labels:
        fail(f"{snapshot.folder} has no calls in the period; `wattspan lake status` says what it has")
    if len(labels) > 1 or len(found.facts.kinds) > 1:
        fail(
            f"the period holds figures of several kinds ({', '.join(labels)}); choose a period of one with "
            "--period"
        )
    return Edition.load(labels[0].partition(" ")[0])


def as_dicts(effect: Sequence[Effect]) -> list[dict[str, Any]]:
    """Plain values; numbers are texts, as in a disclosure."""
    return [
        {
            "feature": one.feature,
            "model": one.model,
            "old": _plain(one.old),
            "new": _plain(one.new),
            "percent": format(one.percent, ".2f"),
            "as_declared_kg": written(one.as_declared_kg),
        }
        for one in effect
    ]


def _plain(side: Under) -> dict[str, str]:
    return {
        "energy_kwh": written(side.energy_kwh),
        "co2e_kg": written(side.band.central),
        "co2e_kg_low95": written(side.band.low),
        "co2e_kg_high95": written(side.band.high),
    }


def print_references(found: Sequence[Reference], most: int | None) -> None:
    """A call of each model under both, the largest change first."""
    if not found:
        return
    table = Table(
        f"a call of {INPUT_TOKENS:,} + {OUTPUT_TOKENS:,} tokens: {len(found)} models differ",
        *("old, Wh", "new, Wh", "%", "old, g", "new, g", "%"),
    )
    ranked = sorted(found, key=lambda one: -abs(one.new_wh / one.old_wh - 1))
    for one in ranked[:most]:
        table.add_row(
            escape(one.model),
            *(f"{one.old_wh:.3g}", f"{one.new_wh:.3g}", f"{(one.new_wh / one.old_wh - 1) * 100:+.1f}"),
            *(f"{one.old_g:.3g}", f"{one.new_g:.3g}", f"{(one.new_g / one.old_g - 1) * 100:+.1f}"),
        )
    console.print(table)


def print_effect(effect: Sequence[Effect], old: str, new: str) -> None:
    """Energy and carbon of the lake by feature and model."""
    table = Table(
        *("feature", "model", f"kWh, {old}", f"kWh, {new}", f"kgCO2e, {old}", f"kgCO2e, {new}", "%"),
    )
    for one in effect:
        names = (one.feature or "(no feature)", one.model) if one.model else ("all", "")
        table.add_row(
            *map(escape, names),
            *(shown(side.energy_kwh) for side in (one.old, one.new)),
            *(
                f"{shown(side.band.central)} ({shown(side.band.low)}–{shown(side.band.high)})"
                for side in (one.old, one.new)
            ),
            f"{one.percent:+.1f}",
            style="bold" if not one.model else "",
        )
    console.print(table)
    whole = effect[0]
    share = whole.as_declared_kg / whole.new.band.central * 100 if whole.new.band.central else 0
    console.print(
        f"use and hardware, 95 % intervals; calls without usage are left out; {share:.1f} % of it is as the "
        "lake has it: metered, reported or declared, which no edition decides",
        style="dim",
        markup=False,
        soft_wrap=True,
    )
