"""Methodology editions: the parameters that every estimate comes from, as data with digests."""

from wattspan.methodology.edition import EDITIONS_FOLDER, LATEST, Edition, EditionError, editions, verify
from wattspan.methodology.parameters import Architecture, Form, Gpu, Host, Precision

__all__ = [
    "EDITIONS_FOLDER",
    "LATEST",
    "Architecture",
    "Edition",
    "EditionError",
    "Form",
    "Gpu",
    "Host",
    "Precision",
    "editions",
    "verify",
]
