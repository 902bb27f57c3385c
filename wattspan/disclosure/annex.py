"""The private annex: the hourly values of a grid feed behind a disclosure, kept by the issuer.

Most feeds' licences forbid passing their series on. A folder holds sums weighted by them; the series
themselves stay in a file named by its digest, and the digest is among the data sets of column 20, so that an
auditor who may see the file knows that it is the one.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from wattspan.disclosure import canonical
from wattspan.disclosure.aggregate import unix_ns
from wattspan.disclosure.cells import INTENSITY_UNITS_PER_G, Cell
from wattspan.disclosure.subject import Period
from wattspan.lake.disk import LakeError, publish
from wattspan.lake.reader import Snapshot

OF_FEEDS: Final = frozenset(("hour", "5-minute", "forecast"))
"""Resolutions of intensities that no edition has."""
NAME: Final = "annex/hourly-grid.csv"
"""Name of the data set in column 20."""
COLUMNS: Final = ("zone", "source", "resolution", "starts", "micrograms_per_kwh")
_SERIES: Final = f"""
SELECT DISTINCT zone, grid_source, grid_resolution,
    strftime(make_timestamp(start_unix_ns // 300000000000 * 300000000), '%Y-%m-%dT%H:%MZ'),
    CAST(floor(intensity_g_per_kwh * {INTENSITY_UNITS_PER_G} + 0.5) AS BIGINT)
FROM spans
WHERE start_unix_ns >= ? AND start_unix_ns < ? AND intensity_g_per_kwh IS NOT NULL
    AND grid_resolution IN ({", ".join(f"'{name}'" for name in sorted(OF_FEEDS))})
"""


def is_needed(cells: Iterable[Cell]) -> bool:
    """Whether rows rest on values of a feed."""
    return any(cell.grid_resolution in OF_FEEDS for cell in cells)


def series(snapshot: Snapshot, period: Period) -> bytes:
    """The values that calls of the period met, by zone and the five minutes in which calls began, as CSV."""
    segments = snapshot.segments(period.start, period.end)
    connection = snapshot.connect(segments)
    try:
        rows = connection.execute(_SERIES, [unix_ns(period.start), unix_ns(period.end)]).fetchall()
    finally:
        connection.close()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(sorted(rows))
    return text.getvalue().encode()


def keep(folder: Path, data: bytes, source: str) -> dict[str, Any]:
    """Write the annex durably, for its owner alone, and say of it what column 20 says. Raises LakeError."""
    digest = canonical.sha256(data)
    path = folder / f"{digest}.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            publish(path, data)
            os.chmod(path, 0o600)
    except OSError as error:
        raise LakeError(f"{path} cannot be written: {error.strerror}") from error
    return {
        "name": NAME,
        "version": source,
        "sha256": digest,
        "licence": "the feed's; kept by the issuer, not part of the folder",
    }


def sources_of(cells: Iterable[Cell]) -> str:
    """The feeds that rows rest on."""
    return ", ".join(sorted({cell.grid_source for cell in cells if cell.grid_resolution in OF_FEEDS}))
