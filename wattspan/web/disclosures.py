"""What the pages of disclosures show, as plain values for their templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from wattspan.disclosure import sci
from wattspan.disclosure.answers import CELLS
from wattspan.disclosure.book import Book, Check, Published
from wattspan.disclosure.canonical import CanonicalError
from wattspan.disclosure.coefficients import Vector
from wattspan.disclosure.crosswalk import FORMS, STATUSES, placed
from wattspan.disclosure.evidence import Chain, Sum
from wattspan.disclosure.folder import FolderError
from wattspan.disclosure.numbers import shown, written
from wattspan.disclosure.render.chart import bars, drawing
from wattspan.disclosure.render.published import document_of
from wattspan.estimator.moments import Moments
from wattspan.methodology import Edition, EditionError, editions

SHOWN_SOURCES: Final = 60
SHOWN_ROWS: Final = 400
SHOWN_TEXT: Final = 20_000
"""Characters of a sealed table: the tables of all zones are long, and the folder has them whole."""


def list_page(book: Book) -> dict[str, Any]:
    """All disclosures, newest first; what cannot be read has no figures. Raises LedgerError."""
    known = [(published, _figures(book, published)) for published in reversed(book.published())]
    seq, digest = book.ledger.head()
    return {
        "rows": [
            {
                "address": published.id,
                "id": published.id,
                **figures,
                "status": published.status,
                "is_broken": not book.has_its_statement(published),
                "published": published.entry.recorded_at[:10],
            }
            for published, figures in known
        ],
        "head": f"{seq}:{digest}" if seq else "",
        "folder": str(book.root),
        "active": sum(published.status == "active" for published, _ in known),
    }


def _figures(book: Book, published: Published) -> dict[str, str]:
    try:
        document = document_of(book, published)
    except (FolderError, CanonicalError):
        _, period, feature = published.id.split("/")
        return {"feature": feature, "period": period, "figure": "", "low": "", "high": "", "energy": ""}
    columns = document.columns
    return {
        "feature": document.title,
        "period": columns["reference_period"]["label"],
        "figure": columns["ghg_location"]["value"],
        "low": columns["ghg_low95"]["value"],
        "high": columns["ghg_high95"]["value"],
        "energy": columns["energy_kwh"]["value"],
    }


def show_page(
    book: Book, published: Published, chain: Chain, problems: Sequence[str], checks: Any
) -> dict[str, Any]:
    """One disclosure. `problems`: what is not as it was signed; `checks`: the check that was asked for."""
    document = document_of(book, published)
    columns = document.columns
    prefix = published.id.rpartition("@")[0]
    days = chain.by_day()
    largest = max(day.share for day in days)
    sources = chain.by_source()
    vectors = chain.vectors()
    models = chain.model_sources()
    return {
        "document": document,
        "columns": columns,
        "lines": document.lines(),
        "address": published.id,
        "published": published,
        "citation": document.citation(),
        "others": [
            {"id": p.id, "status": p.status}
            for p in book.published()
            if p.id.rpartition("@")[0] == prefix and p.id != published.id
        ],
        "change": _change(book, columns["change"]),
        "steps": [
            {"name": step["name"], "unit": step["unit"], **drawing(bars(step))}
            for step in (document.bridge["steps"] if document.bridge else [])
        ],
        "sources": [_source(one) for one in sources[:SHOWN_SOURCES]],
        "left_out": max(0, len(sources) - SHOWN_SOURCES),
        "days": [{**_plain(day), "width": f"{100 * float(day.share / largest):.2f}"} for day in days],
        "cell_count": len(chain.sealed.cells),
        "vectors": [
            {"models": _models_of(chain, name), **_coefficients(name, vector)}
            for name, vector in vectors.items()
        ],
        "models": models,
        "tables": [
            {**table._asdict(), "text": table.text[:SHOWN_TEXT], "is_cut": len(table.text) > SHOWN_TEXT}
            for table in chain.tables
        ],
        "comparative": chain.comparative,
        "sums": document.bridge.get("sums", []) if document.bridge else [],
        "edition": columns["methodology"]["edition"],
        "edition_name": columns["methodology"]["edition"].partition(" ")[0],
        "problems": list(problems),
        "checks": checks,
        "sci": sci.lines(sci.report(columns, _tokens(chain))),
        "places": [
            {"target": target, "rows": list(rows)}
            for target, rows in groupby(placed(document), key=lambda one: one.row.target)
        ],
        "cells": CELLS,
        "forms": FORMS,
        "statuses": STATUSES,
    }


def day_page(published: Published, chain: Chain, day: str) -> dict[str, Any]:
    """The sealed rows of one day. Raises KeyError where there is no such day."""
    rows = chain.rows(day)
    if not rows:
        raise KeyError(f"{published.id} has no rows of {day!r}")
    days = [one.key[0] for one in chain.by_day()]
    place = days.index(day)
    counts = [count for count in chain.sealed.requests if count.day == day]
    return {
        "address": published.id,
        "day": day,
        "before": days[place - 1] if place else "",
        "after": days[place + 1] if place + 1 < len(days) else "",
        "title": chain.subject.feature.name or chain.subject.feature.key,
        "rows": [
            {
                **_plain(row),
                **dict(
                    zip(
                        ("model", "region", "basis", "evidence", "grid", "resolution", "vector", "spread"),
                        row.key[:8],
                        strict=True,
                    )
                ),
            }
            for row in rows[:SHOWN_ROWS]
        ],
        "left_out": max(0, len(rows) - SHOWN_ROWS),
        "completed": _count(Decimal(sum(count.completed for count in counts)) / 1_000_000),
        "failed": _count(Decimal(sum(count.failed for count in counts)) / 1_000_000),
    }


def verified(found: list[Check]) -> dict[str, Any]:
    """A run of `verify` for the page and for /api/."""
    return {
        "what": "verify",
        "is_whole": not any(check.problems for check in found),
        "checks": [{"name": check.name, "problems": list(check.problems)} for check in found],
    }


def reproduced(differences: list[str], rows: int) -> dict[str, Any]:
    """A run of `reproduce`, for both."""
    name = f"the 23 columns, reckoned again from {rows:,} sealed daily rows, are the same to the last digit"
    return {
        "what": "reproduce",
        "is_whole": not differences,
        "checks": [{"name": name, "problems": differences}],
    }


def edition_page(name: str) -> dict[str, Any]:
    """The document of one edition. Raises KeyError where it is not installed."""
    if name not in editions():
        raise KeyError(f"edition {name!r} is not installed; there are: {', '.join(editions())}")
    try:
        edition = Edition.load(name)
        return {
            "edition": edition.label,
            "digest": edition.digest,
            "status": edition.status,
            "text": edition.read_text("README.md"),
        }
    except EditionError as error:
        raise KeyError(str(error)) from error


def _change(book: Book, change: Mapping[str, Any]) -> dict[str, Any]:
    known = {p.id for p in book.published()}
    return {**change, "is_linked": change["previous_id"] in known}


def _source(one: Sum) -> dict[str, Any]:
    names = ("model", "provider", "region", "zone", "evidence", "grid", "vector")
    return {
        **_plain(one),
        **dict(zip(names, one.key, strict=True)),
        "percent": format(100 * one.share, ".1f"),
        "bar": f"{100 * float(one.share):.2f}",
    }


def _plain(one: Sum) -> dict[str, Any]:
    intensity = one.g_per_kwh
    return {
        "key": one.key[0],
        "calls": _count(one.calls),
        "input_tokens": _count(one.input_tokens),
        "output_tokens": _count(one.output_tokens),
        "energy_kwh": shown(one.energy_kwh),
        "g_per_kwh": "–" if intensity is None else shown(intensity),
        "use_g": shown(one.use_g),
        "embodied_g": shown(one.embodied_g),
        "co2e_g": shown(one.use_g + one.embodied_g),
        "exact": written(one.use_g + one.embodied_g),
        "is_gap": one.is_gap,
    }


def _tokens(chain: Chain) -> sci.Tokens:
    return sci.tokens_per_inference(chain.sealed.cells, chain.sealed.requests)


def _coefficients(name: str, vector: Vector) -> dict[str, Any]:
    factors = [
        ("host and idle", f"× {_trimmed(vector.server_factor)}"),
        ("PUE", f"× {_trimmed(vector.facility_factor)}"),
        ("hardware manufacture", f"{_trimmed(vector.embodied_g_per_gpu_j)} g / GPU J"),
    ]
    if vector.water_ml_per_it_kwh is not None:
        factors.append(("water", f"{_trimmed(vector.water_ml_per_it_kwh)} mL / kWh of IT energy"))
    joules = zip(Moments._fields, vector.joules, strict=True)
    return {
        "id": name,
        "hardware": vector.hardware,
        "joules": [(moment, _trimmed(value)) for moment, value in joules if value],
        "factors": factors,
    }


def _trimmed(value: Decimal) -> str:
    """All its digits, without the zeros behind them."""
    return format(value.normalize(), "f")


def _models_of(chain: Chain, vector: str) -> list[str]:
    return sorted({p.cell.model or p.cell.basis for p in chain.figure.parts if p.cell.vector == vector})


def _count(value: Decimal) -> str:
    return f"{value:,.0f}"
