"""Logs of the gateway: one line an event, as JSON or as text. What spans say is never in them."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from typing import Literal


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and the worker where there are several."""

    def __init__(self, worker: str | None = None) -> None:
        super().__init__()
        self._worker = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **self._worker,
            "message": record.getMessage(),
        }
        return json.dumps(line, ensure_ascii=False)


def without_content(error: BaseException) -> str:
    """The kind of an error and where it was raised, for logs: its text may quote a span."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f" at {frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else ""
    return f"{type(error).__name__}{place}"


def set_up(log_format: Literal["json", "text"], worker: str | None = None) -> None:
    """Send the logs of this process to standard error; `worker`: its name where there are several."""
    handler = logging.StreamHandler(sys.stderr)
    who = "" if worker is None else f"worker {worker}: "
    text = logging.Formatter(f"%(asctime)s %(levelname)s {who}%(message)s")
    handler.setFormatter(JsonLines(worker) if log_format == "json" else text)
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    # They quote what clients sent.
    for name in ("aiohttp.server", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
