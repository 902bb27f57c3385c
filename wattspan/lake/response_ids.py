"""Hashes of response ids: 64 bits that are the same on every machine, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np

from wattspan.lake.rows import Hashes

_NO_IDS: Final = frozenset((b"", b"none", b"null", b"unknown", b"n/a", b"undefined"))
_LONGEST_NONE: Final = 16
_LONGEST_WORDS: Final = 16
"""Words of 8 bytes: longer texts, which no provider sends, are hashed one by one."""
_GOLDEN: Final = np.uint64(0x9E37_79B9_7F4A_7C15)
_MIX: Final = np.uint64(0xC2B2_AE3D_27D4_EB4F)
_HALF: Final = np.uint64(32)


def response_hashes(texts: Sequence[bytes]) -> Hashes:
    """uint64[n]: a hash of each text; 0 for those that mean "none" and for no other.

    The length and the words of a text go through a multiply-xorshift one after the other, a tenth of the cost
    of a cryptographic hash. Two texts of one trace are the same by accident once in 2^64.
    """
    size = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    hashes = _of_words(texts, size)
    for row in np.flatnonzero(size > 8 * _LONGEST_WORDS).tolist():
        hashes[row] = int.from_bytes(blake2b(texts[row], digest_size=8).digest(), "little")
    hashes[hashes == 0] = 1
    for row in np.flatnonzero(size < _LONGEST_NONE).tolist():
        if texts[row].strip().lower() in _NO_IDS:
            hashes[row] = 0
    return hashes


def _of_words(texts: Sequence[bytes], size: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Hashes:
    longest = min(int(-(-size.max(initial=1) // 8)), _LONGEST_WORDS) or 1
    # The last word is padded with zeros; the length tells such a text from one that ends in zeros.
    words = np.array(texts, dtype=f"S{8 * longest}").view("<u8").reshape(-1, longest)
    mixed = size.astype(np.uint64)
    shortest = int(size.min(initial=0))
    for place, column in enumerate(words.T):
        stirred = (mixed ^ column) * _GOLDEN
        stirred ^= stirred >> _HALF
        # What is padding in this text, and a word in a longer one beside it, is nothing.
        mixed = stirred if 8 * place < shortest else np.where(8 * place < size, stirred, mixed)
    mixed *= _MIX
    hashes: Hashes = mixed ^ (mixed >> _HALF)
    return hashes
