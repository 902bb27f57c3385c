"""What goes into one disclosure: a feature's rows from the aggregates, its subject, the change it brings."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import wattspan
from wattspan.disclosure import canonical
from wattspan.disclosure.aggregate import Aggregates
from wattspan.disclosure.book import Book, Published
from wattspan.disclosure.bridge import bridge, products
from wattspan.disclosure.contracts import Contract
from wattspan.disclosure.figure import Figure, GapRule, Sealed, reckon
from wattspan.disclosure.folder import BRIDGE, STATEMENT, read_files, read_sealed
from wattspan.disclosure.rules import current_rules
from wattspan.disclosure.subject import Change, ChangeClass, Feature, Issuer, Method, Period, Subject
from wattspan.methodology import Edition

LICENCES: Final[Mapping[str, str]] = {
    "core": "Apache-2.0, grid tables CC BY 4.0",
    "odbl": "ODbL-1.0",
    "mpl": "MPL-2.0",
}


def sealed_of(
    aggregates: Aggregates, feature: str, gap_rule: GapRule, contracts: Sequence[Contract] = ()
) -> Sealed:
    """The rows of one feature and what they name."""
    cells = tuple(cell for cell in aggregates.cells if cell.feature == feature)
    return Sealed(
        cells=cells,
        requests=tuple(count for count in aggregates.requests if count.feature == feature),
        vectors={name: aggregates.vectors[name] for name in {c.vector for c in cells} if name},
        spreads={name: aggregates.spreads[name] for name in {c.spread for c in cells} if name},
        rules=current_rules(),
        gap_rule=gap_rule,
        contracts=tuple(contracts),
    )


def method_of(edition: Edition, signal: str, factor_type: str, gap_rule: GapRule) -> Method:
    """How figures of an edition are made, with the digest of each of its files."""
    datasets = [
        {"name": path, "version": edition.name, "sha256": digest, "licence": LICENCES[part]}
        for part, content in sorted(edition.manifest["parts"].items())
        if part not in edition.missing_parts
        for path, digest in sorted(content["files"].items())
        if path.endswith((".csv", ".json"))
    ]
    return Method(
        edition=edition.label,
        edition_digest=edition.digest,
        edition_status=edition.status,
        signal=signal,
        factor_type=factor_type,
        gap_rule=gap_rule,
        rules_version=str(current_rules().content["version"]),
        software=f"wattspan {wattspan.__version__}",
        datasets=tuple(datasets),
    )


def environment() -> str:
    """What computes: versions, and nothing that names a machine."""
    return f"python {platform.python_version()}\nwattspan {wattspan.__version__}\n"


def previous_of(book: Book, issuer: Issuer, feature: Feature, period: Period) -> Published | None:
    """The newest active disclosure of a feature for an earlier period."""
    found: list[tuple[str, int, Published]] = []
    for published in book.published():
        domain, label, name = published.id.split("/")
        slug, _, number = name.rpartition("@")
        if (domain, slug, published.status) == (issuer.domain, feature.slug, "active"):
            start = Period.of(label).start
            if start < period.start:
                found.append((start.isoformat(), int(number), published))
    return max(found, key=lambda item: item[:2])[2] if found else None


def subject_of(
    book: Book, issuer: Issuer, feature: Feature, period: Period, method: Method
) -> tuple[Subject, Published | None]:
    """The subject of the next edition of a feature's period, and the disclosure that it follows."""
    previous = previous_of(book, issuer, feature, period)
    number = book.next_edition(issuer.domain, period.label, feature.slug)
    change = Change("first")
    if previous is not None:
        change = _change(book, previous, method)
    return Subject(issuer, feature, period, number, method, change), previous


def replacing(subject: Subject, book: Book, old: Published, kind: ChangeClass, reason: str) -> Subject:
    """The subject as one that takes the place of `old`."""
    return replace(
        subject,
        change=Change(kind, old.id, _per_1000(book, old), old.entry.recorded_at[:10], reason),
    )


def bridge_files(book: Book, previous: Published, sealed: Sealed, subject: Subject) -> dict[str, bytes]:
    """`bridge.json`: from the previous figure to this one, by cause; {} where the methods differ."""
    old_subject, old_sealed, _ = read_sealed(read_files(book.folder(previous.id)))
    if old_subject.method.edition_digest != subject.method.edition_digest:
        return {}
    before, after = (
        reckon(rows, feature)
        for rows, feature in ((old_sealed, old_subject.feature.key), (sealed, subject.feature.key))
    )
    steps = [
        _step("Activity, total of the period", "kgCO2e", (old_sealed, before), (sealed, after), None),
        _step(
            "Activity, per 1,000 inferences",
            "kgCO2e / 1,000",
            (old_sealed, before),
            (sealed, after),
            Decimal(1000),
        ),
    ]
    return {BRIDGE: canonical.written({"from": previous.id, "to": subject.id, "steps": steps})}


def _step(
    name: str,
    unit: str,
    before: tuple[Sealed, Figure],
    after: tuple[Sealed, Figure],
    per_inferences: Decimal | None,
) -> dict[str, Any]:
    sides = [products(*side, same_method=True, per_inferences=per_inferences) for side in (before, after)]
    return {"name": name, "unit": unit, **bridge(*sides).to_json()}


def _change(book: Book, previous: Published, method: Method) -> Change:
    old, _, _ = read_sealed(read_files(book.folder(previous.id)))
    is_same = old.method.edition_digest == method.edition_digest
    kind: ChangeClass = "new-period" if is_same else "method-change"
    reason = "" if is_same else f"methodology {old.method.id} to {method.id}"
    return Change(kind, previous.id, _per_1000(book, previous), previous.entry.recorded_at[:10], reason)


def _per_1000(book: Book, published: Published) -> Decimal:
    content = canonical.read((book.folder(published.id) / STATEMENT).read_bytes(), STATEMENT)
    return Decimal(content["columns"]["ghg_location"]["exact"])
