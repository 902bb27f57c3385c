"""OTLP trace bytes to columns and back: `scan` reads, `splice` writes; one interface, two implementations."""

from wattspan.otlp.wire.encode import (
    Additions,
    AttributeColumn,
    encode_attribute,
    encode_attributes,
)
from wattspan.otlp.wire.errors import WireError
from wattspan.otlp.wire.implementation import IMPLEMENTATION, encode_columns, scan, splice
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
    Numbers,
    SpanTable,
    SpanTableBuilder,
)

__all__ = [
    "ARRAY",
    "BOOL",
    "BYTES",
    "DOUBLE",
    "IMPLEMENTATION",
    "INT",
    "KVLIST",
    "NONE",
    "OWN_KEYS",
    "OWN_PREFIX",
    "STRING",
    "Additions",
    "AttributeColumn",
    "AttributeIndex",
    "KeySet",
    "Numbers",
    "SpanTable",
    "SpanTableBuilder",
    "WireError",
    "encode_attribute",
    "encode_attributes",
    "encode_columns",
    "is_own_key",
    "scan",
    "splice",
]
