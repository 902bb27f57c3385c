"""The dialect table: what is wrong with it is said, and a new dialect is a row."""

from __future__ import annotations

import copy
import json
from importlib.resources import files

import pytest

from wattspan.otlp.dialects import TableError, table
from wattspan.otlp.dialects.table import parse


@pytest.fixture
def raw():
    text = files("wattspan.otlp.dialects").joinpath("table.json").read_text(encoding="utf-8")
    return copy.deepcopy(json.loads(text))


def test_dialects_have_different_names():
    ids = [dialect.id for dialect in table().dialects]
    assert len(set(ids)) == len(ids)


def test_every_operation_provider_and_host_ends_in_one_spelling():
    known = table()
    assert {known.operations[name] for name in known.calls} == known.calls
    assert all(known.providers.get(name, name) == name for name in known.providers.values())
    assert not known.not_providers & set(known.providers)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw["fields"].update(colour=["x"]), "fields: found ['colour']"),
        (lambda raw: raw["counts"].update(inputs=["x"]), "counts: found ['inputs']"),
        (
            lambda raw: raw["energy"].append({"key": "e", "unit": "MWh", "basis": "measured"}),
            "energy key e: found 'MWh'; allowed: kWh, Wh, J",
        ),
        (
            lambda raw: raw["energy"].append({"key": "e", "unit": "J", "basis": "guessed"}),
            "energy key e: found 'guessed'; allowed: measured, reported",
        ),
        (
            lambda raw: raw["embedded"].append(
                {"key": "u", "format": "yaml", "reads": "usage", "when_missing": "input"}
            ),
            "embedded key u, format: found 'yaml'; allowed: json, python",
        ),
        (
            lambda raw: raw["dialects"].append({"id": "new", "scopes": ["x"], "set": {"cache": "around"}}),
            "dialect new, set cache: found 'around'",
        ),
        (
            lambda raw: raw["dialects"].append({"id": "new", "scopes": ["x"], "whit": ["key"]}),
            "dialect new: found ['whit']",
        ),
    ],
)
def test_a_malformed_table_is_refused_by_row(raw, change, said):
    change(raw)
    with pytest.raises(TableError) as error:
        parse(raw)
    assert said in str(error.value)
    assert "table.json" in str(error.value)


def test_a_row_may_narrow_its_spans_down(raw):
    row = {
        "id": "new",
        "scopes": ["acme.*"],
        "with": ["acme.usage"],
        "without": ["acme.total"],
        "equals": {"acme.kind": ["llm*"]},
        "named": ["acme.*"],
        "streaming": True,
        "set": {"cache": "outside", "reasoning": "inside", "names": {"ask": "chat"}, "self_hosted": True},
    }
    raw["dialects"].append(row)
    new = parse(raw).dialects[-1]
    assert (new.cache_outside, new.reasoning_outside, new.is_self_hosted) == (True, False, True)
    assert (new.carries, new.lacks, new.named) == (("acme.usage",), ("acme.total",), ("acme.*",))
    assert new.fits_scope("acme.llm")
    assert not new.fits_scope("not.acme.llm")
    assert {"acme.usage", "acme.total", "acme.kind"} <= set(parse(raw).keys())


def test_names_of_spans_are_matched_in_lower_case():
    # Patterns are compared with lower-case texts: one with capitals could never match.
    for dialect in table().dialects:
        for pattern in (*dialect.named, *(p for patterns in dialect.equals.values() for p in patterns)):
            assert pattern == pattern.lower(), f"{dialect.id}: {pattern}"
