"""Builds the wire kernel where a compiler is; without one the package installs and uses its fallback."""

import sys

from Cython.Build import cythonize
from setuptools import Extension, setup

FLAGS = [] if sys.platform == "win32" else ["-O3", "-fno-strict-aliasing"]
MODULES = ("_kernel", "_splice", "_columns")

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"wattspan.otlp.wire.{name}",
                [f"wattspan/otlp/wire/{name}.pyx"],
                extra_compile_args=FLAGS,
                optional=True,
            )
            for name in MODULES
        ],
        compiler_directives={"language_level": 3},
    )
)
