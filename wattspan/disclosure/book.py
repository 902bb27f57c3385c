"""`Book`: all disclosures of an issuer, a folder each, and the ledger over them."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from wattspan.disclosure import canonical, envelope
from wattspan.disclosure.comparison import Previous
from wattspan.disclosure.figure import Sealed
from wattspan.disclosure.folder import (
    ENVIRONMENT,
    MANIFEST,
    SIGNATURE,
    STATEMENT,
    Content,
    FolderError,
    input_files,
    manifest_of,
    read_files,
    write_folder,
)
from wattspan.disclosure.keys import PublicKey, SigningKey
from wattspan.disclosure.ledger import FILE, Entry, Ledger, LedgerError
from wattspan.disclosure.numbers import written
from wattspan.disclosure.policy import BECOMES
from wattspan.disclosure.reproduce import differences, reckoned_files
from wattspan.disclosure.subject import Subject

PUBLISHING: Final = ("publish", "supersede", "restate")

_IDS_TOLD: Final = 6
"""Entries that bring a folder with them."""


class BookError(ValueError):
    """Something asked of the book cannot be done; the message says what is there and what to do."""


@dataclass(frozen=True, slots=True)
class Note:
    """An error in a published figure that is too small to restate it."""

    corrected_kg_per_1000: Decimal
    """What the figure would be, with those noted before."""
    change_percent: str
    reason: str
    recorded_at: str


@dataclass(frozen=True, slots=True)
class Published:
    """One disclosure in the ledger."""

    id: str
    manifest_sha256: str
    entry: Entry
    status: str
    """active | superseded | withdrawn."""
    reason: str
    """Why it is not active; "" where it is."""
    replaced_by: str
    """Id of the one that took its place; "" for none."""
    notes: tuple[Note, ...] = ()
    """Errors in it that were found and are too small to restate it, oldest first."""


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    """What has to be so."""
    problems: tuple[str, ...] = ()
    """What is wrong, a line each; () where it is so."""


class Book:
    """The disclosures under a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ledger = Ledger(root / FILE)

    def published(self, as_of: dt.datetime | None = None) -> list[Published]:
        """All disclosures, oldest first, with what was known at `as_of` (with a zone; None: now).

        Raises LedgerError where the ledger is not whole.
        """
        found: dict[str, Published] = {}
        until = None if as_of is None else as_of.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for entry in self.ledger.entries():
            if until is not None and entry.recorded_at > until:
                break
            content = entry.content
            if entry.type in ("supersede", "restate", "withdraw"):
                old = found[content["supersedes"]]
                status = "superseded" if entry.type == "supersede" else "withdrawn"
                found[old.id] = replace(
                    old, status=status, reason=content["reason"], replaced_by=str(content.get("id", ""))
                )
            if entry.type == "note":
                about = found[content["about"]]
                found[about.id] = replace(about, notes=(*about.notes, _note(entry)))
            if entry.type in PUBLISHING:
                found[content["id"]] = Published(content["id"], content["manifest"], entry, "active", "", "")
        return list(found.values())

    def get(self, disclosure_id: str, as_of: dt.datetime | None = None) -> Published:
        """One disclosure. Raises BookError where it is not in the ledger; a unique ending will do."""
        known = self.published(as_of)
        found = [p for p in known if p.id == disclosure_id] or [
            p for p in known if p.id.endswith(f"/{disclosure_id}")
        ]
        if len(found) != 1:
            what = "names several" if found else f"is not in the ledger of {self.root}"
            raise BookError(f"{disclosure_id!r} {what}; there are: {_named(found or known, disclosure_id)}")
        return found[0]

    def folder(self, disclosure_id: str) -> Path:
        """Where a disclosure's files are: period / feature@edition under the root."""
        parts = disclosure_id.split("/")
        if len(parts) != 3 or any(part in ("", ".", "..") or part.startswith(".") for part in parts):
            raise BookError(f"{disclosure_id!r} is not an id: issuer / period / feature @ edition")
        return self.root / parts[1] / parts[2]

    def next_edition(self, issuer: str, period: str, feature_slug: str) -> int:
        """The number of the next edition of a feature's period: never one that was used."""
        prefix = f"{issuer}/{period}/{feature_slug}@"
        return 1 + max(
            (int(p.id.removeprefix(prefix)) for p in self.published() if p.id.startswith(prefix)), default=0
        )

    def publish(
        self,
        subject: Subject,
        sealed: Sealed,
        key: SigningKey,
        now: dt.datetime,
        *,
        environment: str,
        previous: Previous | None = None,
        extra: Mapping[str, bytes] | None = None,
        supersedes: str = "",
    ) -> Published:
        """Freeze, sign and record a disclosure.

        `previous`: the figure before, which it is compared with; `extra`: further files (factor tables).
        `supersedes`: the id it takes the place of: withdrawn where the change is an error correction, else
        superseded. Raises FolderError, LedgerError, NoFigureError or BookError; then nothing was published.
        """
        with self.ledger.locked():
            self.ledger.mend()
            content = Content(subject, sealed, previous)
            return self._publish(content, key, now, environment, extra or {}, supersedes)

    def _publish(
        self,
        content: Content,
        key: SigningKey,
        now: dt.datetime,
        environment: str,
        extra: Mapping[str, bytes],
        supersedes: str,
    ) -> Published:
        subject = content.subject
        if any(p.id == subject.id for p in self.published()):
            raise BookError(f"{subject.id} is published already: another publisher was faster; run it again")
        old = self.get(supersedes) if supersedes else None
        if old is not None and old.status != "active":
            raise BookError(f"{old.id} is {old.status} already; name the active edition")
        if old is not None and not subject.change.reason.strip():
            raise BookError(f"say why {old.id} is replaced: readers are told")
        files = {
            **input_files(content),
            **reckoned_files(content),
            ENVIRONMENT: environment.encode(),
            **extra,
        }
        manifest = manifest_of(files)
        digest = canonical.sha256(manifest)
        predicate = {"id": subject.id, "class": subject.change.kind}
        folder = self.folder(subject.id)
        self._clear_leftover(folder, subject.id)
        write_folder(
            folder, {**files, MANIFEST: manifest, SIGNATURE: envelope.signed(digest, predicate, key)}
        )
        recorded: dict[str, Any] = {"id": subject.id, "manifest": digest, "class": subject.change.kind}
        kind: Any = "publish"
        if old is not None:
            kind = "restate" if BECOMES[subject.change.kind] == "withdrawn" else "supersede"
            recorded |= {"supersedes": old.id, "reason": subject.change.reason}
        try:
            self.ledger.append(kind, recorded, key, now)
        except LedgerError:
            # Not recorded is not published: the folder must not stand there as if it were.
            _remove(folder)
            raise
        return self.get(subject.id)

    def withdraw(self, disclosure_id: str, reason: str, key: SigningKey, now: dt.datetime) -> Published:
        """Record that a disclosure no longer stands; its folder stays. Raises BookError, LedgerError."""
        old = self.get(disclosure_id)
        if old.status == "withdrawn":
            raise BookError(f"{old.id} is withdrawn already")
        if not reason.strip():
            raise BookError("say why it is withdrawn: holders are told")
        self.ledger.append("withdraw", {"supersedes": old.id, "reason": reason}, key, now)
        return self.get(old.id)

    def note(
        self,
        disclosure_id: str,
        corrected: Decimal,
        change_percent: str,
        reason: str,
        key: SigningKey,
        now: dt.datetime,
    ) -> Published:
        """Record an error too small to restate the figure (`policy.is_restated`), which stands.

        `corrected`: kgCO2e per 1,000 as it is right. Raises BookError, LedgerError.
        """
        old = self.get(disclosure_id)
        if old.status != "active":
            raise BookError(f"{old.id} is {old.status} already; name the active edition")
        if not reason.strip():
            raise BookError(f"say what is wrong with {old.id}: holders are told")
        content = {
            "about": old.id,
            "corrected_kg_per_1000": written(corrected),
            "change_percent": change_percent,
            "reason": reason,
        }
        self.ledger.append("note", content, key, now)
        return self.get(old.id)

    def rotate(self, new: SigningKey, old: SigningKey, now: dt.datetime) -> Entry:
        """Make `new` the key of what follows; `old`, the newest so far, signs that. Raises LedgerError."""
        return self.ledger.append("rotate-key", {"public_key": new.public.text}, old, now)

    def verify(self, disclosure_id: str, head: tuple[int, str] | None = None) -> list[str]:
        """What is wrong with a disclosure, a line each; [] where every byte is as it was signed.

        `head`: number and digest of a ledger line that was handed out: the ledger must still have it.
        """
        return [problem for check in self.checks(disclosure_id, head) for problem in check.problems]

    def checks(self, disclosure_id: str, head: tuple[int, str] | None = None) -> list[Check]:
        """What `verify` looks at, one by one; what cannot be looked at any more is left out."""
        try:
            entries = self.ledger.entries()
        except LedgerError as error:
            return [Check("the ledger is whole", (str(error),))]
        made = [Check(f"the ledger is whole: {len(entries)} lines, each signed, each holds the one before")]
        if head is not None:
            made.append(Check(f"the ledger has line {head[0]} as handed out", _head_problems(entries, head)))
        try:
            published = self.get(disclosure_id)
            files = read_files(self.folder(published.id))
        except (BookError, FolderError) as error:
            return [*made, Check("the disclosure is there", (str(error),))]
        sealed = len(files.keys() - {MANIFEST, SIGNATURE})
        made.append(Check(f"{sealed} files are as the manifest says, and no others", _file_problems(files)))
        return [*made, *self._seal_checks(published, files)]

    def must_be_whole(self, disclosure_id: str) -> None:
        """Raise BookError where `verify` finds a fault: nothing is to be quoted from such a folder."""
        if problems := self.verify(disclosure_id):
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise BookError(
                f"{disclosure_id} is not as it was signed: {problems[0]}{more}; nothing of it is handed out: "
                "bring the folder back from a copy"
            )

    def has_its_statement(self, published: Published) -> bool:
        """Whether `disclosure.json` is what its ledger line stands for; nothing else is looked at."""
        folder = self.folder(published.id)
        try:
            manifest, statement = ((folder / name).read_bytes() for name in (MANIFEST, STATEMENT))
            listed = {entry["path"]: entry["sha256"] for entry in json.loads(manifest)["files"]}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return False
        is_named = canonical.sha256(manifest) == published.manifest_sha256
        return is_named and canonical.sha256(statement) == listed.get(STATEMENT)

    def reproduce(self, disclosure_id: str) -> list[str]:
        """What differs when the figures are reckoned again from the sealed inputs; [] where no digit does."""
        return differences(read_files(self.folder(self.get(disclosure_id).id)))

    def _seal_checks(self, published: Published, files: Mapping[str, bytes]) -> list[Check]:
        line = published.entry.seq
        digest = canonical.sha256(files.get(MANIFEST, b""))
        is_named = digest == published.manifest_sha256
        named = () if is_named else (f"{MANIFEST}: not the one that ledger line {line} names",)
        return [
            Check(f"the manifest is the one that ledger line {line} names", named),
            Check(
                f"the signature of {published.entry.key} is over this manifest and this id",
                _signature_problems(published, files, self.ledger.public_keys(), digest),
            ),
            Check("the statement is of this id", _statement_problems(published, files)),
        ]

    def _clear_leftover(self, folder: Path, disclosure_id: str) -> None:
        """A folder that no ledger line names is what a crash between the two left behind."""
        if folder.exists() and all(p.id != disclosure_id for p in self.published()):
            _remove(folder)


