"""`make bench`: run all benchmarks, or those named."""

from __future__ import annotations

import importlib
import sys

ALL = (
    "estimator",
    "imports",
    "wire",
    "sdk",
    "grid",
    "gateway",
    "lake",
    "rollup",
    "disclosure",
    "flame",
    "importing",
)


def main(names: list[str]) -> None:
    for name in names or ALL:
        if name not in ALL:
            sys.exit(f"no benchmark {name!r}; there are: {', '.join(ALL)}")
        print(f"== {name}")
        importlib.import_module(f"benchmarks.{name}").main()
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
