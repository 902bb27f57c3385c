"""The ledger: what was published, superseded, restated, withdrawn, noted, by which key; chained and signed.

One canonical JSON object a line. `prev` is the SHA-256 of the line before (zeros for the first), `sig` the
signature of the line without it. Whoever keeps the newest digest can tell that the tail was cut.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime as dt
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from wattspan.disclosure import canonical
from wattspan.disclosure.keys import PublicKey, SigningKey
from wattspan.lake.disk import sync_folder

EntryType = Literal["open", "publish", "supersede", "restate", "withdraw", "note", "rotate-key"]
TYPES: Final = ("open", "publish", "supersede", "restate", "withdraw", "note", "rotate-key")
NO_DIGEST: Final = "0" * 64
FILE: Final = "ledger.jsonl"


class LedgerError(ValueError):
    """The ledger is not whole, or cannot be written: which line, what is wrong, what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line."""

    seq: int
    type: str
    recorded_at: str
    """UTC, ISO 8601 with Z."""
    content: Mapping[str, Any]
    """What the type asks for: id, manifest, class, supersedes, reason, public_key, ..."""
    key: str
    digest: str
    """SHA-256 of the line: `prev` of the next."""


class Ledger:
    """A ledger file, read whole: it grows by a line a disclosure."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_locked = False
        self._checked_bytes, self._checked_entries = b"", list[Entry]()

    def entries(self) -> list[Entry]:
        """All lines, checked. Raises LedgerError naming the first line that is wrong."""
        entries, torn = self._read()
        if torn:
            raise LedgerError(
                f"{self.path.name}, line {len(entries) + 1}: torn: an append was cut short "
                "and never told as done; the next publish cuts it off"
            )
        return entries

    def public_keys(self) -> list[PublicKey]:
        """The keys that ever could sign, oldest first."""
        return _keys(self.entries())

    def head(self) -> tuple[int, str]:
        """Number and digest of the newest line: what a customer is handed. (0, zeros) for an empty ledger."""
        entries = self.entries()
        return (entries[-1].seq, entries[-1].digest) if entries else (0, NO_DIGEST)

    def append(
        self, kind: EntryType, content: Mapping[str, Any], key: SigningKey, recorded_at: dt.datetime
    ) -> Entry:
        """Add a line, durably. An empty ledger is opened with `key` first.

        Raises LedgerError where the ledger is not whole, `key` is not its newest key, or the disk refuses.
        """
        with self.locked():
            self.mend()
            entries = self.entries()
            if not entries:
                entries.append(self._write([], "open", {"public_key": key.public.text}, key, recorded_at))
            newest = _keys(entries)[-1]
            if newest.id != key.public.id:
                raise LedgerError(
                    f"{self.path.name}: the key is {key.public.id}, the ledger's newest is {newest.id}; "
                    "use that one, or rotate with `wattspan key rotate`"
                )
            return self._write(entries, kind, content, key, recorded_at)

    def _write(
        self,
        entries: Sequence[Entry],
        kind: EntryType,
        content: Mapping[str, Any],
        key: SigningKey,
        recorded_at: dt.datetime,
    ) -> Entry:
        line = {
            **content,
            "seq": len(entries) + 1,
            "prev": entries[-1].digest if entries else NO_DIGEST,
            "type": kind,
            "recorded_at": recorded_at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "key": key.public.id,
        }
        line["sig"] = base64.b64encode(key.sign(canonical.written(line))).decode()
        data = canonical.written(line)
        size = self.path.stat().st_size if self.path.exists() else 0
        try:
            with self.path.open("ab") as file:
                file.write(data + b"\n")
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self.path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self.path, size)
            raise LedgerError(
                f"{self.path.name} cannot be written: {error.strerror}; nothing was added"
            ) from error
        return _entry(line, data)

    def mend(self) -> None:
        """Cut off a last line that was never told as written. Within `locked` only."""
        _, torn = self._read()
        if torn:
            os.truncate(self.path, self.path.stat().st_size - torn)

    def _read(self) -> tuple[list[Entry], int]:
        """The entries, and the bytes of a torn last line (0 for none)."""
        data = self._bytes()
        # A line that was checked and is there byte for byte is not checked again: publishing forty features
        # would otherwise check each signature three hundred times.
        if not data.startswith(self._checked_bytes):
            self._checked_bytes, self._checked_entries = b"", []
        entries, torn = _parsed(data[len(self._checked_bytes) :], self.path.name, self._checked_entries)
        self._checked_bytes, self._checked_entries = data[: len(data) - torn], entries
        return list(entries), torn

    def _bytes(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise LedgerError(
                f"{self.path} cannot be read: {error.strerror}; name the folder of the disclosures"
            ) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other publishers out for the block; within one, `append` takes part in it."""
        if self._is_locked:
            yield
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise LedgerError(f"{self.path.parent} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._is_locked = True
            yield
        finally:
            self._is_locked = False
            os.close(file)


def _parsed(data: bytes, name: str, before: Sequence[Entry]) -> tuple[list[Entry], int]:
    """`before` and the entries that follow it in `data`, and the bytes of a torn last line (0 for none)."""
    whole, _, tail = data.rpartition(b"\n")
    entries = list(before)
    keys = _keys(before)
    for number, line in enumerate(whole.split(b"\n") if whole else [], start=len(before) + 1):
        where = f"{name}, line {number}"
        try:
            content = canonical.read(line, where)
        except canonical.CanonicalError as error:
            raise LedgerError(str(error)) from error
        entry = _checked(content, line, entries, keys, where)
        entries.append(entry)
        if entry.type in ("open", "rotate-key"):
            try:
                keys.append(PublicKey.of_text(str(content["public_key"])))
            except (KeyError, ValueError) as error:
                raise LedgerError(f"{where}: no public key in it: {error}") from error
    return entries, len(tail)


def _checked(
    content: Any, line: bytes, before: Sequence[Entry], keys: Sequence[PublicKey], where: str
) -> Entry:
    if (
        not isinstance(content, dict)
        or not {"seq", "prev", "type", "recorded_at", "key", "sig"} <= content.keys()
    ):
        raise LedgerError(f"{where}: not an entry")
    if content["seq"] != len(before) + 1:
        raise LedgerError(f"{where}: number {content['seq']}: a line was dropped, repeated or moved")
    expected = before[-1].digest if before else NO_DIGEST
    if content["prev"] != expected:
        raise LedgerError(f"{where}: does not follow the line before: one of the two was changed, or moved")
    if content["type"] not in TYPES or (content["type"] == "open") != (not before):
        raise LedgerError(
            f"{where}: type {content['type']!r}; allowed: {', '.join(TYPES)}, open first and once"
        )
    unsigned = {name: value for name, value in content.items() if name != "sig"}
    try:
        signer = PublicKey.of_text(str(content["public_key"])) if content["type"] == "open" else keys[-1]
        signature = canonical.base64_bytes(content["sig"])
    except (KeyError, ValueError, TypeError, binascii.Error) as error:
        raise LedgerError(f"{where}: its key or signature cannot be read: {error}") from error
    if content["key"] != signer.id or not signer.has_signed(signature, canonical.written(unsigned)):
        raise LedgerError(f"{where}: not signed by {signer.id}, the key of the ledger at that line")
    return _entry(content, line)


def _entry(content: Mapping[str, Any], line: bytes) -> Entry:
    rest = {
        name: value
        for name, value in content.items()
        if name not in ("seq", "prev", "type", "recorded_at", "key", "sig")
    }
    return Entry(
        seq=content["seq"],
        type=content["type"],
        recorded_at=content["recorded_at"],
        content=rest,
        key=content["key"],
        digest=canonical.sha256(line),
    )


def _keys(entries: Sequence[Entry]) -> list[PublicKey]:
    return [
        PublicKey.of_text(str(entry.content["public_key"]))
        for entry in entries
        if entry.type in ("open", "rotate-key")
    ]
