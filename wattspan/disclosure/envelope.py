"""The signature of a disclosure: an in-toto Statement v1 over its files, in a DSSE envelope.

in-toto Attestation Framework v1; DSSE v1.0.2 (PAE).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wattspan.disclosure import canonical
from wattspan.disclosure.keys import PublicKey, SigningKey

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:wattspan:disclosure:v1"


class EnvelopeError(ValueError):
    """An envelope is not of the form it must have, or nobody known signed it."""


def signed(manifest_sha256: str, predicate: Mapping[str, Any], key: SigningKey) -> bytes:
    """A canonical envelope that says: `key` stands for the manifest with this digest, and for `predicate`."""
    payload = canonical.written(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": "manifest.json", "digest": {"sha256": manifest_sha256}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": dict(predicate),
        }
    )
    signature = key.sign(_pre_authentication(payload))
    return canonical.written(
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": key.public.id, "sig": base64.b64encode(signature).decode()}],
        }
    )


def opened(data: bytes, keys: Sequence[PublicKey], name: str) -> tuple[dict[str, Any], PublicKey]:
    """The statement in an envelope, and which of `keys` signed it. Raises EnvelopeError."""
    try:
        envelope = canonical.read(data, name)
        payload = canonical.base64_bytes(envelope["payload"])
        (signature,) = envelope["signatures"]
        bits = canonical.base64_bytes(signature["sig"])
        kind, key_id = envelope["payloadType"], signature["keyid"]
    except (canonical.CanonicalError, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise EnvelopeError(f"{name}: not a DSSE envelope with one signature: {error}") from error
    if kind != PAYLOAD_TYPE:
        raise EnvelopeError(f"{name}: payload type {kind!r}; allowed: {PAYLOAD_TYPE}")
    known = {key.id: key for key in keys}
    key = known.get(key_id)
    if key is None:
        raise EnvelopeError(
            f"{name}: signed by {key_id!r}, which is not a key of this ledger ({', '.join(known) or 'none'})"
        )
    if not key.has_signed(bits, _pre_authentication(payload)):
        raise EnvelopeError(f"{name}: the signature is not that of {key_id} over this statement")
    statement: dict[str, Any] = canonical.read(payload, f"{name}, payload")
    if statement.get("_type") != STATEMENT_TYPE or statement.get("predicateType") != PREDICATE_TYPE:
        raise EnvelopeError(f"{name}: not a statement about a disclosure")
    return statement, key


def manifest_digest(statement: Mapping[str, Any]) -> str:
    """The digest of the manifest that a statement is about."""
    (subject,) = statement["subject"]
    return str(subject["digest"]["sha256"])


def _pre_authentication(payload: bytes) -> bytes:
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
