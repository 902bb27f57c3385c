"""Builds the wire kernel where a compiler is; without one the package installs and uses its fallback."""

import sys

from Cython.Build import cythonize
from setuptools import Extension, setup

FLAGS = [] if sys.platform == "win32" else ["-O3", "-fno-strict-aliasing"]
WIRE = "wattspan/otlp/wire"
SHARED = ["_kernel", "attribute", "cursor", "interning", "scanner", "writing"]
MODULES = [
    *(f"{WIRE}/{name}" for name in ("_kernel", "_splice", "_columns", "_kinds", "_templates")),
    *(f"wattspan/otlp/owners/{name}" for name in ("_look", "_recent")),
]

extensions = cythonize(
    [
        Extension(
            module.replace("/", "."),
            [f"{module}.pyx"],
            depends=[f"{WIRE}/{shared}.pxd" for shared in SHARED],
            extra_compile_args=FLAGS,
        )
        for module in MODULES
    ],
    compiler_directives={"language_level": 3},
)
for extension in extensions:
    # Set here, because cythonize makes new extensions and forgets it: an install without a compiler failed.
    extension.optional = True

setup(ext_modules=extensions)
