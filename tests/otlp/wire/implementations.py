"""Both implementations of the wire interface, to hold them to the same tests."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from wattspan.otlp.wire import SpanTable, fallback

FALLBACK = SimpleNamespace(
    scan=fallback.scan, splice=fallback.splice, encode_columns=fallback.encode_columns, name="fallback"
)
try:
    from wattspan.otlp.wire import _columns, _kernel, _splice
except ImportError:
    KERNEL = None
else:
    KERNEL = SimpleNamespace(
        scan=_kernel.scan, splice=_splice.splice, encode_columns=_columns.encode_columns, name="kernel"
    )

BOTH = [
    pytest.param(
        KERNEL, id="kernel", marks=pytest.mark.skipif(KERNEL is None, reason="the kernel is not built")
    ),
    pytest.param(FALLBACK, id="fallback"),
]

needs_kernel = pytest.mark.skipif(KERNEL is None, reason="the kernel is not built")


def values_of(table: SpanTable, level: str = "span") -> list[dict[str, object]]:
    """For each span, scope or resource: the values of the keys it carries."""
    index = {"span": table.span_index, "resource": table.resource_index, "scope": table.scope_index}[level]
    rows: list[dict[str, object]] = [{} for _ in range(index.values.shape[1])]
    for position, key in enumerate(table.keys):
        line = index.of(position)
        for row, at in enumerate([] if line is None else line.tolist()):
            if at >= 0:
                rows[row][key] = value_at(table, at)
    return rows


def value_at(table: SpanTable, at: int) -> object:
    """A value with its type; NaN in a form that equals itself."""
    kind = int(table.value_type[at])
    if kind == 1:
        return table.texts[int(table.value_text[at])]
    assert table.value_text[at] == -1
    if kind == 2:
        return bool(table.value_int[at])
    if kind == 3:
        assert table.value_double[at] == float(int(table.value_int[at]))
        return int(table.value_int[at])
    if kind == 4:
        return table.value_double[at].tobytes()
    return ("none", "", "", "", "", "array", "kvlist", "bytes")[kind]


def everything(table: SpanTable) -> dict[str, object]:
    """All a table says, without the numbers of text codes and value places, which implementations choose."""
    columns = (
        "start end resource scope trace_id span_id parent_span_id start_unix_ns end_unix_ns kind status "
        "own_attr resource_of_scope"
    )
    said: dict[str, object] = {name: getattr(table, name).tolist() for name in columns.split()}
    for name in ("name_code", "trace_state_code", "scope_name_code", "scope_version_code"):
        said[name] = [table.texts[code] for code in getattr(table, name).tolist()]
    for level in ("span", "resource", "scope"):
        said[level] = values_of(table, level)
    said["n"] = table.n
    return said
