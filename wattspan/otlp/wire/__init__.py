"""OTLP trace bytes to columns and back: `scan` reads, `splice` writes; one interface, two implementations."""

from wattspan.otlp.wire.keyset import OWN_KEYS, OWN_PREFIX, KeySet, is_own_key
from wattspan.otlp.wire.table import (
    ARRAY,
    BOOL,
    BYTES,
    DOUBLE,
    INT,
    KVLIST,
    NONE,
    STRING,
    AttributeIndex,
    Counts,
    Numbers,
    SpanTable,
    SpanTableBuilder,
    Truths,
)

__all__ = [
    "ARRAY",
    "BOOL",
    "BYTES",
    "DOUBLE",
    "INT",
    "KVLIST",
    "NONE",
    "OWN_KEYS",
    "OWN_PREFIX",
    "STRING",
    "AttributeIndex",
    "Counts",
    "KeySet",
    "Numbers",
    "SpanTable",
    "SpanTableBuilder",
    "Truths",
    "is_own_key",
]
