"""The seven integer moments in which the energy of calls is linear, and the dot product that uses them.

What `energy.gpu_energy_j` says of one call, this says of sums of calls: moments add up as whole numbers, so
the energy of a hundred million calls is one exact dot product (docs/methodology, "Form").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Moments(NamedTuple):
    """The moments of a call, or of a sum of calls, in the order of `energy.Coefficients`.

    Whole numbers or arrays of them. n_in counts all input tokens, n_cached those read from a prompt cache,
    n_fresh = n_in - n_cached, n_out all output tokens.
    """

    fresh: Any
    cached: Any
    fresh_context: Any
    cached_context: Any
    output: Any
    output_context: Any
    output_square: Any


def moments(n_in: Any, n_cached: Any, n_out: Any) -> Moments:
    """The moments of calls from their tokens (numbers or arrays)."""
    n_fresh = n_in - n_cached
    return Moments(n_fresh, n_cached, n_fresh * n_in, n_cached * n_in, n_out, n_out * n_in, n_out * n_out)


def gpu_joules(coefficients: Sequence[Any], sums: Sequence[Any]) -> Any:
    """GPU joules of prefill and decode together: coefficients (J per moment) times moments.

    Both of one type that multiplies: float, or Decimal for a sealed figure.
    """
    first, *rest = (c * m for c, m in zip(coefficients, sums, strict=True))
    return sum(rest, start=first)
