"""Errors on what was left out of the fit: a model, a GPU, a task, a source."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from evidence.edition.energy import build_form
from evidence.edition.fit import (
    decode_form,
    decode_measurements,
    fit_form,
    log_errors,
    older_measurements,
)
from evidence.edition.gpus import build_gpus
from evidence.edition.tables import Floats, Row, benchmark_models, read_table
from evidence.validation.errors import Errors
from wattspan.estimator.energy import coefficients, gpu_energy_j
from wattspan.methodology import Architecture, Form, Host


@lru_cache(maxsize=4)
def forms_without(label: str) -> dict[str, Form]:
    """For each value of a column of the measurements ("group", "task") the form fitted to all other rows."""
    m = decode_measurements()
    column = getattr(m, label)
    return {
        value: fit_form(m, (column != value).astype(np.float64)) for value in sorted(set(column.tolist()))
    }


def in_sample() -> Errors:
    """The rows of the fit themselves."""
    return Errors("in sample", log_errors(decode_form(), decode_measurements()))


def leave_one_model_out() -> Errors:
    """Each group of models predicted from the others, configuration known."""
    return Errors("leave one model out", _held_out_by("group"))


def leave_one_task_out() -> Errors:
    """Chat predicted from reasoning (GPQA) and the other way round."""
    return Errors("leave one task out (chat, reasoning)", _held_out_by("task"))


def leave_one_gpu_out() -> Errors:
    """H100 predicted from B200 rows and the other way round, as if the other GPU were the same one."""
    m = decode_measurements()
    as_one = replace(m, gpu=np.full(len(m), "H100"))
    errors = np.empty(len(m))
    for gpu in ("H100", "B200"):
        left_out = m.gpu == gpu
        form = fit_form(as_one, (~left_out).astype(np.float64))
        errors[left_out] = log_errors(form, as_one.take(left_out))
    return Errors("leave one GPU out (H100, B200)", errors)


def older_software(gpu: str) -> Errors:
    """ML.ENERGY v2 (software of 2024) on one GPU, A100 by nameplate ratios; v2 is not in the fit."""
    m = older_measurements()
    rows = m.take(m.gpu == gpu)
    name = f"leave one source out: ML.ENERGY v2 on {gpu}, software of 2024"
    return Errors(name, log_errors(form_with_all_gpus(), rows))


def provisioned_runs() -> Errors:
    """Per-query energy of InferenceMAX runs (throughput x provisioned power) against the whole form.

    The one source with long prompts. Its watts are provisioned, not drawn, so the target is an upper bound.
    """
    form, errors = form_with_all_gpus(), []
    for row in read_table("published_energy"):
        if row["source"] == "muxup-inferencex":
            predicted = facility_wh_of_run(row, form)
            errors.append(np.log(predicted / float(row["energy_wh"])))
    return Errors("leave one source out: InferenceMAX runs, provisioned power", np.array(errors))


FLEET_PUE = 1.14
"""AWS, 2025 (pue.csv); the provisioned power of the source includes the facility."""
RUN_MODELS = {
    "DeepSeek-R1-0528": "deepseek-ai/DeepSeek-R1-0528",
    "gpt-oss-120b": "openai/gpt-oss-120b",
}


def facility_wh_of_run(row: Row, form: Form) -> float:
    """What the form says of one published run: its GPUs, precision, concurrency and lengths are known."""
    model = benchmark_models()[RUN_MODELS[row["model"].partition(" ")[0]]]
    gpus, _, rest = row["hardware"].partition("x ")
    architecture = Architecture(
        active_b=model.active_b,
        total_b=model.total_b,
        is_moe=model.is_moe,
        kv_kb_per_token=model.kv_kb_per_token,
        context_tokens=model.context_tokens,
        precision=row["precision"],
    )
    host = Host(gpu=rest.split()[0], batch=float(row["batch"]), gpus=int(gpus))
    n_in, n_out = float(row["input_tokens"]), float(row["output_tokens"])
    joules = sum(gpu_energy_j(coefficients(architecture, host, form), n_in, 0.0, n_in, n_out))
    return joules * host.k_host * host.k_idle * FLEET_PUE / 3600.0


@lru_cache(maxsize=1)
def form_with_all_gpus() -> Form:
    """The form of the edition, nameplate GPUs included and prefill filled in."""
    return Form.from_json(build_form(), build_gpus())


def _held_out_by(label: str) -> Floats:
    m = decode_measurements()
    errors = np.empty(len(m))
    for value, form in forms_without(label).items():
        left_out = getattr(m, label) == value
        errors[left_out] = log_errors(form, m.take(left_out))
    return errors
