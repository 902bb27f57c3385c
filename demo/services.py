"""The gateway and the page as a user starts them: processes of their own, configured by a file."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

WATTSPAN: Final = Path(sys.executable).with_name("wattspan")
HOST: Final = "127.0.0.1"
_PATIENCE_S: Final = 60.0


class ServiceError(RuntimeError):
    """A process did not come up; the message has the end of what it said."""


class Service:
    """One running `wattspan` command."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self._log = log
        self._file = log.open("wb")
        self._process = subprocess.Popen(
            [str(WATTSPAN), *arguments], stdout=self._file, stderr=subprocess.STDOUT, start_new_session=True
        )

    def wait_for(self, url: str) -> None:
        """Return once `url` answers 200. Raises ServiceError."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                urllib.request.urlopen(url, timeout=5).close()
                return
            time.sleep(0.1)
        self.stop()
        raise ServiceError(f"{url} did not answer:\n{self._log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """As Ctrl-C and a service manager do: SIGTERM, and time to finish."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._file.close()


def free_ports(n: int) -> list[int]:
    """Ports on loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in sockets:
            each.bind((HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def post(url: str, body: bytes) -> None:
    """Send an OTLP request. Raises urllib.error.URLError where it is refused."""
    request = urllib.request.Request(
        url, data=body, headers={"Content-Type": "application/x-protobuf"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def command(*arguments: str) -> str:
    """Run a command to its end; what it said. Raises ServiceError where it fails."""
    done = subprocess.run([str(WATTSPAN), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(f"wattspan {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout
