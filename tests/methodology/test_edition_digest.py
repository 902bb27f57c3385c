"""Editions that were shipped are never edited: their digests are pinned."""

import json
from pathlib import Path

import pytest

from wattspan.methodology import Edition, editions, verify

PINS = json.loads(Path(__file__).with_name("edition_digests.json").read_text(encoding="utf-8"))


def test_every_shipped_edition_is_pinned():
    assert sorted(PINS) == sorted(editions())


@pytest.mark.parametrize("name", sorted(PINS))
def test_the_digest_of_a_shipped_edition_is_the_pinned_one(name):
    edition = Edition.load(name)
    assert verify(edition) == []
    assert {part: row["digest"] for part, row in edition.manifest["parts"].items()} == PINS[name]["parts"]
    assert edition.digest == PINS[name]["digest"]
