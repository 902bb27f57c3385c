"""Energy and carbon on LLM inference spans.

>>> import wattspan
>>> wattspan.estimate(model="gpt-4o", input_tokens=1000, output_tokens=300).energy_kwh  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt

    from wattspan.calls import CallBatch, EstimateBatch
    from wattspan.estimator import Estimate, Estimator

__version__ = "0.1.0"
__all__ = ["CallBatch", "Estimate", "EstimateBatch", "Estimator", "__version__", "estimate"]

_HOME = {
    "CallBatch": "wattspan.calls",
    "EstimateBatch": "wattspan.calls",
    "Estimate": "wattspan.estimator",
    "Estimator": "wattspan.estimator",
}
_default: Estimator | None = None


def estimate(
    *,
    model: str,
    input_tokens: float = 0,
    output_tokens: float = 0,
    cached_input_tokens: float = 0,
    cache_write_tokens: float = 0,
    reasoning_tokens: float = 0,
    provider: str = "",
    region: str = "",
    host: str = "",
    operation: str = "chat",
    at: dt.datetime | str | None = None,
) -> Estimate:
    """Estimate one call with the newest edition and the embedded grid; see `Estimator.estimate_call`."""
    global _default
    if _default is None:
        from wattspan.estimator import Estimator

        _default = Estimator()
    return _default.estimate_call(
        model=model,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=cached_input_tokens,
        cache_write_tokens=cache_write_tokens,
        reasoning_tokens=reasoning_tokens,
        provider=provider,
        region=region,
        host=host,
        operation=operation,
        at=at,
    )


def __getattr__(name: str) -> Any:
    # numpy is loaded when it is first needed: an application that only imports us pays nothing
    if name in _HOME:
        import importlib

        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'wattspan' has no attribute {name!r}")
