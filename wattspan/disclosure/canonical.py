"""Canonical JSON (RFC 8785): the bytes that are digested and signed. Numbers in it are texts."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import rfc8785


class CanonicalError(ValueError):
    """A sealed JSON file is not canonical, or holds a number that is not a text."""


def written(content: Any) -> bytes:
    """The canonical bytes of `content`. Raises CanonicalError where a float is in it."""
    _refuse_floats(content, "")
    return rfc8785.dumps(content)


def read(data: bytes, name: str) -> Any:
    """Parsed `data`. Raises CanonicalError where it is not the canonical form of what it says."""
    try:
        content = json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CanonicalError(f"{name}: not JSON: {error}") from error
    if written(content) != data:
        raise CanonicalError(f"{name}: not in canonical form (RFC 8785): it was edited or re-written")
    return content


def base64_bytes(text: Any) -> bytes:
    """The bytes that canonical Base64 (RFC 4648) says. Raises ValueError for anything else.

    Four bits behind the last byte may be anything to a decoder: another letter there would be another file.
    """
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError(f"{str(text)[-8:]!r} does not end Base64 in its canonical form")
    return data


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _refuse_floats(content: Any, place: str) -> None:
    if isinstance(content, float):
        raise CanonicalError(f"{place or 'the file'}: {content!r} is a binary float; seal decimals as texts")
    if isinstance(content, dict):
        for key, value in content.items():
            _refuse_floats(value, f"{place}.{key}")
    elif isinstance(content, (list, tuple)):
        for index, value in enumerate(content):
            _refuse_floats(value, f"{place}[{index}]")
