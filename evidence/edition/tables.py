"""The evidence tables of energy as rows, and the measurements in them as arrays."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

EVIDENCE_FOLDER = Path(__file__).parents[1] / "energy"

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.str_]
Flags = npt.NDArray[np.bool_]
Row = Mapping[str, str]


class EvidenceError(ValueError):
    """An evidence table does not say what it must; the message names table, row and column."""


@lru_cache(maxsize=16)
def read_table(name: str) -> tuple[Row, ...]:
    """The rows of evidence/energy/{name}.csv. Raises EvidenceError if there is no such table."""
    path = EVIDENCE_FOLDER / f"{name}.csv"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in EVIDENCE_FOLDER.glob("*.csv")))
        raise EvidenceError(f"no evidence table {name!r}; there are: {known}")
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def rows_used_for(table: str, what: str) -> tuple[Row, ...]:
    """The rows of a table whose `used_in_fit` names `what` (several are separated by ";")."""
    return tuple(row for row in read_table(table) if what in row["used_in_fit"].split(";"))


def row_by_id(table: str, row_id: str) -> Row:
    """One row of a table. Raises EvidenceError if the id is not there."""
    for row in read_table(table):
        if row["id"] == row_id:
            return row
    raise EvidenceError(f"evidence/energy/{table}.csv has no row {row_id!r}")


@dataclass(frozen=True, slots=True)
class BenchmarkModel:
    """A measured model as its makers describe it."""

    name: str
    group: str
    """Models that share weights or architecture: left out of the fit together."""
    active_b: float
    total_b: float
    is_moe: bool
    kv_kb_per_token: float
    """2 bytes for each cached element."""
    context_tokens: float
    """n_c = active parameters / (layers x width)."""


@lru_cache(maxsize=1)
def benchmark_models() -> dict[str, BenchmarkModel]:
    """Every model of benchmark_models.csv by name."""
    models = {}
    for row in read_table("benchmark_models"):
        active_b = float(row["active_b"])
        models[row["model"]] = BenchmarkModel(
            name=row["model"],
            group=row["group"],
            active_b=active_b,
            total_b=float(row["total_b"]),
            is_moe=row["is_moe"] == "1",
            kv_kb_per_token=int(row["cached_layers"]) * int(row["kv_elements_per_layer"]) * 2 / 1e3,
            context_tokens=active_b * 1e9 / (int(row["layers"]) * int(row["hidden_size"])),
        )
    return models


@dataclass(frozen=True, slots=True)
class Measurements:
    """Metered serving energy, one row a configuration; all arrays have the same length."""

    row_id: Texts
    model: Texts
    group: Texts
    task: Texts
    gpu: Texts
    engine: Texts
    precision: Texts
    gpus: Floats
    batch: Floats
    """Mean number of requests decoded together."""
    output_tokens: Floats
    """Mean length of an answer."""
    active_b: Floats
    total_b: Floats
    is_moe: Flags
    kv_kb_per_token: Floats
    j_per_output_token: Floats
    """All GPU energy of the run / output tokens."""

    def __len__(self) -> int:
        return len(self.row_id)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Measurements:
        """The rows of published_energy as arrays. Raises EvidenceError for a model without parameters."""
        rows = tuple(rows)
        known = benchmark_models()
        if missing := sorted({row["model"] for row in rows} - known.keys()):
            raise EvidenceError(f"evidence/energy/benchmark_models.csv has no row for {', '.join(missing)}")
        models = [known[row["model"]] for row in rows]

        def texts(column: str) -> Texts:
            return np.array([row[column] for row in rows])

        def numbers(column: str) -> Floats:
            return np.array([float(row[column]) for row in rows])

        return cls(
            row_id=texts("id"),
            model=texts("model"),
            group=np.array([model.group for model in models]),
            task=texts("task"),
            gpu=texts("gpu"),
            engine=texts("engine"),
            precision=texts("precision"),
            gpus=numbers("gpus"),
            batch=numbers("batch"),
            output_tokens=numbers("output_tokens"),
            active_b=np.array([model.active_b for model in models]),
            total_b=np.array([model.total_b for model in models]),
            is_moe=np.array([model.is_moe for model in models]),
            kv_kb_per_token=np.array([model.kv_kb_per_token for model in models]),
            j_per_output_token=numbers("j_per_output_token"),
        )

    def take(self, rows: Flags) -> Measurements:
        """The rows where `rows` is True."""
        return Measurements(*(getattr(self, field.name)[rows] for field in fields(self)))

    def join(self, other: Measurements) -> Measurements:
        """The rows of both."""
        return Measurements(
            *(
                np.concatenate([getattr(self, field.name), getattr(other, field.name)])
                for field in fields(self)
            )
        )
