"""`wattspan disclosure show --render pact` on a book as `publish` writes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.disclosure.pact_sources import Shelf
from wattspan.cli.main import app
from wattspan.disclosure.pact.grammar import footprint_id

CONFIG = """
disclosure:
  issuer: {domain: saas.example, name: Example SaaS GmbH}
"""


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.chdir(tmp_path)
    Path("wattspan.yaml").write_text(CONFIG)
    found = Shelf(tmp_path)
    found.publish()
    return found


def test_pact_json_is_a_rendering_and_the_same_bytes_on_every_run(shelf: Shelf) -> None:
    command = ["disclosure", "show", "ticket-summary@1", "--render", "pact", "--config", "wattspan.yaml"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    path = Path("saas.example_2026Q3_ticket-summary@1.pact.json")
    data = path.read_bytes()
    assert json.loads(data)["id"] == footprint_id("saas.example/2026Q3/ticket-summary@1")
    assert CliRunner().invoke(app, [*command, "--out", "again.json"]).exit_code == 0
    assert Path("again.json").read_bytes() == data
    assert CliRunner().invoke(app, ["pact", "check", str(path)]).exit_code == 0


def test_terms_that_break_a_rule_are_refused_by_field(shelf: Shelf) -> None:
    Path("wattspan.yaml").write_text(f"{CONFIG}  pact: {{standards: [our own]}}\n")
    result = CliRunner().invoke(
        app,
        ["disclosure", "show", "ticket-summary@1", "--render", "pact", "--config", "wattspan.yaml"],
    )
    assert result.exit_code == 2
    assert "pcf.crossSectoralStandards[1] is 'our own'; allowed: ISO14067" in " ".join(result.output.split())
    assert not list(Path().glob("*.pact.json"))
