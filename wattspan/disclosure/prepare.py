"""What goes into one disclosure: a feature's rows from the aggregates, its subject, the change it brings."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

import wattspan
from wattspan.disclosure import canonical
from wattspan.disclosure.aggregate import Aggregates
from wattspan.disclosure.book import Book, Published
from wattspan.disclosure.comparison import Crossing, Previous
from wattspan.disclosure.contracts import Contract
from wattspan.disclosure.figure import GapRule, Sealed
from wattspan.disclosure.folder import STATEMENT, Content, read_content, read_files
from wattspan.disclosure.policy import change_class, is_same, reason_of
from wattspan.disclosure.restating import Methodology, Restater
from wattspan.disclosure.rules import current_rules
from wattspan.disclosure.subject import Change, ChangeClass, Feature, Issuer, Method, Period, Subject
from wattspan.disclosure.tables import LICENCES
from wattspan.methodology import Edition


def sealed_of(
    aggregates: Aggregates, feature: str, gap_rule: GapRule, contracts: Sequence[Contract] = ()
) -> Sealed:
    """The rows of one feature and what they name."""
    cells = aggregates.by_feature.get(feature, ())
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
    book: Book, issuer: Issuer, feature: Feature, period: Period, method: Method, sealed: Sealed
) -> tuple[Subject, Published | None]:
    """The subject of the next edition of a feature's period, and the disclosure that it follows."""
    previous = previous_of(book, issuer, feature, period)
    number = book.next_edition(issuer.domain, period.label, feature.slug)
    change = Change("first")
    if previous is not None:
        old = content_of(book, previous)
        kind = change_class(old.subject.method, old.sealed, method, sealed)
        change = _change(book, previous, kind, reason_of(kind, old.subject.method, method))
    return Subject(issuer, feature, period, number, method, change), previous


def replacing(subject: Subject, book: Book, old: Published, kind: ChangeClass, reason: str) -> Subject:
    """The subject as one that takes the place of `old`."""
    return replace(subject, change=_change(book, old, kind, reason))


def content_of(book: Book, published: Published) -> Content:
    """What a published disclosure was reckoned from. Raises FolderError, CellsError."""
    return read_content(read_files(book.folder(published.id)))[0]


def compared_with(
    old: Content, sealed: Sealed, method: Method, methodology_of: Callable[[Method], Methodology]
) -> Previous:
    """The figure before, ready to be compared with rows that `method` made.

    `methodology_of`: the edition of a method with what the user declared; asked where the two differ.
    """
    crossing = None
    if not is_same(old.subject.method, method):
        before, after = methodology_of(old.subject.method), methodology_of(method)
        crossing = Crossing(
            forward=Restater(before, after).restatement(old.sealed, sealed.rules, sealed.gap_rule),
            backward=Restater(after, before).restatement(sealed, old.sealed.rules, old.sealed.gap_rule),
        )
    return Previous(old.subject, old.sealed, crossing)


def per_1000_of(book: Book, published: Published) -> Decimal:
    """The headline of a published disclosure, kgCO2e per 1,000 inferences."""
    content = canonical.read((book.folder(published.id) / STATEMENT).read_bytes(), STATEMENT)
    return Decimal(content["columns"]["ghg_location"]["exact"])


def _change(book: Book, previous: Published, kind: ChangeClass, reason: str) -> Change:
    published = previous.entry.recorded_at[:10]
    return Change(kind, previous.id, per_1000_of(book, previous), published, reason)
