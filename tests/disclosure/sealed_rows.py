"""Daily rows with figures that can be reckoned by hand, and a subject to publish them under."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from wattspan.disclosure.cells import Cell, RequestCount
from wattspan.disclosure.coefficients import Vector
from wattspan.disclosure.contracts import Contract
from wattspan.disclosure.figure import Sealed, Spread
from wattspan.disclosure.rules import current_rules
from wattspan.disclosure.subject import Change, Feature, Issuer, Method, Period, Subject
from wattspan.estimator.moments import Moments, moments

CALL = 1_000_000
UG_PER_G = 1_000_000
NOW = dt.datetime(2026, 11, 2, 9, 30, tzinfo=dt.UTC)

# 3.6 J a fresh token, 0.36 J a cached one, 36 J an output token; x 1.5 server, x 1.2 PUE: 1.8e-6 kWh a fresh
# token, 1.8e-7 a cached one, 1.8e-5 an output token.
BIG = Vector(
    joules=tuple(map(Decimal, ("3.6", "0.36", "0", "0", "36", "0", "0"))),
    server_factor=Decimal("1.5"),
    facility_factor=Decimal("1.2"),
    embodied_g_per_gpu_j=Decimal("0.00001"),
    water_ml_per_it_kwh=Decimal("500"),
    hardware="H100, batch 32",
)
SMALL = Vector(
    joules=tuple(map(Decimal, ("0.36", "0.036", "0", "0", "3.6", "0", "0"))),
    server_factor=Decimal("1.5"),
    facility_factor=Decimal("1.2"),
    embodied_g_per_gpu_j=Decimal("0.00001"),
    water_ml_per_it_kwh=Decimal("500"),
    hardware="L4, batch 8",
)
METHOD = ("method", Decimal("0.47"))
ZONE = ("zone:FR", Decimal("0.1"))
SPREADS = {
    "big": Spread((METHOD, ("model:big", Decimal("0.9"))), (METHOD, ("model:big", Decimal("0.9")), ZONE)),
    "small": Spread(
        (METHOD, ("model:small", Decimal("0.5"))), (METHOD, ("model:small", Decimal("0.5")), ZONE)
    ),
}


def sums(calls: int, n_in: int, n_cached: int, n_out: int, times: int = 1) -> Moments:
    """Moments of so many equal calls, in micro-weights."""
    return Moments(*(m * calls * CALL * times for m in moments(n_in, n_cached, n_out)))


def cell(**given: Any) -> Cell:
    """100 calls of 1,000 fresh and 100 output tokens at 200 g/kWh."""
    calls = given.pop("n", 100)
    n_in, n_cached, n_out = given.pop("tokens", (1000, 0, 100))
    g_per_kwh = given.pop("g_per_kwh", 200)
    values: dict[str, Any] = {
        "day": "2026-07-01",
        "feature": "ticket summary",
        "model": "openai/big",
        "provider": "openai",
        "region": "aws/eu-west-3",
        "region_source": "host",
        "zone": "FR",
        "basis": "modelled",
        "evidence": "closed",
        "grid_source": "Ember 2025",
        "grid_resolution": "annual",
        "grid_accounting": "generation",
        "direct": str(150 * UG_PER_G),
        "sampling": "all",
        "vector": BIG.id,
        "spread": "big",
        "calls": calls * CALL,
        "rows": calls,
        "moments": sums(calls, n_in, n_cached, n_out),
        "weighted": sums(calls, n_in, n_cached, n_out, g_per_kwh * UG_PER_G),
        "energy": 0,
        "energy_weighted": 0,
    }
    return Cell(**{**values, **given})


def without_figure(basis: str, n: int, **given: Any) -> Cell:
    """Calls that have no energy of their own."""
    nothing = Moments(0, 0, 0, 0, 0, 0, 0)
    return cell(
        n=n, basis=basis, evidence="", vector="", spread="", moments=nothing, weighted=nothing, **given
    )


def sealed(*cells: Cell, completed: int = 50, failed: int = 2, covered: int = 50, **given: Any) -> Sealed:
    """Rows of one day."""
    feature = cells[0].feature
    counts = [RequestCount("2026-07-01", feature, completed * CALL, failed * CALL, covered * CALL)]
    values: dict[str, Any] = {
        "requests": counts,
        "vectors": {BIG.id: BIG, SMALL.id: SMALL},
        "spreads": SPREADS,
        "rules": current_rules(),
        "gap_rule": "mean_of_model",
    }
    return Sealed(cells=cells, **{**values, **given})


def contract(**given: Any) -> Contract:
    """A supplier's factor for Paris."""
    values: dict[str, Any] = {
        "provider": "*",
        "region": "aws/eu-west-3",
        "start": dt.date(2026, 1, 1),
        "end": dt.date(2027, 1, 1),
        "g_per_kwh": Decimal(10),
        "granularity": "annual",
        "evidence": "supply contract 17",
    }
    return Contract(**{**values, **given})


def subject(number: int = 1, **given: Any) -> Subject:
    """The summary feature in the third quarter."""
    values: dict[str, Any] = {
        "issuer": Issuer("saas.example", "Example SaaS GmbH"),
        "feature": Feature("ticket summary", "Ticket summary", "TS-1"),
        "period": Period.of("2026Q3"),
        "edition_number": number,
        "method": Method(
            edition="2026.11",
            edition_digest="ab" * 32,
            edition_status="released",
            signal="average",
            factor_type="lifecycle",
            gap_rule="mean_of_model",
            rules_version="1",
            software="wattspan 0.1.0",
            datasets=({"name": "Ember", "version": "2025", "sha256": "cd" * 32, "licence": "CC BY 4.0"},),
        ),
        "change": Change("first"),
    }
    return Subject(**{**values, **given})
