"""Decimal arithmetic of sealed figures: one context, one way to write a number. No floats.

The same digits on any machine in any year: `decimal` is specified to the last digit, its exp and ln too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)
from typing import Final

CONTEXT: Final = Context(
    prec=50,
    rounding=ROUND_HALF_EVEN,
    Emin=-999_999,
    Emax=999_999,
    traps=[InvalidOperation, DivisionByZero, Overflow],
)
"""Fifty digits: sums of a hundred million calls lose none that a figure shows."""

EXACT_DIGITS: Final = 15
"""Significant digits of a sealed value: what `reproduce` compares."""
SHOWN_DIGITS: Final = 3
"""Significant digits of a value as it is quoted."""
COEFFICIENT_DIGITS: Final = 15
"""Significant digits of a sealed coefficient: the last bit of a float may depend on the machine."""


@contextmanager
def exactly() -> Iterator[None]:
    """Run the block under `CONTEXT`, whatever the caller's context is."""
    with localcontext(CONTEXT):
        yield


def rounded(value: Decimal, digits: int) -> Decimal:
    """`value` to `digits` significant digits, half to even; zero stays zero."""
    if not value:
        return Decimal(0)
    # Rounding may add a digit in front (0.9995): the exponent is that of the rounded value.
    short = Context(prec=digits, rounding=ROUND_HALF_EVEN).plus(value)
    return short.quantize(Decimal(1).scaleb(short.adjusted() - digits + 1), context=CONTEXT)


def written(value: Decimal, digits: int = EXACT_DIGITS) -> str:
    """`value` to `digits` significant digits as a plain decimal, never with an exponent: "0.000412"."""
    return format(rounded(value, digits), "f")


def shown(value: Decimal) -> str:
    """`value` as it is quoted: three significant digits."""
    return written(value, SHOWN_DIGITS)


def percent(share: Decimal) -> str:
    """A share of one in percent, to one decimal."""
    return format((share * 100).quantize(Decimal("0.1")), "f")


def of_float(value: float, digits: int = COEFFICIENT_DIGITS) -> Decimal:
    """The decimal that a coefficient is sealed as. Raises ValueError where it is not finite."""
    number = Decimal(repr(float(value)))
    if not number.is_finite():
        raise ValueError(f"{value!r} cannot be sealed: it is not a finite number")
    return rounded(number, digits)
