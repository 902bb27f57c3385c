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
        first, *also = distinct = list(dict.fromkeys(versions))
        self._names = [version_name(version) for version in distinct]
        # One reads, owns and estimates for all: each by itself took twice the time for two versions.
        self._enricher = Enricher(estimator, profile=first[0], detail=first[1], also=also)

    @property
    def memory(self) -> OwnerMemory:
        """Where calls are remembered."""
        return self._enricher.memory

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
            self._enricher.memory = OwnerMemory()
        try:
            made = self._enriched(requests, table)
        except Exception as error:
            log.error("enrichment failed, so one request at a time: %s", without_content(error))
            alone = [self._alone(request) for request in requests]
            made = [list(messages) for messages in zip(*alone, strict=True)]
        return dict(zip(self._names, made, strict=True))

    def _alone(self, request: bytes) -> list[bytes]:
        """One request under each version."""
        try:
            return [messages[0] for messages in self._enriched([request])]
        except Exception as error:
            log.error(
                "a request of %d bytes goes on without our attributes: %s",
                len(request),
                without_content(error),
            )
            self._tally.failures += 1
            return [request] * len(self._names)

    def _enriched(self, requests: Sequence[bytes], table: SpanTable | None = None) -> list[list[bytes]]:
        """For each version the requests."""
        windows = list(self._enricher.protobuf(requests, table))
        for window in windows:
            self._count(window)
        made = zip(*([window.messages, *window.also] for window in windows), strict=True)
        return [[message for messages in of_version for message in messages] for of_version in made]

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
