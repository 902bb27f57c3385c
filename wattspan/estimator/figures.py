"""What the numbers say of calls: one formula of plain operators, from tokens to energy, carbon and bands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, NamedTuple

from wattspan.estimator.energy import Coefficients, Number, gpu_energy_j
from wattspan.estimator.plan import J_PER_KWH
from wattspan.estimator.program import Choose

BASES = ("", "measured", "reported", "modelled", "no_usage", "failed")
MEASURED, REPORTED, MODELLED, NO_USAGE, FAILED = range(1, 6)
_COEFFICIENTS: Final = len(fields(Coefficients))


class Parts(NamedTuple):
    """Facility energy in kWh, by what burns it: arrays or numbers; they add up to the whole."""

    prefill_kwh: Any
    decode_kwh: Any
    host_kwh: Any
    overhead_kwh: Any


def energy_parts(
    k: Coefficients, server: Number, facility: Number, n_in: Number, n_cached: Number, n_out: Number
) -> Parts:
    """Facility energy of calls in kWh, from their tokens.

    `n_in`: all input tokens; `n_cached`: those read from a prompt cache; `n_out`: all output tokens.
    `server` = k_host x k_idle, `facility` = PUE.
    E = E_GPU x k_host x k_idle x PUE / 3.6e6 (methodology, "Form").
    """
    prefill_j, decode_j = gpu_energy_j(k, n_in - n_cached, n_cached, n_in, n_out)
    prefill_kwh, decode_kwh = prefill_j / J_PER_KWH, decode_j / J_PER_KWH
    gpu_kwh = prefill_kwh + decode_kwh
    host_kwh = gpu_kwh * (server - 1.0)
    overhead_kwh = (gpu_kwh + host_kwh) * (facility - 1.0)
    return Parts(prefill_kwh, decode_kwh, host_kwh, overhead_kwh)


class Figures(NamedTuple):
    """What numbers say of calls: the columns of an `EstimateBatch` that hang on them."""

    energy_kwh: Any
    energy_kwh_low: Any
    energy_kwh_high: Any
    prefill_kwh: Any
    decode_kwh: Any
    host_kwh: Any
    overhead_kwh: Any
    co2e_g: Any
    co2e_g_low: Any
    co2e_g_high: Any
    embodied_g: Any
    water_ml: Any
    pue: Any
    intensity_g_per_kwh: Any
    basis: Any


def figures(constants: Sequence[Any], calls: Mapping[str, Any], choose: Choose) -> Figures:
    """The figures of calls from constants of their plans and their columns; plain operators, as in `energy`.

    `constants`: those of `Coefficients`, then the factors that `estimate` names. `calls` has `intensity`
    where that is not the plan's.
    """
    coefficients = Coefficients(*constants[:_COEFFICIENTS])
    server, facility, pue, embodied_g_per_gpu_kwh, water_ml_per_it_kwh, intensity, *g90 = constants[
        _COEFFICIENTS:
    ]
    intensity = calls.get("intensity", intensity)
    prefill, decode, host, overhead = energy_parts(
        coefficients,
        server,
        facility,
        calls["input_tokens"],
        calls["cache_read_tokens"],
        calls["output_tokens"],
    )
    gpu_kwh = prefill + decode
    it_kwh = gpu_kwh + host
    energy = it_kwh + overhead

    reported = calls["reported_energy_kwh"]
    is_reported = reported > 0
    is_modelled = calls["has_usage"] & (energy > 0) & ~is_reported
    energy_g90, carbon_g90, reported_energy_g90, reported_carbon_g90 = g90
    energy_g90 = choose(is_reported, reported_energy_g90, energy_g90)
    carbon_g90 = choose(is_reported, reported_carbon_g90, carbon_g90)
    without_model = choose(
        is_reported,
        choose(calls["is_measured"], MEASURED, REPORTED),
        choose(calls["is_error"], FAILED, NO_USAGE),
    )

    def if_modelled(value: Any) -> Any:
        return choose(is_modelled, value, math.nan)

    energy = choose(is_modelled, energy, choose(is_reported, reported, math.nan))
    co2e = energy * intensity
    return Figures(
        energy_kwh=energy,
        energy_kwh_low=energy / energy_g90,
        energy_kwh_high=energy * energy_g90,
        prefill_kwh=if_modelled(prefill),
        decode_kwh=if_modelled(decode),
        host_kwh=if_modelled(host),
        overhead_kwh=if_modelled(overhead),
        co2e_g=co2e,
        co2e_g_low=co2e / carbon_g90,
        co2e_g_high=co2e * carbon_g90,
        embodied_g=if_modelled(gpu_kwh * embodied_g_per_gpu_kwh),
        water_ml=if_modelled(it_kwh * water_ml_per_it_kwh),
        pue=if_modelled(pue),
        intensity_g_per_kwh=intensity,
        basis=choose(is_modelled, MODELLED, without_model),
    )
