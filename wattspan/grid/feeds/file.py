"""A file of the user's own as a feed: CSV or Parquet with zone, time and value, its kind declared."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import importlib
import io
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wattspan.grid.feeds.errors import FeedFileError, FeedNoDataError, FeedRequestError
from wattspan.grid.feeds.series import G_PER_KWH_FROM_LB_PER_MWH, Points, Series
from wattspan.grid.feeds.times import range_text
from wattspan.grid.intensity import Accounting, FactorT, Kind, Resolution, SignalT
from wattspan.grid.step import SECONDS_OF_STEPS, Step
from wattspan.places import Region

COLUMNS = ("zone", "time", "value")
UNITS = {"g/kWh": 1.0, "kg/MWh": 1.0, "lb/MWh": G_PER_KWH_FROM_LB_PER_MWH}

_QUARTER_S = 900
_TRUE = frozenset({"true", "1", "yes"})
_FALSE = frozenset({"false", "0", "no", ""})


class _Row(NamedTuple):
    line: int
    zone: str
    start: int
    """Start of the period, UTC."""
    value: float | None
    is_estimated: bool


class FileFeed(Generic[SignalT, FactorT]):
    """Reads the file when asked, again whenever its bytes changed; values of one period for all zones.

    CSV has a header with `zone`, `time`, `value` and, if wanted, `estimated` (true or false); an empty value
    is an hour without one. Times are ISO 8601 with their offset; without one, `timezone` must be given.
    Hours of zones half an hour or three quarters off UTC are cut into values of that length.
    """

    def __init__(
        self,
        path: Path,
        *,
        kind: Kind[SignalT, FactorT],
        accounting: Accounting = "mixed",
        period_s: int = 3_600,
        unit: Literal["g/kWh", "kg/MWh", "lb/MWh"] = "g/kWh",
        timezone: str = "",
        time_is: Literal["start", "end"] = "start",
    ) -> None:
        """`timezone`: IANA name for times without an offset; `time_is`: which end of its period a time names.

        Raises FeedFileError for a time zone or period that does not exist.
        """
        self.name = "file"
        self.kind = kind
        self.accounting: Accounting = accounting
        self._path = path
        if period_s not in SECONDS_OF_STEPS:
            what = f"period_s is {period_s}"
            raise FeedFileError(f"file {path}", what, f"allowed: {', '.join(map(str, SECONDS_OF_STEPS))}")
        self._period_s = period_s
        self._step: Step | None = None
        self._per = UNITS[unit]
        self._shift_s = period_s if time_is == "end" else 0
        self._resolution: Resolution = "5-minute" if period_s == 300 else "hour"
        try:
            self._timezone = ZoneInfo(timezone) if timezone else None
        except (ZoneInfoNotFoundError, ValueError) as error:
            what, step = f"timezone {timezone!r} is not known", "use an IANA name such as Europe/Berlin"
            raise FeedFileError(f"file {path}", what, step) from error
        self._digest = ""
        self._zones: dict[str, list[_Row]] = {}

    @property
    def step(self) -> Step:
        """The period, or the part of it by which the file's zones are off UTC. Raises FeedFileError."""
        if self._step is None:
            self._read()
        assert self._step is not None
        return self._step

    def now_unix_s(self) -> int:
        """The time by our clock."""
        return int(dt.datetime.now(dt.UTC).timestamp())

    def zone_of(self, region: Region) -> str:
        """The grid zone of a region; a bare zone by its own name."""
        return region.zone

    def locate(self, region: Region) -> str:
        """As `zone_of`: nothing needs to be asked."""
        return region.zone

    def fetch(self, zone: str, start_unix_s: int, end_unix_s: int) -> Iterator[Series[SignalT, FactorT]]:
        """Values of the file that start in [start, end).

        Raises FeedFileError where the file cannot be read, FeedNoDataError for a zone it does not have.
        """
        self._read()
        asked = range_text(start_unix_s, end_unix_s)
        if zone not in self._zones:
            zones = ", ".join(sorted(self._zones)[:5]) or "no zone"
            what, step = f"{self._path.name} has {zones}, not this zone", "add its rows"
            raise FeedNoDataError(self.name, what, step, zone=zone, asked=asked)
        yield self._series(zone, start_unix_s, end_unix_s)

    def everything(self) -> Iterator[Series[SignalT, FactorT]]:
        """All zones of the file, each whole: to fill a cache before the first call. Raises FeedFileError."""
        self._read()
        for zone, rows in self._zones.items():
            starts = [row.start for row in rows]
            yield self._series(zone, min(starts), max(starts) + self._period_s)

    def forecast(self, zone: str, hours: int) -> Series[SignalT, FactorT]:
        """A file has none: raises FeedRequestError."""
        raise FeedRequestError(self.name, "it has no forecast", "take another feed for forecasts", zone=zone)

    def _series(self, zone: str, start: int, end: int) -> Series[SignalT, FactorT]:
        step_s = self.step.seconds
        points = Points(start, end, step_s)
        for row in self._zones[zone]:
            for moment in range(row.start, row.start + self._period_s, step_s):
                if start <= moment < end:
                    points.add(moment, row.value, estimated=row.is_estimated, per=self._per)
        return points.series(
            zone=zone,
            kind=self.kind,
            accounting=self.accounting,
            resolution=self._resolution,
            fetched_unix_s=self.now_unix_s(),
            source=f"file {self._path.name}",
            vintage=f"sha256 {self._digest}",
        )

    def _read(self) -> None:
        try:
            data = self._path.read_bytes()
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror or error}", "check the path") from error
        digest = hashlib.sha256(data).hexdigest()
        if digest == self._digest:
            return
        raw = self._parquet(data) if self._path.suffix.lower() == ".parquet" else self._csv(data)
        zones: dict[str, list[_Row]] = {}
        seen: set[tuple[str, dt.datetime]] = set()
        for line, zone, time, value, estimated in raw:
            row = self._row(line, zone, time, value, estimated, seen)
            zones.setdefault(row.zone, []).append(row)
        off_s = (row.start % self._period_s for rows in zones.values() for row in rows)
        step = Step(math.gcd(self._period_s, *off_s))
        if self._step not in (None, step):
            raise self._error("now has times off UTC by another part of an hour", "start anew to use it")
        self._zones, self._digest, self._step = zones, digest, step

    def _row(
        self, line: int, zone: Any, time: Any, value: Any, estimated: Any, seen: set[tuple[str, dt.datetime]]
    ) -> _Row:
        if not isinstance(zone, str) or not zone:
            raise self._error(f"line {line}: zone is {zone!r}", "give a zone such as DE or US-CAL-CISO")
        flag = str(estimated).strip().lower() if estimated is not None else ""
        if flag not in _TRUE | _FALSE:
            raise self._error(f"line {line}: estimated is {estimated!r}", "write true or false")
        moment = self._start(line, zone, time, seen)
        start = int(moment.timestamp()) - self._shift_s
        if not self._is_aligned(start, moment):
            what = f"line {line}: {time} is not the {'end' if self._shift_s else 'start'} of a period"
            raise self._error(what, f"a period has {self._period_s} s; set period_s if it is another")
        return _Row(line, zone, start, self._value(line, value), flag in _TRUE)

    def _is_aligned(self, start: int, moment: dt.datetime) -> bool:
        """Periods begin on the clock of UTC, or on that of a zone half an hour or so off it."""
        if start % self._period_s == 0:
            return True
        offset = (moment.astimezone(self._timezone) if self._timezone else moment).utcoffset()
        off_s = int(offset.total_seconds()) if offset else 0
        return start % _QUARTER_S == 0 and (start + off_s) % self._period_s == 0

    def _value(self, line: int, value: Any) -> float | None:
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise self._error(f"line {line}: value is {value!r}", "write a number, or nothing") from None
        return None if math.isnan(number) else number

    def _start(self, line: int, zone: str, time: Any, seen: set[tuple[str, dt.datetime]]) -> dt.datetime:
        try:
            moment = time if isinstance(time, dt.datetime) else dt.datetime.fromisoformat(str(time).strip())
        except ValueError:
            raise self._error(
                f"line {line}: time is {time!r}", "write it as 2026-03-29T01:00Z or with another offset"
            ) from None
        return self._local(line, zone, moment, seen) if moment.tzinfo is None else moment

    def _local(
        self, line: int, zone: str, naive: dt.datetime, seen: set[tuple[str, dt.datetime]]
    ) -> dt.datetime:
        """A time of the wall clock: the skipped hour has no times, the doubled one has each twice."""
        if self._timezone is None:
            step = "write times with their offset, or set timezone"
            raise self._error(f"line {line}: {naive.isoformat()} has no UTC offset", step)
        first = naive.replace(tzinfo=self._timezone)
        second = first.replace(fold=1)
        if first.utcoffset() == second.utcoffset():
            return first
        if first.astimezone(dt.UTC).astimezone(self._timezone).replace(tzinfo=None) != naive:
            what = f"line {line}: {naive.isoformat()} does not exist in {self._timezone.key}: clocks skip it"
            raise self._error(what, "write times with their offset")
        is_again = (zone, naive) in seen
        seen.add((zone, naive))
        return second if is_again else first

    def _csv(self, data: bytes) -> Iterator[tuple[int, Any, Any, Any, Any]]:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self._error(f"is not UTF-8: {error.reason}", "save it as UTF-8") from error
        reader = csv.DictReader(io.StringIO(text, newline=""))
        self._check_columns(reader.fieldnames or ())
        try:
            for row in reader:
                yield reader.line_num, row["zone"], row["time"], row["value"], row.get("estimated")
        except csv.Error as error:
            raise self._error(f"line {reader.line_num}: {error}", "check the file") from error

    def _parquet(self, data: bytes) -> Iterator[tuple[int, Any, Any, Any, Any]]:
        try:
            pyarrow: Any = importlib.import_module("pyarrow")
            parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError:
            step = "install it: pip install pyarrow; or give the values as CSV"
            raise self._error("is Parquet, which needs pyarrow", step) from None
        try:
            table = parquet.read_table(pyarrow.BufferReader(data))
        except (pyarrow.ArrowException, OSError) as error:
            raise self._error(f"is no Parquet file: {str(error)[:80]}", "check the file") from error
        self._check_columns(table.column_names)
        columns = [table[name].to_pylist() for name in COLUMNS]
        has_flag = "estimated" in table.column_names
        flags = table["estimated"].to_pylist() if has_flag else [None] * table.num_rows
        yield from zip(range(1, table.num_rows + 1), *columns, flags, strict=True)

    def _check_columns(self, found: Iterable[str]) -> None:
        names = tuple(found)
        if missing := [name for name in COLUMNS if name not in names]:
            what = f"has no column {missing[0]!r}; found {', '.join(names) or 'nothing'}"
            raise self._error(what, f"columns are {', '.join(COLUMNS)} and, if wanted, estimated")

    def _error(self, what: str, next_step: str) -> FeedFileError:
        return FeedFileError(f"file {self._path}", what, next_step)
