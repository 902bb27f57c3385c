"""`Prefetcher`: asks a feed for what calls wanted, what they will want next, and what was revised since."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from wattspan.grid.feeds.errors import FeedError
from wattspan.grid.feeds.series import Flags
from wattspan.grid.feeds.times import DAY_S, HOUR_S
from wattspan.grid.intensity import Ints, Signal
from wattspan.grid.live import LiveSignal, Want
from wattspan.grid.pages import CARRIED_YEARS

_LOG = logging.getLogger(__name__)

PAUSE_S = 5.0
"""Shortest time between two rounds of the thread: what calls want in it is asked for together."""
_TAIL_S = DAY_S
"""Zones of ongoing traffic are kept up to date over so long."""
_SEEN_S = 2 * DAY_S
_JOINED_GAP_S = DAY_S
"""Ranges closer than this are one request: limits count requests, not hours."""
_ASK_AGAIN_S = 900
"""An hour that the feed did not have is asked for again after this, until it is settled."""
_ASK_AGAIN_FOR_YEARS_S = DAY_S
_YEARS_KEPT_S = 30 * DAY_S
"""Yearly figures are read again after this: their publishers revise several years back."""
_MAX_OWED = 2_000_000
"""Steps remembered as owed; hostile spans may carry any time."""
_BLOCKED_S = 3_600
"""A feed or zone that refused is left alone for so long, unless it said otherwise."""
_LOCATION_KEPT_S = 30 * DAY_S
"""Regions of a feed change; WattTime asks to have them looked up about monthly."""
_REVISED_DAYS = 14
"""Settled hours of so many days back are asked for once more."""


@dataclass(slots=True)
class Round:
    """What a round did."""

    ranges: int = 0
    """Ranges asked for."""
    new: int = 0
    """Values of hours that had none."""
    revised: int = 0
    """Values that differ from those held before."""
    rejected: int = 0
    """Values that cannot be, set aside."""
    set_aside: list[str] = field(default_factory=list)
    """Zone and reason of the first of them in each answer."""
    warnings: list[str] = field(default_factory=list)
    """What the feed warned of."""
    errors: list[FeedError] = field(default_factory=list)

    def add(self, other: Round) -> None:
        """Add what another round did."""
        self.ranges += other.ranges
        self.new += other.new
        self.revised += other.revised
        self.rejected += other.rejected
        self.set_aside += other.set_aside
        self.warnings += other.warnings
        self.errors += other.errors


@dataclass(frozen=True, slots=True)
class Filled:
    """What `Prefetcher.fill` found wanting, and what came of it."""

    wanted: dict[str, set[int]]
    """Steps that calls wanted and the cache did not have, by zone as the feed calls it."""
    lacking: dict[str, set[int]]
    """Of those, the ones that are not there now either."""
    unlocated: list[str]
    """Regions whose zone the feed has not told yet."""
    round: Round
    ranges: int
    """Ranges that were, or would be, asked for."""


class Prefetcher:
    """Fills the cache of one signal, by `round` or from a thread between `start` and `stop`."""

    def __init__(self, signal: LiveSignal, *, interval_s: float = 300.0) -> None:
        """`interval_s`: longest pause between the rounds of the thread."""
        self.signal = signal
        self.interval_s = interval_s
        self.on_range: Callable[[str, int, int], None] = lambda zone, start, end: None
        """Told of each range before it is asked for."""
        self._owed: dict[str, set[int]] = {}
        self._blocked: dict[str, float] = {}
        self.tally: Counter[str] = Counter()
        """Since it was made: ranges asked for; values new, revised and rejected; errors."""
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    def fill(self, look_up: Callable[[], None], *, is_dry: bool = False) -> Filled:
        """Ask for all hours that `look_up` finds wanting, and say which ones came.

        `look_up` looks up every call once (`LiveSignal.hourly`); twice where the feed's zones of some regions
        had to be asked for first. `is_dry`: only say what would be asked for. Errors of the feed are in the
        result.
        """
        wanted: dict[str, set[int]] = {}
        done = Round()
        for _ in range(2):
            look_up()
            wants = self.signal.wanted()
            for want in wants:
                wanted.setdefault(want.zone, set()).update(want.steps)
            self.owe(wants)
            unlocated = self.signal.to_locate(0)
            ranges = sum(map(len, self.ranges_due().values()))
            if is_dry:
                return Filled(wanted, wanted, [f"{r.cloud}/{r.name}" for r in unlocated], done, ranges)
            done.add(self.round())
            if not unlocated:
                break
        left = self.signal.lacking([Want(zone, frozenset(steps)) for zone, steps in wanted.items()])
        names = [f"{region.cloud}/{region.name}" for region in self.signal.to_locate(0)]
        return Filled(wanted, {want.zone: set(want.steps) for want in left}, names, done, done.ranges)

    def ranges_due(self) -> dict[str, list[tuple[int, int]]]:
        """What the next round would ask for, by zone: (start, end) in Unix seconds. Nothing is asked."""
        self.owe(self.signal.wanted())
        now = self.signal.feed.now_unix_s()
        zones = dict.fromkeys([*self._owed, *self.signal.zones_seen(_SEEN_S)])
        due = {zone: self._due(zone, now) for zone in zones if not self._is_blocked(zone, now)}
        return {zone: ranges for zone, ranges in due.items() if ranges}

    def round(self) -> Round:
        """Ask once for everything that is due. Errors of the feed are in the result, never raised."""
        done = Round()
        now = self.signal.feed.now_unix_s()
        self.owe(self.signal.wanted())
        if self._is_blocked("", now):
            return done
        self._locate(done, now)
        for zone in dict.fromkeys([*self._owed, *self.signal.zones_seen(_SEEN_S)]):
            if not self._is_blocked(zone, now) and not self._fetch(zone, done, now):
                break
        counts = ("ranges", "new", "revised", "rejected")
        self.tally.update({name: getattr(done, name) for name in counts}, errors=len(done.errors))
        return done

    def owe(self, wants: Iterable[Want]) -> None:
        """Ask for these too, from the next round on."""
        for want in wants:
            if sum(map(len, self._owed.values())) >= _MAX_OWED:
                break
            self._owed.setdefault(want.zone, set()).update(want.steps)

    def start(self) -> None:
        """Run rounds in a thread of its own until `stop`: as calls want something, and from time to time."""
        self._stopped.clear()
        self.signal.on_wanted = self._woken.set
        self._thread = threading.Thread(target=self._run, name="wattspan-grid-prefetch", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float | None = None) -> None:
        """Stop after the request under way; wait for that so long at most, or as long as it takes."""
        self._stopped.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            self._thread = None

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.round()
            except Exception:
                # A full disk, say. Calls get coarser values meanwhile, and the next round tries again.
                _LOG.exception(
                    "a round of the grid prefetch failed; the next one is in %g s", self.interval_s
                )
            self._stopped.wait(min(PAUSE_S, self.interval_s))
            self._woken.wait(self.interval_s)
            self._woken.clear()

    def _is_blocked(self, zone: str, now: int) -> bool:
        return self._blocked.get(zone, 0.0) > now

    def _locate(self, done: Round, now: int) -> None:
        feed = self.signal.feed
        for region in self.signal.to_locate(now - _LOCATION_KEPT_S):
            try:
                self.signal.locate(region, feed.locate(region), now)
            except FeedError as error:
                self._note(error, f"{region.cloud}/{region.name}", done, now)
                if error.scope == "feed":
                    return

    def _fetch(self, zone: str, done: Round, now: int) -> bool:
        """Ask for what is due of a zone; whether the feed is fit to be asked for the next one."""
        for start, end in self._due(zone, now):
            if self._stopped.is_set():
                return False
            done.ranges += 1
            self.on_range(zone, start, end)
            try:
                for series in self.signal.feed.fetch(zone, start, end):
                    added = self.signal.cache.add(self.signal.signal_id, series)
                    done.new += added.new
                    done.revised += added.revised
                    done.rejected += len(series.rejected)
                    done.set_aside += [f"{zone}: {reason}" for reason in series.rejected]
                    done.warnings += series.warnings
            except FeedError as error:
                self._note(error, zone, done, now)
                if error.scope != "range":
                    return error.scope == "zone"
                if not error.is_transient:
                    self._give_up(zone, start, end)
            else:
                self.signal.note(zone, "")
                self.signal.note("", "")
        return True

    def _note(self, error: FeedError, zone: str, done: Round, now: int) -> None:
        """Keep the reason for those who ask why there is no value, and leave whoever refused alone."""
        done.errors.append(error)
        where = "" if error.scope == "feed" else zone
        self.signal.note(where, f"{error.feed}: {error.what}")
        pause = error.retry_after_s
        if pause is None:
            pause = 0 if error.is_transient else _ASK_AGAIN_S if error.scope == "range" else _BLOCKED_S
        self._blocked[where] = now + pause

    def _give_up(self, zone: str, start: int, end: int) -> None:
        """The feed will never have these steps; calls that come again will want them again."""
        step = self.signal.feed.step
        gone = range(step.number_at(start), step.number_at(end))
        self._owed[zone] -= {number for number in self._owed[zone] if number in gone}

    def _due(self, zone: str, now: int) -> list[tuple[int, int]]:
        """Ranges to ask for: wanted and recent steps that are not there, and settled ones once more."""
        step = self.signal.feed.step
        owed = self._owed.setdefault(zone, set())
        steps = set(owed)
        if zone in self.signal.zones_seen(_SEEN_S):
            # The step that has begun is among them: it may have an estimate already.
            steps.update(range(step.number_at(now - _TAIL_S), step.number_at(now) + 1))
        if step.is_year:
            steps.update([number - back for number in steps for back in range(1, CARRIED_YEARS + 1)])
        begun = sorted(number for number in steps if step.start_unix_s(number) <= now)
        ranges: list[tuple[int, int]] = []
        if begun:
            numbers = np.array(begun, dtype=np.int64)
            starts = np.array([step.start_unix_s(number) for number in begun], dtype=np.int64)
            ends = np.array([step.start_unix_s(number + 1) for number in begun], dtype=np.int64)
            is_there, is_over, is_recent = self._known(zone, starts, ends, now)
            owed.difference_update(numbers[is_there | is_over].tolist())
            is_due = ~(is_there | is_over | is_recent)
            ranges += zip(starts[is_due].tolist(), ends[is_due].tolist(), strict=True)
        if not step.is_year:
            ranges += self._to_read_again(zone, now)
        return _joined(ranges)

    def _settled_s(self) -> int:
        """How long after its end a value may still change upstream."""
        return 730 * DAY_S if self.signal.feed.step.is_year else 3 * DAY_S

    def _known(self, zone: str, starts: Ints, ends: Ints, now: int) -> tuple[Flags, Flags, Flags]:
        """Of each step: a measured value is there; it was asked for when settled; or just now."""
        signal = self.signal
        begin, end = int(starts[0]), int(ends[-1])
        rows = signal.cache.rows(signal.signal_id, zone, begin - HOUR_S, end, signal.cache.position())
        is_there = np.isin(starts, rows.start_unix_s[~rows.is_forecast])
        is_over, is_recent, is_fresh = (np.zeros(len(starts), dtype=np.bool_) for _ in range(3))
        is_year = signal.feed.step.is_year
        for asked_start, asked_end, when in signal.cache.asked(signal.signal_id, zone, begin, end):
            inside = (starts >= asked_start) & (ends <= asked_end)
            is_over |= inside & (ends + self._settled_s() <= when)
            is_recent |= inside & (when > now - (_ASK_AGAIN_FOR_YEARS_S if is_year else _ASK_AGAIN_S))
            is_fresh |= inside & (when > now - _YEARS_KEPT_S)
        return (is_there & is_fresh if is_year else is_there), is_over, is_recent

    def _to_read_again(self, zone: str, now: int) -> list[tuple[int, int]]:
        """Steps that were read before they were settled and are settled now: feeds revise their history."""
        signal, settled_s = self.signal, self._settled_s()
        last = now - settled_s
        begin = last - _REVISED_DAYS * DAY_S
        rows = signal.cache.rows(signal.signal_id, zone, begin, last, signal.cache.position())
        starts = np.unique(rows.start_unix_s)
        ends = starts + signal.feed.step.seconds
        is_done = ends > last
        for asked_start, asked_end, when in signal.cache.asked(signal.signal_id, zone, begin, last):
            inside = (starts >= asked_start) & (ends <= asked_end)
            is_done |= inside & ((ends + settled_s <= when) | (when > now - _ASK_AGAIN_S))
        return list(zip(starts[~is_done].tolist(), ends[~is_done].tolist(), strict=True))


def prefetcher_of(signal: Signal) -> Prefetcher | None:
    """What fills the cache of a live signal; None for one that needs nothing fetched."""
    return Prefetcher(signal) if isinstance(signal, LiveSignal) else None


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1] + _JOINED_GAP_S:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