def _named(known: Sequence[Published], asked: str) -> str:
    """The ids there are, those that have what was asked for first; no more than can be read at a glance."""
    ids = [p.id for p in sorted(known, key=lambda p: asked not in p.id)]
    more = f" and {len(ids) - _IDS_TOLD} more (`wattspan disclosure list`)" if len(ids) > _IDS_TOLD else ""
    return (", ".join(ids[:_IDS_TOLD]) or "none") + more


def _note(entry: Entry) -> Note:
    content = entry.content
    corrected = Decimal(content["corrected_kg_per_1000"])
    return Note(corrected, content["change_percent"], content["reason"], entry.recorded_at)


def _signature_problems(
    published: Published, files: Mapping[str, bytes], keys: Iterable[PublicKey], digest: str
) -> tuple[str, ...]:
    signers = [key for key in keys if key.id == published.entry.key]
    try:
        said, _ = envelope.opened(files.get(SIGNATURE, b""), signers, SIGNATURE)
    except (envelope.EnvelopeError, canonical.CanonicalError) as error:
        return (str(error),)
    found = []
    if envelope.manifest_digest(said) != digest:
        found.append(f"{SIGNATURE}: signs another manifest than the one beside it")
    if said["predicate"].get("id") != published.id:
        found.append(f"{SIGNATURE}: signs {said['predicate'].get('id')!r}, not {published.id!r}")
    return tuple(found)


