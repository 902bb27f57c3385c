"""Messages of the AWS event stream encoding, as Bedrock's streaming calls send them."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

STRING = 7


def encode_event(kind: str, payload: dict[str, Any], is_bytes: bool = False) -> bytes:
    """One message: lengths, checksum of the lengths, headers, payload, checksum of all."""
    if is_bytes:  # invoke-with-response-stream wraps the model's own event in base64
        payload = {"bytes": base64.b64encode(json.dumps(payload).encode()).decode()}
    body = json.dumps(payload).encode()
    headers = b"".join(
        struct.pack("!B", len(key)) + key.encode() + struct.pack("!BH", STRING, len(value)) + value.encode()
        for key, value in {
            ":event-type": kind,
            ":content-type": "application/json",
            ":message-type": "event",
        }.items()
    )
    lengths = struct.pack("!II", 12 + len(headers) + len(body) + 4, len(headers))
    message = lengths + struct.pack("!I", zlib.crc32(lengths)) + headers + body
    return message + struct.pack("!I", zlib.crc32(message))
