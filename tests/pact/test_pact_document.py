"""docs/pact.md: its commands run, from a published disclosure to what a customer's system fetches."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.disclosure.pact_sources import Shelf
from tests.disclosure.sealed_rows import cell, sealed
from tests.pact.pact_host import Authority
from tests.pact.test_pact_clients import SECRET
from tests.pact.test_pact_process import serving
from wattspan.cli.pact import app, client
from wattspan.disclosure.pact.settings import LimitsSection, ListenSection, PactSection, RetrySection
from wattspan.disclosure.subject import Feature

PAGE = (Path(__file__).parents[2] / "docs/pact.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PUBLIC = "https://pact.saas.example:8443"


def run(folder: Path, command: str, **more: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, **more},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("jq")),
    reason="the page asks with curl and jq",
)
def test_the_nine_minutes_lead_to_a_footprint_in_the_customers_hands(tmp_path: Path) -> None:
    Shelf(tmp_path).publish(
        feature=Feature("summary", "Ticket summary"), rows=sealed(cell(feature="summary"))
    )
    authority = Authority(tmp_path)
    section, recipients = (yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml")
    rendering, opening, asking = (text for kind, text in BLOCKS if kind == "sh")

    # what is of this machine: certificate, address, port; and the issuer, whom the page of disclosures names
    listen = section["pact"]["listen"]
    assert listen["host"] == "0.0.0.0"
    listen |= {
        "host": "127.0.0.1",
        "port": 0,
        "tls": {"cert_file": str(authority.cert_file), "key_file": str(authority.key_file)},
    }
    section["disclosure"] = {"issuer": {"domain": "saas.example", "name": "Example SaaS GmbH"}}
    section["pact"] |= recipients["pact"]
    config = tmp_path / "wattspan.yaml"
    config.write_text(yaml.safe_dump(section).replace("${env:ACME_SECRET}", "theirs"))

    run(tmp_path, rendering)
    footprint = json.loads((tmp_path / "pact.json").read_bytes())
    add, serve = opening.splitlines()
    match = SECRET.match(run(tmp_path, add))
    assert match
    assert serve.partition("#")[0].split() == ["wattspan", "pact", "serve", "--config", "wattspan.yaml"]
    with serving(config) as (url, _):
        asked = asking.replace(PUBLIC, url.replace("127.0.0.1", "localhost"))
        answer = run(
            tmp_path,
            asked.replace("curl -s", f"curl -s --cacert {authority.ca_file}"),
            CLIENT_ID=match[1],
            CLIENT_SECRET=match[2],
        )
    assert json.loads(answer) == {"data": [footprint]}


def test_every_setting_and_command_is_on_the_page() -> None:
    named = {
        name
        for commands in (app, client)
        for name in (c.name or c.callback.__name__ for c in commands.registered_commands)
    }
    assert named == {"check", "serve", "openapi", "events", "add", "renew", "remove", "list"}
    for name in named - {"openapi"}:
        assert re.search(rf"wattspan pact (client )?{name}\b", PAGE), name
    for prefix, section in (
        ("pact.listen.", ListenSection),
        ("pact.limits.", LimitsSection),
        ("pact.retry.", RetrySection),
        ("pact.", PactSection),
    ):
        for key, field in section.model_fields.items():
            if field.annotation in (ListenSection, LimitsSection, RetrySection):
                continue
            line = next(
                (line for line in PAGE.splitlines() if line.startswith(f"| `{prefix}") and f"{key}`" in line),
                "",
            )
            assert line, f"{prefix}{key}"
            if isinstance(field.default, (int, float)) and not isinstance(field.default, bool):
                assert f"{field.default:.0f}" in line.split("|")[2], line
