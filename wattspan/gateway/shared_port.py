"""`SharedPort`: a port that several processes listen on; the kernel spreads connections over them."""

from __future__ import annotations

import socket
from typing import Final

_WHAT_TO_DO: Final = "is another gateway running?"


class SharedPort:
    """Holds a port for the life of the supervisor, without listening on it."""

    def __init__(self, host: str, port: int) -> None:
        """Port 0 takes a free one. Raises OSError where the address cannot be had."""
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        self._socket = socket.socket(family, kind, protocol)
        try:
            if port:
                # Alone, so that another gateway that shares the port, too, is not overlooked.
                with socket.socket(family, kind, protocol) as alone:
                    alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    alone.bind(address)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._socket.bind(address)
        except OSError as error:
            self._socket.close()
            raise OSError(f"cannot listen on {host}:{port}: {error.strerror}; {_WHAT_TO_DO}") from error
        self.port = int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Let the port go."""
        self._socket.close()