def _statement_problems(published: Published, files: Mapping[str, bytes]) -> tuple[str, ...]:
    try:
        content = canonical.read(files.get(STATEMENT, b""), STATEMENT)
    except canonical.CanonicalError as error:
        return (str(error),)
    said = content.get("id") if isinstance(content, dict) else None
    if said != published.id:
        return (f"{STATEMENT}: of {said!r}, not of {published.id!r}: a swapped file or folder",)
    return ()


def _head_problems(entries: Sequence[Entry], head: tuple[int, str]) -> tuple[str, ...]:
    seq, digest = head
    if seq < 1:
        return (f"{FILE}: line {seq} was handed out: there is none, and it says nothing",)
    if seq > len(entries):
        return (f"{FILE}: has {len(entries)} lines, and line {seq} was handed out: its tail was cut",)
    if entries[seq - 1].digest != digest:
        return (f"{FILE}, line {seq}: not the line that was handed out: the ledger was written anew",)
    return ()


def _file_problems(files: Mapping[str, bytes]) -> tuple[str, ...]:
    if MANIFEST not in files:
        return (f"{MANIFEST} is missing",)
    try:
        content = canonical.read(files[MANIFEST], MANIFEST)
        listed = {str(entry["path"]): str(entry["sha256"]) for entry in content["files"]}
    except canonical.CanonicalError as error:
        return (str(error),)
    except (KeyError, TypeError) as error:
        return (f"{MANIFEST}: not a manifest: {type(error).__name__} {error}",)
    problems = [f"{path} is missing" for path in sorted(listed.keys() - files.keys())]
    extra = files.keys() - listed.keys() - {MANIFEST, SIGNATURE}
    problems += [f"{path} is not in the manifest" for path in sorted(extra)]
    for path in sorted(listed.keys() & files.keys()):
        if canonical.sha256(files[path]) != listed[path]:
            problems.append(f"{path} was changed: its SHA-256 is not the manifest's")
    return tuple(problems)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
