"""`KeySet`: the attribute keys one scan asks for, prepared once and used for every batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

OWN_PREFIX: Final = "wattspan."
"""Every attribute key that starts like this is ours."""

OWN_KEYS: Final = ("gen_ai.usage.energy_kwh", "gen_ai.usage.co2e_g")
"""The keys outside `OWN_PREFIX` that are ours too."""


def is_own_key(key: str) -> bool:
    """Whether `key` is one that Wattspan writes."""
    return key.startswith(OWN_PREFIX) or key in OWN_KEYS


class KeySet:
    """Distinct attribute keys in a fixed order; `position[key]` is the key's index.

    Raises ValueError for an empty or repeated key and for more than 32,767 of them.
    """

    __slots__ = ("are_own", "compiled", "keys", "position")

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys: tuple[str, ...] = tuple(keys)
        self.position: dict[str, int] = {key: place for place, key in enumerate(self.keys)}
        self.are_own = all(map(is_own_key, self.keys))
        """Every one of the keys is ours: spans without `own_attr` carry none of them."""
        self.compiled: object | None = None
        """The kernel's own look-up table for these keys, made at the first scan."""
        if "" in self.position:
            raise ValueError("an attribute key is empty; ask for keys of at least one character")
        if len(self.position) != len(self.keys):
            repeated = sorted({key for key in self.keys if self.keys.count(key) > 1})
            raise ValueError(f"attribute keys asked for twice: {repeated}; each may be there once")
        if len(self.keys) > 32_767:
            raise ValueError(f"{len(self.keys)} attribute keys asked for; at most 32,767 are allowed")

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        return f"KeySet({len(self.keys)} keys)"


def key_set(keys: KeySet | Sequence[str]) -> KeySet:
    """The `KeySet` of `keys`; the same tuple of keys gives the same object."""
    return keys if isinstance(keys, KeySet) else _cached(tuple(keys))


@lru_cache(maxsize=64)
def _cached(keys: tuple[str, ...]) -> KeySet:
    return KeySet(keys)
