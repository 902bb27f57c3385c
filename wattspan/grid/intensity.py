"""`Intensity`: a carbon intensity that says what kind of number it is.

A kind is signal and factor type, and it is in the types: `Intensity[Average, Lifecycle]` and
`Intensity[Marginal, Direct]` are two types, which a type checker does not let be put together. A bare
`Intensity` is one whose kind only the configuration knows; what puts several together checks at run time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from typing_extensions import TypeVar

from wattspan.calls import Factor
from wattspan.places import Place

Average = Literal["average"]
Marginal = Literal["marginal"]
Lifecycle = Literal["lifecycle"]
Direct = Literal["direct"]
SignalName = Literal["average", "marginal"]
FactorType = Literal["lifecycle", "direct"]
Accounting = Literal["consumption", "generation", "mixed"]
Resolution = Literal["annual", "typical-hour", "hour", "5-minute", "forecast"]

Codes = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Of classes: written without parameters, they are of a kind that is known at run time only.
SignalT = TypeVar("SignalT", bound=SignalName, default=Any)
FactorT = TypeVar("FactorT", bound=FactorType, default=Any)
# Of functions: what is given must have one kind, or there is none to be inferred.
OneSignalT = TypeVar("OneSignalT", bound=SignalName)
OneFactorT = TypeVar("OneFactorT", bound=FactorType)
LifecycleT = TypeVar("LifecycleT", bound=FactorType, default=Lifecycle)
"""Factor type of whatever is lifecycle unless it is asked for something else."""
LIFECYCLE: Any = "lifecycle"
"""The value that goes with it: as a default it must fit any factor type."""

# One geometric standard deviation to the 90 % band (design D4).
Z_90 = 1.64


class Kind(NamedTuple, Generic[SignalT, FactorT]):
    """Signal and factor type: what must never be mixed or exchanged (design D9)."""

    signal: SignalT
    factor_type: FactorT


def kind_text(kind: Kind) -> str:
    """A kind in words: "average lifecycle"."""
    return f"{kind.signal} {kind.factor_type}"


class MixedKindsError(ValueError):
    """Intensities of different kinds were put together."""


@dataclass(frozen=True, slots=True)
class Intensity(Generic[SignalT, FactorT]):
    """Carbon intensity of a place, with its band and where it comes from.

    Where there is no figure, `g_per_kwh`, `g_low`, `g_high` and `g` are NaN and `reason` says why.
    """

    g_per_kwh: float
    """Central value, gCO2e per kWh."""
    g_low: float
    g_high: float
    """90 % band: centre / g^1.64 to centre x g^1.64; for several members the lowest and the highest one."""
    g: float
    """One geometric standard deviation (68 %); the range of several members and their own bands are in it."""
    zone: str
    """Zone, state, subregion or province whose table was read; for several members the label of the place."""
    kind: Kind[SignalT, FactorT]
    accounting: Accounting
    resolution: Resolution
    vintage: int
    """Year of the figure; of the oldest one for several members."""
    source: str
    is_estimated: bool
    """Most of the hours behind the figure were estimated upstream, not measured."""
    shape_zone: str = ""
    """Zone whose month and hour factors apply (`hour_factors`); "" where the figure holds for every hour."""
    shape_source: str = ""
    """Where those factors come from, and of when; "" where they are the edition's own."""
    members: int = 1
    """Regions behind the figure; 0 for the world."""
    covered: int = 1
    """Members that had a figure."""
    factors: tuple[Factor, ...] = ()
    """Independent errors that make `g`; the same key is the same error (design D5)."""
    reason: str = ""

    @property
    def signal(self) -> SignalT:
        """average or marginal."""
        return self.kind.signal

    @property
    def factor_type(self) -> FactorT:
        """lifecycle or direct."""
        return self.kind.factor_type

    @property
    def origin(self) -> str:
        """Source and vintage, and those of the hours where they are not the edition's own."""
        year = f"{self.source} {self.vintage or ''}".strip()
        return f"{year} x typical hours of {self.shape_source}" if self.shape_source else year

    @property
    def has_figure(self) -> bool:
        """There is a figure; otherwise `reason` says why not."""
        return not math.isnan(self.g_per_kwh)


def no_figure(
    kind: Kind[SignalT, FactorT], zone: str, resolution: Resolution, reason: str, members: int = 1
) -> Intensity[SignalT, FactorT]:
    """An intensity without a value, for the counted reason."""
    return Intensity(
        g_per_kwh=math.nan,
        g_low=math.nan,
        g_high=math.nan,
        g=math.nan,
        zone=zone,
        kind=kind,
        accounting="mixed",
        resolution=resolution,
        vintage=0,
        source="",
        is_estimated=False,
        members=members,
        covered=0,
        reason=reason,
    )


def same_kind(intensities: Iterable[Intensity[OneSignalT, OneFactorT]]) -> Kind[OneSignalT, OneFactorT]:
    """The one kind of all intensities. Raises MixedKindsError if there are several, ValueError if none."""
    kinds = {intensity.kind for intensity in intensities}
    if len(kinds) > 1:
        found = ", ".join(sorted(map(kind_text, kinds)))
        raise MixedKindsError(
            f"intensities of different kinds cannot be put together: {found}; choose one in the configuration"
        )
    if not kinds:
        raise ValueError("no intensity given")
    return kinds.pop()


def combined_sigma(factors: Iterable[Factor]) -> float:
    """Standard deviation of the log of a product of independent factors (design D5)."""
    return math.sqrt(math.fsum(factor.ln_g**2 for factor in factors))


class Signal(Protocol[SignalT, FactorT]):
    """A source of intensities of one kind."""

    @property
    def kind(self) -> Kind[SignalT, FactorT]:
        """The kind of every intensity it gives; it never gives another."""

    def at(self, place: Place, year: int) -> Intensity[SignalT, FactorT]:
        """Intensity of a place for calls of a year (UTC)."""

    def hour_factors(self, zones: Sequence[str], codes: Codes, start_unix_ns: Ints) -> Floats:
        """Factor on the year's intensity for each call, 1.0 where none applies.

        `zones`: `Intensity.shape_zone` of each intensity; `codes`: int[n], index into `zones`;
        `start_unix_ns`: int64[n].
        """
