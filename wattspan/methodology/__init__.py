"""Methodology editions: the parameters that every estimate comes from, as data with digests."""

from wattspan.methodology.parameters import Architecture, Form, Gpu, Host, Precision

__all__ = ["Architecture", "Form", "Gpu", "Host", "Precision"]
