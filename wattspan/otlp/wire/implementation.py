"""Which implementation runs: the Cython kernel where it was built, else the one on opentelemetry-proto.

The environment variable WATTSPAN_WIRE chooses: `cython` insists on the kernel, `fallback` does without it.
"""

from __future__ import annotations

import os
from typing import Final

_wanted = os.environ.get("WATTSPAN_WIRE", "")
if _wanted not in ("", "cython", "fallback"):
    raise ValueError(
        f"WATTSPAN_WIRE is {_wanted!r}; allowed are cython, fallback, or unset for the best there is"
    )

_is_native = _wanted != "fallback"
if _is_native:
    try:
        # All or none: the paths that need the first three ask for the name of the implementation only.
        from wattspan.otlp.wire import _kinds, _take, _templates  # noqa: F401
        from wattspan.otlp.wire._columns import encode_columns
        from wattspan.otlp.wire._kernel import scan
        from wattspan.otlp.wire._splice import splice
    except ImportError:
        if _wanted == "cython":
            raise
        _is_native = False
if not _is_native:
    from wattspan.otlp.wire.fallback import encode_columns, scan, splice

IMPLEMENTATION: Final = "cython" if _is_native else "opentelemetry-proto"
"""What `scan`, `splice` and `encode_columns` run on."""

__all__ = ["IMPLEMENTATION", "encode_columns", "scan", "splice"]
