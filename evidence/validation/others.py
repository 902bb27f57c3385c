"""Other people's formulas, re-computed so that their published figures can be checked digit by digit.

For tests and comparison only: nothing in the package uses them.
"""

from __future__ import annotations

import math

J_PER_WH = 3600.0


def epoch_headline_wh(
    output_tokens: float = 500.0,
    active_parameters: float = 100e9,
    peak_flops: float = 989e12,
    utilisation: float = 0.10,
    watts: float = 1500.0,
    share_of_peak_power: float = 0.70,
) -> float:
    """Epoch AI (2025-02-07), headline: 2 FLOP a parameter and token, 70 % of 1,500 W per H100."""
    seconds = output_tokens * 2.0 * active_parameters / (peak_flops * utilisation)
    return seconds * watts * share_of_peak_power / J_PER_WH


def epoch_notebook_wh(input_tokens: float, output_tokens: float = 500.0) -> float:
    """Epoch AI's notebook for long inputs: Mixtral 8x22B scaled by 2.6, full power, full attention."""
    parameters, attention = 1.01169e11, 2.635e6
    seconds_per_flop = 1.0 / 1e15
    prefill = (2.0 * parameters * input_tokens + attention * input_tokens**2) / 0.5
    context = input_tokens + (output_tokens - 1.0) / 2.0
    decode = (2.0 * parameters * output_tokens + attention * output_tokens * context) / 0.1
    return (prefill + decode) * seconds_per_flop * 1500.0 / J_PER_WH


JEGHAM_GPU_SHARE = {
    "nano": (0.0055, 0.0100, 0.0087),
    "micro": (0.0075, 0.0125, 0.0087),
    "small": (0.0170, 0.0250, 0.016),
    "medium": (0.0300, 0.0450, 0.03125),
    "large": (0.055, 0.075, 0.0625),
}
"""Size class -> lowest and highest GPU utilisation of the node, and its non-GPU utilisation (H100, v6)."""


def jegham_class_w(size: str) -> float:
    """Jegham et al. v6: IT power of one request on a DGX H100 (5.6 kW of GPUs, 4.6 kW of the rest), W."""
    low, high, rest = JEGHAM_GPU_SHARE[size]
    return 5600.0 * (low + high) / 2.0 + 4600.0 * rest


def jegham_query_wh(size: str, seconds: float, pue: float = 1.12) -> float:
    """Jegham et al. v6: energy of a query that keeps its share of the node for `seconds`, Wh."""
    return jegham_class_w(size) * pue * seconds / J_PER_WH


def jegham_carbon_g(energy_wh: float, kg_per_kwh: float = 0.35) -> float:
    """Jegham et al. v6: location-based carbon at the facility meter (Azure 0.35 kgCO2e/kWh), g."""
    return energy_wh * kg_per_kwh


def jegham_water_ml(
    energy_wh: float, pue: float = 1.12, site_l_per_kwh: float = 0.30, source_l_per_kwh: float = 4.35
) -> float:
    """Jegham et al. v6: cooling water on IT energy and water of the power plants on all of it, mL."""
    return energy_wh / pue * site_l_per_kwh + energy_wh * source_l_per_kwh


def mfu_power_w(
    mfu: float, idle_w: float = 100.0, peak_w: float = 400.0, saturation: float = 0.45, gamma: float = 0.7
) -> float:
    """Power law of arXiv:2507.11417 with the second-hand constants of an A100, W."""
    share = min(mfu, saturation) / saturation
    return float(idle_w + (peak_w - idle_w) * math.pow(share, gamma))


def ecologits_gpu_wh_per_token(active_b: float, batch: float = 64.0) -> float:
    """EcoLogits 0.11.3: GPU energy of one output token on one GPU, Wh."""
    return 1.1665e-6 * math.exp(-0.011206 * batch) * active_b + 4.0529e-5
