"""A change of method on the page: the bridge in its steps, and the period before under both methodologies."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.disclosure.test_comparison import desk as desk
from tests.web.site_thread import served
from tests.web.test_site import get


@pytest.mark.usefixtures("desk")
def test_a_change_of_method_shows_both_steps_and_the_revised_comparative(tmp_path: Path) -> None:
    folder = tmp_path / "disclosures"
    bridge, comparative = (
        json.loads((folder / "2026Q3/summary@1" / name).read_bytes())
        for name in ("bridge.json", "comparative.json")
    )
    with served(tmp_path / "third-quarter", book=folder) as site:
        status, _, text = get(f"{site}/disclosures/saas.example/2026Q3/summary@1")
        assert status == 200
    for step in bridge["steps"]:
        assert f"<h3>{step['name']}, {step['unit']}</h3>" in text
    bars = sum(2 + sum(1 for v in step["effects"].values() if Decimal(v)) for step in bridge["steps"])
    assert text.count('rx="2"/>') == bars
    assert "The period before, under both methodologies" in text
    assert f"moves the period before by {comparative['difference_percent']} %" in text
    for row in comparative["rows"]:
        assert f'<td class="name">{row["label"]}</td>' in text
        assert f"<b>{row['kg_per_1000']}</b>" in text
        assert f">{row['kg_per_1000_low95']}–{row['kg_per_1000_high95']}</td>" in text
