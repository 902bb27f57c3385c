"""`wattspan pact serve` as a process: it stops as told, reads a new certificate, loses nothing if killed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.disclosure.pact_sources import Shelf
from tests.pact.pact_host import (
    RECIPIENT_SECRET,
    WAIT_S,
    Authority,
    add_client,
    config_of,
    customers,
)
from tests.pact.test_pact_callbacks import ASKED
from tests.pact.test_pact_clients import file_of
from tests.pact.test_pact_conformance import event, posted
from wattspan.disclosure.pact.clients import Credentials
from wattspan.tls import client_context

READY = re.compile(r"(https://127\.0\.0\.1:\d+)/3/footprints  footprints: 1; Ctrl-C stops")


@contextmanager
def serving(config: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Address and process of the command; killed at the end where it still runs."""
    command = [sys.executable, "-c", "from wattspan.cli.main import run; run()", "pact", "serve"]
    with subprocess.Popen(
        [*command, "--config", str(config)],
        cwd=config.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            said = process.stdout.readline()
            match = READY.match(said)
            assert match, said + process.stderr.read()
            yield match[1], process
        finally:
            process.kill()


def token_of(url: str, ca_file: Path, credentials: Credentials) -> httpx.Response:
    with httpx.Client(verify=client_context(ca_file), timeout=WAIT_S) as http:
        pair = (credentials.client.id, credentials.secret)
        return http.post(f"{url}/auth/token", data={"grant_type": "client_credentials"}, auth=pair)


def test_it_serves_until_it_is_told_and_reads_a_new_certificate(tmp_path: Path) -> None:
    Shelf(tmp_path).publish()
    authority = Authority(tmp_path)
    path = file_of(tmp_path, authority)
    config = config_of(tmp_path, authority, state=tmp_path / "wattspan-pact.sqlite")
    credentials = add_client(config, "customer")
    with serving(path) as (url, process):
        assert token_of(url, authority.ca_file, credentials).status_code == 200
        newer = Authority(tmp_path / "newer")
        authority.key_file.write_bytes(newer.key_file.read_bytes())
        authority.cert_file.write_bytes(newer.cert_file.read_bytes())
        process.send_signal(signal.SIGHUP)
        ends_at = time.monotonic() + WAIT_S
        while True:
            try:
                assert token_of(url, newer.ca_file, credentials).status_code == 200
                break
            except httpx.ConnectError:
                assert time.monotonic() < ends_at
                time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_what_was_accepted_is_answered_though_it_was_killed(tmp_path: Path, authority: Authority) -> None:
    Shelf(tmp_path).publish()
    with customers(authority) as customer:
        customer.refusals = 10**6
        section = {
            "name": "customer",
            "url": customer.url,
            "client_id": "us",
            "client_secret": RECIPIENT_SECRET,
            "ca_file": str(authority.ca_file),
            "allow_private": True,
        }
        retry = {"first_s": 0.05, "most_s": 0.1}
        path = file_of(tmp_path, authority, recipients=[{**section, "notify": False}], retry=retry)
        config = config_of(tmp_path, authority, state=tmp_path / "wattspan-pact.sqlite")
        credentials = add_client(config, "customer")
        with serving(path) as (url, process):
            token = token_of(url, authority.ca_file, credentials).json()["access_token"]
            bearer = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=url, verify=client_context(authority.ca_file), headers=bearer) as http:
                for number in range(5):
                    request = event("RequestCreatedEvent", ASKED, customer.url, id=f"r{number}")
                    assert posted(http, request).status_code == 200
            process.kill()
            process.wait(WAIT_S)
        assert customer.events == []
        customer.refusals = 0
        with serving(path) as (url, process):
            answers = customer.wait_for(5)
            # tokens outlive it, too
            with httpx.Client(verify=client_context(authority.ca_file), headers=bearer) as http:
                assert http.get(f"{url}/3/footprints").status_code == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(WAIT_S) == 0
    assert sorted(answer["data"]["requestEventId"] for answer in answers) == ["r0", "r1", "r2", "r3", "r4"]
    assert len({answer["id"] for answer in answers}) == 5
    assert json.dumps(answers).count('"status": "Active"') == 5
