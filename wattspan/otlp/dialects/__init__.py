"""Dialects: what each instrumentation calls things, as a table, and the reader that applies it."""

from wattspan.otlp.dialects.counts import Problem
from wattspan.otlp.dialects.kinds import KindReader
from wattspan.otlp.dialects.reader import Reading, read
from wattspan.otlp.dialects.roles import AGGREGATE, CALL
from wattspan.otlp.dialects.table import Dialect, Table, TableError, table

DIALECT_KEYS: tuple[str, ...] = table().keys()
"""Every attribute key that the dialects read; scan for these (and for more where others need them)."""

__all__ = [
    "AGGREGATE",
    "CALL",
    "DIALECT_KEYS",
    "Dialect",
    "KindReader",
    "Problem",
    "Reading",
    "Table",
    "TableError",
    "read",
    "table",
]
