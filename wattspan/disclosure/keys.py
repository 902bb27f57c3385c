"""Signing keys: Ed25519, one file a key, readable by its owner alone."""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wattspan.disclosure.canonical import base64_bytes, sha256

PRIVATE_MODE: Final = 0o600


class KeyFileError(OSError):
    """A key file cannot be used: which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with."""

    raw: bytes
    """32 bytes."""

    @property
    def id(self) -> str:
        """ "ed25519:" and the first 16 hexadecimal digits of the SHA-256 of the key."""
        return f"ed25519:{sha256(self.raw)[:16]}"

    @property
    def text(self) -> str:
        """Base64 of the 32 bytes, as the ledger holds it."""
        return base64.b64encode(self.raw).decode()

    @classmethod
    def of_text(cls, text: str) -> PublicKey:
        """Back from `text`. Raises ValueError where it is none."""
        raw = base64_bytes(text)
        if len(raw) != 32:
            raise ValueError(f"a public key has 32 bytes, found {len(raw)}")
        return cls(raw)

    def has_signed(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` over `data` is this key's."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A private key; it never shows itself."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(
            key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        )

    def __repr__(self) -> str:
        return f"SigningKey({self.public.id})"

    def sign(self, data: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(data)

    @classmethod
    def new(cls, path: Path) -> SigningKey:
        """Make a key and write it to `path`, which must not be there. Raises KeyFileError."""
        made = Ed25519PrivateKey.generate()
        data = made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE)
        except FileExistsError:
            raise KeyFileError(
                f"{path} is there already; keys are never overwritten: name another file"
            ) from None
        except OSError as error:
            raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error
        with os.fdopen(file, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        return cls(made)

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Read the key at `path`. Raises KeyFileError where others may read it, or it is no Ed25519 key."""
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            data = path.read_bytes()
        except FileNotFoundError:
            raise KeyFileError(f"{path} is not there; make a key with `wattspan key new`") from None
        except OSError as error:
            raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
        if mode & 0o077:
            raise KeyFileError(f"{path} may be read by others (mode {mode:o}); run `chmod 600 {path}`")
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # The reason could hold parts of the key.
            raise KeyFileError(f"{path} is not a private key in PEM without a password") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path} is not an Ed25519 key; make one with `wattspan key new`")
        return cls(key)
