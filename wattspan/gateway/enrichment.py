"""`Enrichment`: the requests of one window under every version of attributes that a destination wants."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from wattspan.estimator import Estimator
from wattspan.gateway.journal import without_content
from wattspan.gateway.tallies import ProcessorTally
from wattspan.otlp.attributes import Detail, Profile
from wattspan.otlp.enrich import Enriched, Enricher
from wattspan.otlp.owners import OwnerMemory
from wattspan.otlp.wire import SpanTable

Version = tuple[Profile, Detail]

log: Final = logging.getLogger(__name__)

JOULES_PER_KWH: Final = 3.6e6


def version_name(version: Version) -> str:
    """How a version is named in the spool."""
    return "/".join(version)


class Enrichment:
    """Enriches windows of trace requests. Used by one thread; it remembers calls from window to window."""

    def __init__(self, estimator: Estimator, versions: Iterable[Version], tally: ProcessorTally) -> None:
        self._tally = tally
        self._must_forget = False
        # Each has a memory of its own: one that is shown the same spans twice would take them for copies.
        self._enrichers = {
            version_name(v): Enricher(estimator, profile=v[0], detail=v[1]) for v in dict.fromkeys(versions)
        }

    @property
    def memory(self) -> OwnerMemory:
        """Where calls are remembered."""
        return next(iter(self._enrichers.values())).memory

    def forget(self) -> None:
        """Forget the calls remembered, from any thread, before the next window.

        For windows that could not be kept: what is sent again must not be taken for a copy of itself.
        """
        self._must_forget = True

    def versions(self, requests: Sequence[bytes], table: SpanTable | None = None) -> dict[str, list[bytes]]:
        """`requests` (valid protobuf) enriched, one list for each version; `table`: their spans, if scanned.

        A request at which Wattspan itself fails goes on as it is: the span is worth more than our figure.
        """
        if self._must_forget:
            self._must_forget = False
            for enricher in self._enrichers.values():
                enricher.memory = OwnerMemory()
        made: dict[str, list[bytes]] = {}
        for name, enricher in self._enrichers.items():
            is_first = not made
            try:
                made[name] = self._enriched(enricher, requests, is_first, table)
            except Exception as error:
                log.error("enrichment failed, so one request at a time: %s", without_content(error))
                made[name] = [self._alone(enricher, request, is_first) for request in requests]
        return made

    def _alone(self, enricher: Enricher, request: bytes, is_first: bool) -> bytes:
        try:
            return self._enriched(enricher, [request], is_first)[0]
        except Exception as error:
            log.error(
                "a request of %d bytes goes on without our attributes: %s",
                len(request),
                without_content(error),
            )
            self._tally.failures += is_first
            return request

    def _enriched(
        self, enricher: Enricher, requests: Sequence[bytes], is_first: bool, table: SpanTable | None = None
    ) -> list[bytes]:
        windows = list(enricher.protobuf(requests, table))
        if is_first:
            for window in windows:
                self._count(window)
        return [message for window in windows for message in window.messages]

    def _count(self, window: Enriched) -> None:
        tally, estimates = self._tally, window.estimates
        tally.incoming_spans += window.table.n
        tally.problems += len(window.problems)
        tally.calls["duplicate"] += len(window.duplicates)
        if len(estimates):
            counts = np.bincount(estimates.basis.codes, minlength=len(estimates.basis.names)).tolist()
            for name, count in zip(estimates.basis.names, counts, strict=True):
                if count:
                    tally.calls[name] += count
            tally.energy_j += float(np.nansum(estimates.energy_kwh)) * JOULES_PER_KWH
            tally.co2e_g += float(np.nansum(estimates.co2e_g))
