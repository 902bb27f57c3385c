"""Well-formed OTLP requests as no exporter writes them: any order, repetition, nesting, unknown fields."""

from __future__ import annotations

from hypothesis import strategies as st
from wire_bytes import counted, double, fixed32, fixed64, group, number_field, tag, varint

KEYS = (
    "gen_ai.usage.input_tokens",
    "gen_ai.request.model",
    "a",
    "b",
    "wattspan.edition",
    "gen_ai.usage.energy_kwh",
)
OTHER_KEYS = ("unasked", "gen_ai.usage.output_tokens", "wattspan.co2e_g", "gen_ai.usage.co2e_g", "", "é")

_any_number = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 300))
_text = st.one_of(
    st.sampled_from([b"", b"gpt-4o", b"chat"]), st.binary(max_size=40), st.text(max_size=20).map(str.encode)
)
_key = st.one_of(
    st.sampled_from(KEYS).map(str.encode), st.sampled_from(OTHER_KEYS).map(str.encode), st.binary(max_size=9)
)
_width = st.sampled_from([0, 0, 0, 0, 2, 5])


def _field(number: int, bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(counted, st.just(number), bodies, _width)


def _groups(depth: int) -> st.SearchStrategy[bytes]:
    inner = st.one_of(_plain_unknown, _groups(depth - 1)) if depth else _plain_unknown
    return st.builds(group, st.integers(1, 40), st.lists(inner, max_size=2).map(b"".join))


_number = st.one_of(st.integers(1, 20), st.integers(17, 2**29 - 1))
_plain_unknown = st.one_of(
    st.builds(number_field, st.integers(50, 2**29 - 1), _any_number),
    st.builds(counted, st.integers(50, 2**29 - 1), st.binary(max_size=20)),
    st.builds(fixed32, _number, st.integers(0, 2**32 - 1)),
    st.builds(fixed64, st.integers(50, 2**29 - 1), st.integers(0, 2**64 - 1)),
    st.builds(lambda number, value: tag(number, 0) + varint(value, 10), st.integers(50, 60), _any_number),
)
_unknown = st.one_of(
    _plain_unknown, _groups(2), st.builds(number_field, st.sampled_from([1, 2, 9, 11, 13]), _any_number)
)


def _message(*fields: st.SearchStrategy[bytes], least: int = 0, most: int = 4) -> st.SearchStrategy[bytes]:
    # Each field is as likely as it is often named, and unknown fields are rare. Not `one_of`, which would
    # take apart the alternatives that are alternatives themselves, and name each of their parts once.
    chosen = st.sampled_from([*fields * 3, _unknown]).flatmap(lambda field: field)
    return st.lists(chosen, min_size=least, max_size=most).map(b"".join)


any_values: st.SearchStrategy[bytes] = st.deferred(
    lambda: st.one_of(
        _text.map(lambda text: counted(1, text)),
        _any_number.map(lambda number: number_field(3, number)),
        st.floats(width=64).map(lambda number: double(4, number)),
        _message(
            _field(1, _text),
            st.builds(number_field, st.sampled_from([2, 3, 8]), _any_number),
            st.builds(double, st.just(4), st.floats(width=64)),
            _field(7, st.binary(max_size=9)),
            _field(5, _message(_field(1, any_values), most=2)),
            _field(6, _message(_field(1, key_values), most=2)),
            most=2,
        ),
    )
)
key_values: st.SearchStrategy[bytes] = st.one_of(
    st.builds(lambda key, value: counted(1, key) + counted(2, value), _key, any_values),
    st.builds(lambda key, value: counted(1, key) + counted(2, value), _key, any_values),
    _message(_field(1, _key), _field(2, any_values), st.builds(number_field, st.just(3), _any_number)),
)
_ids = st.one_of(
    st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8), st.binary(max_size=3)
)
_attributes = _field(9, key_values)
spans: st.SearchStrategy[bytes] = _message(
    _attributes,
    _attributes,
    _attributes,
    st.builds(counted, st.sampled_from([1, 2, 4]), _ids),
    _field(3, _text),
    _field(5, _text),
    st.builds(number_field, st.sampled_from([6, 10, 12, 14]), _any_number),
    st.builds(fixed64, st.sampled_from([7, 8]), st.integers(0, 2**64 - 1)),
    st.builds(fixed32, st.just(16), st.integers(0, 2**32 - 1)),
    _field(
        11,
        _message(
            fixed64_field := st.builds(fixed64, st.just(1), st.just(5)),
            _field(2, _text),
            _field(3, key_values),
        ),
    ),
    _field(13, _message(_field(1, _ids), _field(4, key_values), fixed64_field)),
    _field(15, _message(_field(2, _text), st.builds(number_field, st.just(3), _any_number))),
    least=1,
    most=9,
)
_scopes = _message(_field(1, _text), _field(2, _text), _field(3, key_values))
_resources = _message(_field(1, key_values), _field(3, _message(_field(1, _text), _field(3, _text))))
_spans = _field(2, spans)
_scope_spans = _field(
    2, _message(*[_spans] * 4, _field(1, _scopes), _field(1, _scopes), _field(3, _text), least=2, most=6)
)
_resource_spans = _field(
    1, _message(*[_scope_spans] * 3, _field(1, _resources), _field(3, _text), least=1, most=4)
)


def requests() -> st.SearchStrategy[bytes]:
    """Bodies of TracesData."""
    return _message(*[_resource_spans] * 4, least=1, most=3)
