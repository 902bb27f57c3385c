"""What the commands of disclosures do, apart from the terminal: loaded when one of them runs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from wattspan.config import ConfigError, DisclosureSection, load_config
from wattspan.disclosure import Limits, annex, canonical, refusals, sci
from wattspan.disclosure.aggregate import AggregateError, Aggregates, aggregate
from wattspan.disclosure.book import Book, BookError, Published
from wattspan.disclosure.cells import CellsError
from wattspan.disclosure.comparison import Previous
from wattspan.disclosure.contracts import Contract, ContractError, read_contracts
from wattspan.disclosure.figure import GapRule, NoFigureError, Sealed, reckon
from wattspan.disclosure.folder import STATEMENT, TABLES, Content, FolderError
from wattspan.disclosure.keys import KeyFileError, SigningKey
from wattspan.disclosure.ledger import LedgerError
from wattspan.disclosure.numbers import percent
from wattspan.disclosure.pact.rendering import PactError, written
from wattspan.disclosure.pact.terms import terms_of
from wattspan.disclosure.policy import is_restated
from wattspan.disclosure.prepare import (
    compared_with,
    content_of,
    environment,
    method_of,
    per_1000_of,
    replacing,
    sealed_of,
    subject_of,
)
from wattspan.disclosure.render.document import Customer, Document
from wattspan.disclosure.render.published import document_of
from wattspan.disclosure.reproduce import reckoned_files
from wattspan.disclosure.restating import Methodology
from wattspan.disclosure.subject import ChangeClass, Feature, Issuer, Method, Period, PeriodError
from wattspan.disclosure.support import Column
from wattspan.disclosure.support_lake import supported_by_lake
from wattspan.disclosure.tables import FactorTables
from wattspan.lake.disk import LakeError
from wattspan.lake.reader import open_snapshot
from wattspan.methodology import Edition, EditionError, editions

FAULTS: Final = (
    AggregateError,
    BookError,
    CellsError,
    ConfigError,
    ContractError,
    EditionError,
    FolderError,
    KeyFileError,
    LakeError,
    LedgerError,
    NoFigureError,
    PactError,
    PeriodError,
    canonical.CanonicalError,
)
"""What a user can cause and mend: told, not traced."""


class DeskError(ValueError):
    """Something asked of the desk cannot be done; the message says why and what to do."""


class Desk:
    """The disclosures of one configuration."""

    def __init__(self, config: Path | None, book: Path | None) -> None:
        """Raises ConfigError."""
        self.settings = load_config(config)
        self._where = config or "no configuration file"
        folder = self.settings.disclosure.folder if self.settings.disclosure else Path("disclosures")
        self.book = Book(book or folder)

    @property
    def section(self) -> DisclosureSection:
        """The section of whoever publishes. Raises ConfigError where there is none."""
        if self.settings.disclosure is None:
            raise ConfigError(
                f"{self._where}: publishing needs the section disclosure: with issuer: domain and name"
            )
        return self.settings.disclosure

    def key(self) -> SigningKey:
        """The configured signing key. Raises KeyFileError."""
        return SigningKey.load(self.section.key)

    def aggregates(self, lake: Path, period: Period) -> Aggregates:
        """The daily rows of a period. Raises LakeError, AggregateError."""
        status = {edition.label: edition.status for edition in map(Edition.load, editions())}
        return aggregate(open_snapshot(lake), period, status, now(), self._gap_rule())

    def period(self, label: str) -> Period:
        """Raises PeriodError."""
        return Period.of(label)

    def reasons(self, found: Aggregates) -> list[str]:
        """Why nothing of these rows may be disclosed; [] where it may."""
        without = [f"no-carbon: energy of the period has no carbon figure: {why}" for why in found.reasons]
        return [*map(str, refusals(found.facts, self._limits())), *without]

    def preview(self, lake: Path, label: str, features: list[str]) -> list[dict[str, Any]]:
        """The statements that publishing would seal; nothing is published. Raises NotAllowedError."""
        period = Period.of(label)
        found = self._allowed(lake, period)
        method = self._method(found)
        rule = self._gap_rule()
        made = []
        for name in features or found.features:
            sealed = sealed_of(found, name, rule, self._contracts() if self.settings.disclosure else ())
            subject, published = subject_of(
                self.book, self._issuer(), self._feature(name), period, method, sealed
            )
            previous = self._previous(published, sealed, method)
            made.append(json.loads(reckoned_files(Content(subject, sealed, previous))[STATEMENT]))
        return made

    def supported(self, lake: Path, label: str, features: list[str]) -> dict[str, list[Column]]:
        """For each feature, what the lake supports of the 23 columns, and what is missing."""
        found = self.aggregates(lake, Period.of(label))
        refused = refusals(found.facts, self._limits())
        has_issuer = self.settings.disclosure is not None
        return {
            name: supported_by_lake(found, name, self._gap_rule(), refused, has_issuer=has_issuer)
            for name in features or found.features
        }

    def publish(self, lake: Path, label: str, features: list[str]) -> list[Document]:
        """Publish the first edition of each feature of a period; of `features`, or of all not published yet.

        The second goes on where a full disk or a crash ended a publisher of many.
        """
        period, key = Period.of(label), self.key()
        found = self._allowed(lake, period)
        plain, tables = self._method(found), FactorTables(self._edition(found))
        made: list[Document] = []
        there = ""
        for name in features or found.features:
            sealed = sealed_of(found, name, self.section.gap_rule, self._contracts())
            method = self._with_annex(plain, sealed, lake, period)
            subject, before = subject_of(
                self.book, self._issuer(), self._feature(name), period, method, sealed
            )
            if subject.edition_number > 1:
                there = (
                    f"{subject.feature.slug} is published for {period.label} already; a better figure "
                    "supersedes it (`wattspan disclosure supersede`), a wrong one is restated"
                )
                if features:
                    raise DeskError(there)
                continue
            published = self.book.publish(
                subject,
                sealed,
                key,
                now(),
                environment=environment(),
                previous=self._previous(before, sealed, method),
                extra={TABLES: tables.of(sealed)},
            )
            made.append(self.document(published))
        if not made:
            raise DeskError(
                there or "no feature has a completed inference in the period: map spans to features"
            )
        return made

    def supersede(self, disclosure_id: str, lake: Path, reason: str) -> Document:
        """Publish a better estimate of a disclosure's period beside it, which stays quotable."""
        old = self.book.get(disclosure_id)
        return self._replaced(old, "estimate-revision", reason, *self._anew(old, lake))

    def restate(
        self, disclosure_id: str, lake: Path, reason: str, *, anyway: bool = False
    ) -> Document | None:
        """Publish the right figure in the place of a wrong one; where the error is small, note it (None).

        The size of an error is told by the methodology of the wrong figure.
        """
        old = self.book.get(disclosure_id)
        sealed, method, key = self._anew(old, lake)
        previous = self._previous(old, sealed, method)
        crossing = previous.crossing if previous else None
        rows = crossing.backward.apply(sealed) if crossing else sealed
        corrected, stated = reckon(rows, key).co2e_per_1000_kg, per_1000_of(self.book, old)
        if anyway or is_restated(stated, corrected, [note.corrected_kg_per_1000 for note in old.notes]):
            return self._replaced(old, "error-correction", reason, sealed, method, key)
        change = percent(corrected / stated - 1)
        self.book.note(old.id, corrected, change, reason, self.key(), now())
        return None

    def _anew(self, old: Published, lake: Path) -> tuple[Sealed, Method, str]:
        """The rows of a published disclosure's period and feature as a lake has them now; its key."""
        _, label, name = old.id.split("/")
        found, slug = self._allowed(lake, Period.of(label)), name.rpartition("@")[0]
        keyed = {Feature(key).slug: key for key in found.features}
        if slug not in keyed:
            there = ", ".join(keyed) or "none"
            raise DeskError(f"the lake has no completed inference of {slug} in {label}; there are: {there}")
        sealed = sealed_of(found, keyed[slug], self.section.gap_rule, self._contracts())
        method = self._with_annex(self._method(found), sealed, lake, Period.of(label))
        return sealed, method, keyed[slug]

    def _replaced(
        self, old: Published, kind: ChangeClass, reason: str, sealed: Sealed, method: Method, key: str
    ) -> Document:
        period = Period.of(old.id.split("/")[1])
        subject, _ = subject_of(self.book, self._issuer(), self._feature(key), period, method, sealed)
        published = self.book.publish(
            replacing(subject, self.book, old, kind, reason),
            sealed,
            self.key(),
            now(),
            environment=environment(),
            previous=self._previous(old, sealed, method),
            extra={TABLES: FactorTables(Edition.load(method.edition.partition(" ")[0])).of(sealed)},
            supersedes=old.id,
        )
        return self.document(published)

    def sealed(self, disclosure_id: str) -> Document:
        """A disclosure that is as it was signed, as readers meet it. Raises BookError, LedgerError."""
        published = self.book.get(disclosure_id)
        self.book.must_be_whole(published.id)
        return self.document(published)

    def figures(self, published: Published) -> tuple[Mapping[str, Any] | None, str]:
        """The columns of a disclosure; (None, why) where its folder is not here or not as recorded."""
        if self.book.has_its_statement(published):
            return self.document(published).columns, ""
        return None, "changed" if self.book.folder(published.id).exists() else "not here"

    def document(self, published: Published) -> Document:
        """A published disclosure as readers meet it. Raises FolderError."""
        return document_of(self.book, published)

    def for_customer(self, document: Document, name: str, inferences: int) -> Document:
        """With a customer's share. Raises DeskError where it has more inferences than there were."""
        completed = Decimal(document.columns["volume"]["completed_inferences"])
        if inferences > completed:
            raise DeskError(
                f"{name} cannot have {inferences:,} inferences: all customers together have "
                f"{completed:,.0f} in {document.columns['reference_period']['label']}"
            )
        return replace(document, customer=Customer(name, inferences))

    def with_sci(self, document: Document) -> Document:
        """With its SCI report; tokens come from the sealed rows. Raises FolderError, CellsError."""
        sealed = content_of(self.book, self.book.get(document.id)).sealed
        tokens = sci.tokens_per_inference(sealed.cells, sealed.requests)
        return replace(document, sci=sci.report(document.columns, tokens))

    def pact(self, published: Published) -> bytes:
        """A disclosure's footprint as a file. Raises FolderError, CellsError, PactError."""
        return written(self.book, published, terms_of(self.settings.disclosure))

    def _limits(self) -> Limits:
        section = self.settings.disclosure
        return Limits(section.least_coverage, section.most_unmapped) if section else Limits()

    def _gap_rule(self) -> GapRule:
        return self.settings.disclosure.gap_rule if self.settings.disclosure else "mean_of_model"

    def _allowed(self, lake: Path, period: Period) -> Aggregates:
        found = self.aggregates(lake, period)
        if why := self.reasons(found):
            raise NotAllowedError(why)
        return found

    def _method(self, found: Aggregates) -> Method:
        (kind,) = found.facts.kinds
        return method_of(self._edition(found), kind.signal, kind.factor_type, self._gap_rule())

    def _with_annex(self, method: Method, sealed: Sealed, lake: Path, period: Period) -> Method:
        """The method, with the digest of the private annex where rows rest on values of a feed."""
        if not annex.is_needed(sealed.cells):
            return method
        series = annex.series(open_snapshot(lake), period)
        kept = annex.keep(self.section.annex, series, annex.sources_of(sealed.cells))
        return replace(method, datasets=(*method.datasets, kept))

    def _edition(self, found: Aggregates) -> Edition:
        """The edition that made the rows, whatever the configuration would estimate with."""
        (label,) = found.facts.editions
        edition = Edition.load(label.partition(" ")[0])
        if found.edition_digests != {edition.digest}:
            made = ", ".join(digest[:12] for digest in sorted(found.edition_digests))
            raise DeskError(
                f"the rows were made by edition {label} ({made}); installed is {edition.label} "
                f"({edition.digest[:12]}): reinstall wattspan with all its parts, or estimate the lake anew"
            )
        return edition

    def _previous(self, published: Published | None, sealed: Sealed, method: Method) -> Previous | None:
        if published is None:
            return None
        return compared_with(content_of(self.book, published), sealed, method, self._methodology)

    def _methodology(self, method: Method) -> Methodology:
        edition = Edition.load(method.edition.partition(" ")[0])
        if edition.digest != method.edition_digest:
            raise DeskError(
                f"edition {method.edition} (sha256 {method.edition_digest[:12]}) is needed to show a period "
                f"under both methodologies; installed is {edition.label} ({edition.digest[:12]}): reinstall "
                "wattspan with all its parts"
            )
        deployments = [section.deployment() for section in self.settings.deployments]
        return Methodology(edition, method.factor_type, deployments, self.settings.regions)

    def _issuer(self) -> Issuer:
        if self.settings.disclosure is None:
            return Issuer("no-issuer.invalid", "no issuer configured")
        return Issuer(self.section.issuer.domain, self.section.issuer.name)

    def _feature(self, key: str) -> Feature:
        section = self.settings.disclosure
        known = section.features.get(key) if section else None
        return Feature(key, known.name, known.sku, known.description) if known else Feature(key)

    def _contracts(self) -> tuple[Contract, ...]:
        path = self.section.contracts
        if path is None:
            return ()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ContractError(f"{path} cannot be read: {error}") from error
        return read_contracts(text, str(path))


class NotAllowedError(ValueError):
    """The gate refuses; `reasons` says why, a line each."""

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = reasons
        super().__init__("\n".join(reasons))


def now() -> dt.datetime:
    """The time, UTC."""
    return dt.datetime.now(dt.UTC)
