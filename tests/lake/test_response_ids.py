"""Hashes of response ids: the same everywhere, apart for texts that differ, 0 for "none"."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wattspan.lake.response_ids import response_hashes

MASK = 2**64 - 1


def reckoned(text: bytes) -> int:
    """The definition, one number at a time."""
    mixed = len(text)
    for begin in range(0, max(len(text), 1), 8):
        word = int.from_bytes(text[begin : begin + 8].ljust(8, b"\0"), "little")
        mixed = (mixed ^ word) * 0x9E3779B97F4A7C15 & MASK
        mixed ^= mixed >> 32
    mixed = mixed * 0xC2B2AE3D27D4EB4F & MASK
    return (mixed ^ (mixed >> 32)) or 1


def test_none_is_zero_however_it_is_written() -> None:
    texts = [b"", b" None", b"NULL", b"unknown ", b"n/a", b"undefined", b"x", b"nonesuch"]
    assert (response_hashes(texts) == 0).tolist() == [True] * 6 + [False] * 2


def test_ids_of_providers_have_the_hashes_that_are_at_rest() -> None:
    texts = [b"chatcmpl-AbCdEf0123456789", b"msg_01XFDUDYJgAACzvnptvVoYEL", b"r" * 200]
    assert [f"{value:016x}" for value in response_hashes(texts).tolist()] == [
        "b2a4ecc03a3e3439",
        "08055530b6df3283",
        "da1d9fe04e6da6a4",
    ]


@given(st.lists(st.binary(min_size=16, max_size=128), max_size=20))
def test_one_at_a_time_and_all_at_once_are_the_same(texts: list[bytes]) -> None:
    # beside a longer text a short one is padded, which must not change its hash
    assert response_hashes(texts).tolist() == list(map(reckoned, texts))


@given(st.lists(st.binary(max_size=300), unique=True, max_size=50))
def test_other_texts_have_other_hashes(texts: list[bytes]) -> None:
    hashes = [value for value in response_hashes(texts).tolist() if value]
    assert len(set(hashes)) == len(hashes)
