"""`wattspan top --watch` in a terminal: it stays, looks again, and at Ctrl-C leaves the screen as it was."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path

from benchmarks import lake_spans
from wattspan.estimator import Estimator
from wattspan.lake.features import FeatureRules
from wattspan.lake.seal import Sealer
from wattspan.lake.writer import LakeWriter

WATTSPAN = Path(sys.executable).parent / "wattspan"
SEALER = Sealer(Estimator(), FeatureRules(), 1.0)
ALTERNATE_SCREEN, BACK_AGAIN = "\x1b[?1049h", "\x1b[?1049l"


def add(lake: Path, seed: int) -> None:
    with LakeWriter(lake, SEALER) as writer:
        writer.ingest([lake_spans.rows(100, seed=seed)])
        writer.seal_all()


def read_until(terminal: int, pattern: str, sequence: str = "", within_s: float = 60.0) -> str:
    """What comes to the terminal until it shows `pattern`, and was sent the control `sequence`."""
    shown, until = "", time.monotonic() + within_s
    while sequence not in shown or not re.search(pattern, re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)):
        assert time.monotonic() < until, f"no {pattern} in {shown[-2000:]!r}"
        if select.select([terminal], [], [], 0.2)[0]:
            with contextlib.suppress(OSError):
                shown += os.read(terminal, 65_536).decode(errors="replace")
    return shown


def test_it_stays_looks_again_and_leaves(tmp_path: Path) -> None:
    add(tmp_path, 1)
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    command = [str(WATTSPAN), "top", "--lake", str(tmp_path), "--last", "all", "--watch", "1"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm-256color"}
    ) as process:
        os.close(theirs)
        # 100 spans are 10 traces of 3 calls
        first = read_until(ours, r"30 calls")
        assert ALTERNATE_SCREEN in first
        add(tmp_path, 2)
        read_until(ours, r"60 calls")
        process.send_signal(signal.SIGINT)
        last = read_until(ours, "$", BACK_AGAIN)
        assert process.wait(30) == 0
    os.close(ours)
    assert BACK_AGAIN in last
    assert "Traceback" not in last
