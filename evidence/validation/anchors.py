"""Figures published by operators and Epoch AI, beside what the closed tier says on stated guesses."""

from __future__ import annotations

from dataclasses import dataclass

from evidence.edition.canonical import significant
from evidence.edition.energy import Z90
from evidence.edition.tables import Row, read_table, row_by_id
from wattspan.estimator.energy import coefficients, gpu_energy_j
from wattspan.methodology import Architecture, Edition

YEAR = 2025


@dataclass(frozen=True, slots=True)
class Anchor:
    """One published figure and ours, Wh at the facility."""

    name: str
    row_id: str
    published_wh: float
    estimated_wh: float
    band: float
    """90 % band of the closed tier: estimate / this to estimate x this."""
    note: str

    @property
    def ratio(self) -> float:
        """Ours / published."""
        return self.estimated_wh / self.published_wh


def anchors(edition: Edition) -> tuple[Anchor, ...]:
    """Every anchor whose model has a size in the edition (guesses of closed models may be deleted)."""
    found = []
    for row in read_table("anchors"):
        architecture = _architecture(edition, row)
        if architecture is not None:
            found.append(_anchor(edition, row, architecture))
    return tuple(found)


def _architecture(edition: Edition, row: Row) -> Architecture | None:
    if row["model"]:
        model = edition.registry.resolve(row["model"]).model
        return model.architecture_at(YEAR) if model and model.tier == "closed" else None
    active_b, total_b = float(row["active_b"]), float(row["total_b"])
    return Architecture(active_b, total_b, is_moe=total_b > active_b, precision="fp8", gpus=8)


def _anchor(edition: Edition, row: Row, architecture: Architecture) -> Anchor:
    host = edition.hosts["closed"]
    n_in, n_out = float(row["input_tokens"]), float(row["output_tokens"])
    joules = sum(gpu_energy_j(coefficients(architecture, host, edition.form), n_in, 0.0, n_in, n_out))
    return Anchor(
        name=row["anchor"],
        row_id=row["row"],
        published_wh=float(row_by_id("published_energy", row["row"])["energy_wh"]),
        estimated_wh=significant(joules * host.k_host * host.k_idle * float(row["pue"]) / 3600.0, 3),
        band=float(edition.spreads["tiers"]["closed"]["g"]) ** Z90,
        note=row["note"],
    )
