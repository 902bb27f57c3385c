"""An OTLP/HTTP sink on loopback that keeps the trace requests as they came, and the scrub of their bytes."""

from __future__ import annotations

import gzip
import platform
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

# Paths of the capturing machine, as stack traces and code.* attributes hold them.
_PATH = re.compile(rb"/(?:tmp|root|work|home|opt|usr|var|mnt)(?:/[\w.@+~-]+)+")
# A KeyValue of the resource whose value names the machine: key, value tag, lengths, text.
_HOST = re.compile(rb"((?:host\.name|host\.id|os\.version)\x12.\n(.))", re.DOTALL)


def scrub(data: bytes) -> bytes:
    """Replace this machine's paths and names by others of the same length: the message stays valid."""

    def other_path(match: re.Match[bytes]) -> bytes:
        path = match.group()
        directory, slash, name = path.rpartition(b"/")  # the name stays: a tag byte may follow it closely
        return (b"/srv/app/" + b"x" * len(directory))[: len(directory)] + slash + name

    kernel = platform.release().encode()  # user agents carry it
    data = _PATH.sub(other_path, data).replace(kernel, (b"6.1.0-" + b"0" * len(kernel))[: len(kernel)])
    out = bytearray(data)
    for match in _HOST.finditer(data):
        length = match.group(2)[0]
        out[match.end() : match.end() + length] = (b"app-1-" + b"0" * length)[:length]
    return bytes(out)


class Sink:
    """The sink as a context manager; `data()` is one request: concatenation merges repeated fields."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.json_bodies: list[bytes] = []
        kept = {"bodies": self.bodies, "json_bodies": self.json_bodies}
        handler = type("BodyHandler", (_Handler,), kept)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Sink:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()

    def data(self) -> bytes:
        return scrub(b"".join(self.bodies))

    def json_lines(self) -> bytes:
        return scrub(b"".join(body + b"\n" for body in self.json_bodies))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bodies: ClassVar[list[bytes]]
    json_bodies: ClassVar[list[bytes]]

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        body = self._body()
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path.endswith("/v1/traces"):  # metrics and logs are accepted and dropped
            is_json = self.headers.get("content-type", "").startswith("application/json")
            (self.json_bodies if is_json else self.bodies).append(body)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _body(self) -> bytes:
        if "content-length" in self.headers:
            return self.rfile.read(int(self.headers["content-length"]))
        body = b""  # the JavaScript exporters send chunks
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body
