"""A bar on standard error while much is read; nothing where nobody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from wattspan.cli.console import errors

LONG_BYTES = 8 * 1024 * 1024
"""Less than this is done before a progress bar could be read."""


@contextmanager
def reading_bar(what: str, total_bytes: int | None, quiet: bool) -> Iterator[Callable[[int], None]]:
    """What to call with the bytes read since the last call. `total_bytes`: None where it is not known."""
    if quiet or not errors.is_terminal or (total_bytes is not None and total_bytes < LONG_BYTES):
        yield lambda _: None
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
    ) as progress:
        task = progress.add_task(what, total=total_bytes)
        yield lambda size: progress.advance(task, size)
