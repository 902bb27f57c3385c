"""`LiveSignal`: a feed behind its cache, and the rule for when it fails.

One kind, whatever happens: an hour that is not there gets the coarser, labelled value of the same signal and
factor type, or no figure and a counted reason. The network is never waited for: `wattspan.grid.prefetch`
fills the cache, and the next batch finds what came.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Generic, NamedTuple

import numpy as np

from wattspan.calls import Factor
from wattspan.grid.cache import Cache
from wattspan.grid.feeds.feed import Feed
from wattspan.grid.feeds.series import Flags
from wattspan.grid.hourly import HourlyValues
from wattspan.grid.intensity import (
    Z_90,
    Accounting,
    Codes,
    FactorT,
    Floats,
    Intensity,
    Ints,
    Kind,
    MixedKindsError,
    Resolution,
    Signal,
    SignalT,
    combined_sigma,
    kind_text,
    no_figure,
)
from wattspan.grid.live_spreads import Spreads
from wattspan.grid.pages import CARRIED_YEARS, CHUNK_ROWS, Found, Label, Pages
from wattspan.grid.step import NS_PER_S
from wattspan.places import Place, Region

_MAX_ZONES = 16
"""A mix of more zones stays coarse: where the call ran is then the larger doubt by far."""
_MAX_WANTED = 2_000_000
"""Hours noted as wanted; past this many more are only counted. Hostile spans may carry any time."""
_MAX_PLACES = 65_536
_MAX_MISSES = 4_096
"""Zones and reasons counted apart."""
_AHEAD_S = 86_400
_YOUNG_S = 2 * 86_400
_FINEST_FIRST: tuple[Resolution, ...] = ("5-minute", "hour", "forecast", "typical-hour", "annual")

NO_ZONE = "the feed has no such zone"
TOO_MANY_ZONES = "the call may have run in too many zones"
SEVERAL_ZONES = "the call ran in one of several zones, and a marginal figure needs to know which"
NOT_THERE_YET = "the hour is not there yet"
NO_TIME = "the call has no time, or one that cannot be"
FEED_FAILED = "the feed failed"
_OWN_REASONS = frozenset({NO_ZONE, TOO_MANY_ZONES, SEVERAL_ZONES, NOT_THERE_YET, NO_TIME})


class Want(NamedTuple):
    """Steps of a zone that calls asked for in vain."""

    zone: str
    steps: frozenset[int]


class _Target(NamedTuple):
    """Where the values of a place are."""

    rows: tuple[int, ...]
    """Rows of its zones in the pages, one a member; empty where the feed cannot serve it."""
    reason: str
    """Why the feed cannot serve it, where that will not change."""
    unlocated: str = ""
    """Name of a member whose zone the feed was not asked for yet."""


class LiveSignal(Generic[SignalT, FactorT]):
    """One feed, one kind. Safe to use from several threads."""

    def __init__(
        self,
        feed: Feed[SignalT, FactorT],
        cache: Cache,
        fallback: Signal[SignalT, FactorT] | None = None,
        *,
        spreads: Spreads | None = None,
        as_of: int | None = None,
    ) -> None:
        """`fallback`: coarser figures of the same kind, such as `Embedded`; None for a marginal signal.

        `as_of`: a position of the cache, to find the very values that an earlier estimate used.
        Raises MixedKindsError where the fallback is of another kind.
        """
        if fallback is not None and fallback.kind != feed.kind:
            raise MixedKindsError(
                f"{feed.name} gives {kind_text(feed.kind)} intensities, the fallback "
                f"{kind_text(fallback.kind)}; a fallback has the same signal and factor type"
            )
        self.feed = feed
        self.cache = cache
        self.fallback = fallback
        self.spreads = spreads or Spreads()
        self.signal_id = cache.signal(feed.name, feed.kind)
        self.misses: Counter[tuple[str, str]] = Counter()
        """Calls that got no value of their hour, by zone (or place) and reason."""
        self.on_wanted: Callable[[], None] = lambda: None
        """Told when calls want steps that are not there."""
        self._lock = threading.RLock()
        self._pages = Pages(cache, self.signal_id, feed.step, as_of)
        self._targets: dict[str, _Target] = {}
        until_unix_s = 2**62 if as_of is None else cache.fetch(as_of).fetched_unix_s
        self._locations = cache.locations(self.signal_id, until_unix_s)
        self._regions: dict[str, Region] = {}
        self._wanted: dict[str, set[int]] = {}
        self._n_wanted = 0
        self._seen: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self._described: dict[tuple[str, Label], Intensity[SignalT, FactorT]] = {}

    @property
    def kind(self) -> Kind[SignalT, FactorT]:
        """The kind of every intensity it gives."""
        return self.feed.kind

    @property
    def position(self) -> int:
        """State of the cache that is read now; `as_of` takes it."""
        return self._pages.position

    def at(self, place: Place, year: int) -> Intensity[SignalT, FactorT]:
        """The coarse figure of a place: the fallback's, else none and the reason."""
        if self.fallback is not None:
            return self.fallback.at(place, year)
        reason = f"{NOT_THERE_YET}, and {kind_text(self.kind)} has no coarser figure"
        return no_figure(self.kind, place.label, "annual", reason, len(place.members))

    def hour_factors(self, zones: Sequence[str], codes: Codes, start_unix_ns: Ints) -> Floats:
        """Factors on the coarse figure (`Signal.hour_factors`)."""
        if self.fallback is not None:
            return self.fallback.hour_factors(zones, codes, start_unix_ns)
        return np.ones(len(codes))

    def hourly(
        self, places: Sequence[Place], codes: Codes | Ints, start_unix_ns: Ints
    ) -> HourlyValues[SignalT, FactorT]:
        """Values of calls at their own time (`HourlySignal.hourly`)."""
        with self._lock:
            targets = [self._target(place) for place in places]
            self._note_seen(targets, start_unix_ns)
            found = self._look(targets, codes, start_unix_ns, self._want)
            return self._values(places, targets, codes, found)

    def newer(
        self, places: Sequence[Place], codes: Codes | Ints, start_unix_ns: Ints, position: int
    ) -> Flags:
        """Calls that would get another value than they got at a position (`HourlySignal.newer`)."""
        with self._lock:
            targets = [self._target(place) for place in places]
            found = self._look(targets, codes, start_unix_ns, lambda rows, found, starts: None)
            then = self.cache.fetch(position).fetched_unix_s if position else 0
            is_placed_since = np.array([self._is_placed_since(place, then) for place in places] or [False])
            newer: Flags = (found.label >= 0) & ((found.fetch > position) | is_placed_since.take(codes))
            return newer

    def changed(self, position: int) -> dict[str, tuple[int, int]]:
        """Times for which something came after a position, by zone as the feed calls it: (start, end)."""
        step = self.feed.step
        holds = 1 + CARRIED_YEARS if step.is_year else 1
        with self._lock:
            self._pages.advance()
            changes = self.cache.changes(self.signal_id, position, self._pages.position)
            return {
                zone: (first, step.start_unix_s(step.number_at(last) + holds))
                for zone, first, last in changes
            }

    def _look(
        self,
        targets: Sequence[_Target],
        codes: Codes | Ints,
        start_unix_ns: Ints,
        want: Callable[[Codes | Ints, Found, Ints], None],
    ) -> Found:
        self._pages.advance()
        single = np.array([t.rows[0] if len(t.rows) == 1 else 0 for t in targets] or [0], dtype=np.int32)
        rows = single.take(codes)
        found = self._pages.look(rows, start_unix_ns)
        want(rows, found, start_unix_ns)
        for i, target in enumerate(targets):
            if len(target.rows) > 1:
                self._mix(target, np.flatnonzero(codes == i), start_unix_ns, found, want)
        return found

    def _is_placed_since(self, place: Place, moment_unix_s: int) -> bool:
        """The feed told a region's zone since: its hours may have been there before, for others."""
        return any(self._locations.get(_name(r), ("", -1))[1] > moment_unix_s for r in place.members)

    def misses_by_reason(self) -> dict[str, int]:
        """Calls that got no value of their hour; whatever the feed itself said is `FEED_FAILED`."""
        with self._lock:
            counts: Counter[str] = Counter()
            for (_, reason), count in self.misses.items():
                counts[reason if reason in _OWN_REASONS else FEED_FAILED] += count
            return dict(counts)

    def wanted(self) -> list[Want]:
        """Steps that calls asked for in vain since the last time, by zone; they are handed over once."""
        with self._lock:
            wants = [Want(zone, frozenset(steps)) for zone, steps in self._wanted.items() if steps]
            self._wanted, self._n_wanted = {}, 0
            return wants

    def zones_seen(self, within_s: float) -> list[str]:
        """Zones of calls that were looked up while they were young, in the last so many seconds."""
        with self._lock:
            since = time.monotonic() - within_s
            return [zone for zone, moment in self._seen.items() if moment >= since]

    def see(self, zones: Iterable[str]) -> None:
        """Treat zones, by the feed's names, as those of ongoing traffic: they are kept up to date."""
        with self._lock:
            self._seen.update(dict.fromkeys(zones, time.monotonic()))

    def lacking(self, wants: Iterable[Want]) -> list[Want]:
        """Of steps once wanted, those that still have no value."""
        with self._lock:
            self._pages.advance()
            found = []
            for want in wants:
                numbers = np.array(sorted(want.steps), dtype=np.int64)
                starts = np.array([self.feed.step.start_unix_s(n) for n in numbers.tolist()], dtype=np.int64)
                rows = np.full(len(starts), self._pages.zone_row(want.zone), dtype=np.int32)
                missing = numbers[self._pages.look(rows, starts * NS_PER_S).label < 0]
                if len(missing):
                    found.append(Want(want.zone, frozenset(missing.tolist())))
            return found

    def to_locate(self, before_unix_s: int) -> list[Region]:
        """Regions seen whose zone the feed was not asked for, or last before a moment."""
        with self._lock:
            return [
                region
                for name, region in self._regions.items()
                if self._locations.get(name, ("", -1))[1] < before_unix_s
            ]

    def locate(self, region: Region, zone: str, now_unix_s: int) -> None:
        """Keep the feed's zone of a region; "" where it has none."""
        with self._lock:
            self.cache.locate(self.signal_id, _name(region), zone, now_unix_s)
            self._locations[_name(region)] = (zone, now_unix_s)
            self._targets.clear()

    def note(self, zone: str, reason: str) -> None:
        """Why hours of a zone ("" for all) are not there; "" when all is well again."""
        with self._lock:
            if reason:
                self._reasons[zone] = reason
            else:
                self._reasons.pop(zone, None)

    def _target(self, place: Place) -> _Target:
        target = self._targets.get(place.label)
        if target is None:
            if len(self._targets) >= _MAX_PLACES:
                self._targets.clear()
            target = self._targets[place.label] = self._find_target(place)
        return target

    def _find_target(self, place: Place) -> _Target:
        zones = [self._zone_of(region) for region in place.members]
        if None in zones:
            return _Target((), "", unlocated=_name(place.members[zones.index(None)]))
        names = [zone for zone in zones if zone]
        if not names or len(names) < len(zones):
            return _Target((), NO_ZONE)
        if len(set(names)) == 1:
            return _Target((self._pages.zone_row(names[0]),), "")
        if self.fallback is None:
            return _Target((), SEVERAL_ZONES)
        if len(set(names)) > _MAX_ZONES:
            return _Target((), TOO_MANY_ZONES)
        return _Target(tuple(self._pages.zone_row(name) for name in names), "")

    def _zone_of(self, region: Region) -> str | None:
        zone = self.feed.zone_of(region)
        if zone is not None:
            return zone
        if _name(region) not in self._regions:
            self._regions[_name(region)] = region
            self.on_wanted()
        located = self._locations.get(_name(region))
        return None if located is None else located[0]

    def _note_seen(self, targets: Sequence[_Target], start_unix_ns: Ints) -> None:
        """Young calls come from traffic that goes on: their zones are worth keeping up to date."""
        if not len(start_unix_ns) or int(start_unix_ns.max()) < (time.time() - _YOUNG_S) * NS_PER_S:
            return
        now = time.monotonic()
        for target in targets:
            for row in target.rows:
                self._seen[self._pages.zone(row)] = now

    def _want(self, zone_rows: Codes | Ints, found: Found, start_unix_ns: Ints) -> None:
        """Note the hours of zones that have no value, and count the calls."""
        if found.label.min(initial=0) >= 0:
            return
        missing = np.flatnonzero((found.label < 0) & (zone_rows > 0))
        if not len(missing):
            return
        # An hour that has not begun cannot be there; the clock of whoever made the span may run ahead.
        horizon_ns = (int(time.time()) + _AHEAD_S) * NS_PER_S
        in_time = (start_unix_ns[missing] > 0) & (start_unix_ns[missing] < horizon_ns)
        self._count(zone_rows[missing[~in_time]], NO_TIME)
        missing = missing[in_time]
        if not len(missing):
            return
        self._count(zone_rows[missing])
        steps = self._pages.steps(start_unix_ns[missing])
        for row, numbers in _distinct(zone_rows[missing], steps):
            if self._n_wanted >= _MAX_WANTED:
                return
            mine = self._wanted.setdefault(self._pages.zone(row), set())
            before = len(mine)
            mine.update(numbers)
            self._n_wanted += len(mine) - before
        self.on_wanted()

    def _count(self, zone_rows: Codes | Ints, reason: str = "") -> None:
        counts = np.bincount(zone_rows) if len(zone_rows) else np.empty(0, dtype=np.int64)
        for row in np.flatnonzero(counts).tolist():
            zone = self._pages.zone(row)
            self._miss(zone, reason or self._reason(zone), int(counts[row]))

    def _miss(self, zone: str, reason: str, count: int) -> None:
        """Count calls; feeds may word each error anew, so past a bound only that they failed is kept."""
        if len(self.misses) >= _MAX_MISSES and (zone, reason) not in self.misses:
            zone, reason = "", reason if reason in _OWN_REASONS else FEED_FAILED
        self.misses[zone, reason] += count

    def _reason(self, zone: str) -> str:
        return self._reasons.get(zone) or self._reasons.get("") or NOT_THERE_YET

    def _mix(
        self,
        target: _Target,
        rows: Ints,
        start_unix_ns: Ints,
        found: Found,
        want: Callable[[Codes | Ints, Found, Ints], None],
    ) -> None:
        """The unweighted mean over the members of a place, at times that every member has."""
        if not len(rows):
            return
        starts = start_unix_ns[rows]
        total, fetch = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int32)
        parts = []
        for zone_row in dict.fromkeys(target.rows):
            zone_rows = np.full(len(rows), zone_row, dtype=np.int64)
            part = self._pages.look(zone_rows, starts)
            want(zone_rows, part, starts)
            total += part.g_per_kwh * target.rows.count(zone_row)
            fetch = np.maximum(fetch, part.fetch)
            parts.append(part.label)
        labels = np.stack(parts)
        is_whole = (labels >= 0).all(axis=0)
        if not is_whole.any():
            return
        sets, inverse = np.unique(labels[:, is_whole], axis=1, return_inverse=True)
        merged = [
            self._pages.intern(_merged([self._pages.labels[code] for code in codes]))
            for codes in sets.T.tolist()
        ]
        whole = rows[is_whole]
        found.g_per_kwh[whole] = total[is_whole] / len(target.rows)
        found.label[whole] = np.array(merged, dtype=np.int32)[inverse.reshape(-1)]
        found.fetch[whole] = fetch[is_whole]

    def _values(
        self, places: Sequence[Place], targets: Sequence[_Target], codes: Codes | Ints, found: Found
    ) -> HourlyValues[SignalT, FactorT]:
        n_labels = len(self._pages.labels) + 1
        # One number for each pair of place and label; label 0 is "no value".
        # They take the labels' room, which is not needed any more: fresh memory is what costs here.
        pairs = found.label if len(places) * n_labels < 2**31 else found.label.astype(np.int64)
        counts = np.zeros(len(places) * n_labels, dtype=np.int64)
        sums = np.zeros(len(counts))
        for begin in range(0, len(codes), CHUNK_ROWS):
            rows = slice(begin, begin + CHUNK_ROWS)
            here = codes[rows] * np.int64(n_labels) + (found.label[rows] + 1)
            counts += np.bincount(here, minlength=len(counts))
            sums += np.bincount(here, weights=found.g_per_kwh[rows], minlength=len(counts))
            pairs[rows] = here
        code_of_pair = np.full(len(counts), -1, dtype=np.int32)
        intensities: list[Intensity[SignalT, FactorT]] = []
        for pair in np.flatnonzero(counts).tolist():
            place_code, label_code = divmod(pair, n_labels)
            place, target = places[place_code], targets[place_code]
            if label_code:
                mean = float(sums[pair] / counts[pair])
                described = self._describe(place, target, self._pages.labels[label_code - 1])
                factor = math.exp(combined_sigma(described.factors)) ** Z_90
                made = replace(described, g_per_kwh=mean, g_low=mean / factor, g_high=mean * factor)
            else:
                reason = target.reason or self._reason(target.unlocated)
                if target.rows:
                    reason = self._reason(self._pages.zone(target.rows[0]))
                else:
                    self._miss(place.label, reason, int(counts[pair]))
                if self.fallback is not None:
                    continue
                made = no_figure(self.kind, place.label, "annual", reason, len(place.members))
            code_of_pair[pair] = len(intensities)
            intensities.append(made)
        for begin in range(0, len(codes), CHUNK_ROWS):
            rows = slice(begin, begin + CHUNK_ROWS)
            found.label[rows] = code_of_pair.take(pairs[rows])
        return HourlyValues(found.g_per_kwh, found.label, tuple(intensities), found.fetch, self.position)

    def _describe(self, place: Place, target: _Target, label: Label) -> Intensity[SignalT, FactorT]:
        """Everything about a value of a place but the value."""
        known = self._described.get((place.label, label))
        if known is not None:
            return known
        if len(self._described) >= _MAX_PLACES:
            self._described.clear()
        zone = place.label if len(target.rows) > 1 else self._pages.zone(target.rows[0])
        factors = self._factors(place, zone, label)
        described = Intensity(
            g_per_kwh=math.nan,
            g_low=math.nan,
            g_high=math.nan,
            g=math.exp(combined_sigma(factors)),
            zone=zone,
            kind=self.kind,
            accounting=label.accounting,
            resolution=label.resolution,
            vintage=label.vintage,
            source=label.source,
            is_estimated=label.is_estimated,
            members=len(place.members),
            covered=len(place.members),
            factors=factors,
        )
        self._described[place.label, label] = described
        return described

    def _factors(self, place: Place, zone: str, label: Label) -> tuple[Factor, ...]:
        coarse: tuple[Factor, ...] = ()
        if self.fallback is not None:
            coarse = self.fallback.at(place, label.vintage + label.carried_years).factors
        factors = [Factor(f"hours of {self.feed.name}:{zone}", self.spreads.revision_ln_g)]
        if self.spreads.method_ln_g:
            factors.append(Factor(f"grid method:{label.source}", self.spreads.method_ln_g))
        # Which member of a mix served the call, and which of two zones a region is in, no hour can say.
        factors += [factor for factor in coarse if factor.key.startswith(("region:", "zone of:"))]
        if label.is_estimated or label.resolution in ("forecast", "annual"):
            own = [factor for factor in coarse if factor.key.startswith(("zone:", "zones:"))]
            factors += own or [Factor(f"zone:{zone}", self.spreads.unmeasured_ln_g)]
        if label.carried_years > 1:
            ln_g = self.spreads.year_of_age_ln_g * math.sqrt(label.carried_years - 1)
            factors.append(Factor(f"age:{zone}", ln_g))
        return tuple(factor for factor in factors if factor.ln_g > 0)


