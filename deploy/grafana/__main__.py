"""`python -m deploy.grafana` writes the dashboards beside this file; a test holds that they are those."""

from __future__ import annotations

from pathlib import Path

from deploy.grafana.gateway import gateway_dashboard
from deploy.grafana.traces import traces_dashboard

DASHBOARDS = {"gateway.json": gateway_dashboard, "traces.json": traces_dashboard}


def main(folder: Path = Path(__file__).parent) -> None:
    """Write all."""
    for name, make in DASHBOARDS.items():
        (folder / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
