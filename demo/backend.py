"""A tracing back end on loopback: takes what the gateway forwards and keeps it as a file."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from wattspan.otlp.wire import scan

_HOST: Final = "127.0.0.1"


class Backend:
    """Listens from the moment it is made."""

    def __init__(self, target: Path) -> None:
        """`target`: the file that gets every request, one valid OTLP message in all."""
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                backend._take(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._target = target
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((_HOST, 0), Handler)
        self.spans = 0
        """Spans that arrived."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """As a destination's endpoint; bodies must come uncompressed."""
        return f"http://{_HOST}:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _take(self, body: bytes) -> None:
        # OTLP requests laid end to end are one valid request
        with self._lock, self._target.open("ab") as file:
            file.write(body)
            self.spans += scan(body, ()).n