def _distinct(zone_rows: Codes | Ints, steps: Ints) -> list[tuple[int, list[int]]]:
    """The distinct steps of each zone; marked off in a table where that is smaller than sorting."""
    first = int(steps.min())
    many = int(steps.max()) - first + 1
    keys = zone_rows * np.int64(many) + (steps - first)
    if many * (int(zone_rows.max()) + 1) <= 4 * len(keys) + 65_536:
        is_met = np.zeros(many * (int(zone_rows.max()) + 1), dtype=np.bool_)
        is_met[keys] = True
        keys = np.flatnonzero(is_met)
    else:
        keys = np.unique(keys)
    zones, begins = np.unique(keys // many, return_index=True)
    ends = [*begins[1:].tolist(), len(keys)]
    numbers = keys % many + first
    return [
        (row, numbers[begin:end].tolist())
        for row, begin, end in zip(zones.tolist(), begins.tolist(), ends, strict=True)
    ]


def _merged(labels: Sequence[Label]) -> Label:
    """The label of a mean: the coarsest resolution, the oldest vintage, estimated where most members are."""
    accountings: set[Accounting] = {label.accounting for label in labels}
    return Label(
        resolution=max((label.resolution for label in labels), key=_FINEST_FIRST.index),
        accounting=accountings.pop() if len(accountings) == 1 else "mixed",
        source=" + ".join(sorted({label.source for label in labels})),
        vintage=min(label.vintage for label in labels),
        is_estimated=sum(label.is_estimated for label in labels) * 2 >= len(labels),
        carried_years=max(label.carried_years for label in labels),
    )


def _name(region: Region) -> str:
    return f"{region.cloud}/{region.name}"
