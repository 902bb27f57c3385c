"""Clients and their secrets: told once, kept as hashes in a file of their owner, in no log and no error."""

from __future__ import annotations

import json
import logging
import os
import re
import sqlite3
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner, Result

from tests.disclosure.pact_sources import Shelf
from tests.pact.pact_host import Authority, config_of, hosting
from wattspan.cli.main import app
from wattspan.config import ConfigError
from wattspan.disclosure.pact.settings import LimitsSection, load_pact_config
from wattspan.disclosure.pact.state import State, StateError
from wattspan.web.pact.attempts import Attempts

SECRET = re.compile(r"client_id: (client-[0-9a-f]{16})\nclient_secret: ([A-Za-z0-9_-]{43})\n")


def file_of(folder: Path, authority: Authority, **pact: Any) -> Path:
    """A configuration as a user writes it."""
    content = {
        "disclosure": {"issuer": {"domain": "saas.example", "name": "Example SaaS GmbH"}},
        "pact": {
            "listen": {
                "port": 0,
                "tls": {"cert_file": str(authority.cert_file), "key_file": str(authority.key_file)},
            },
            **pact,
        },
    }
    path = folder / "wattspan.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def folder(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file_of(tmp_path, authority)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["pact", *arguments, "--config", "wattspan.yaml"])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_told_once_and_kept_as_a_hash(folder: Path) -> None:
    umask = os.umask(0)
    try:
        made = run("client", "add", "acme", "--feature", "search")
    finally:
        os.umask(umask)
    match = SECRET.match(made.stdout)
    assert match, made.output
    # a slip of the pen would let it see nothing, in silence
    assert "no feature search is configured or published yet" in made.stderr
    client_id, secret = match.groups()
    assert mode(folder / "wattspan-pact.sqlite") == 0o600
    for path in folder.glob("wattspan-pact.sqlite*"):
        assert mode(path) == 0o600, path
        assert secret.encode() not in path.read_bytes()
    listed = json.loads(run("client", "list", "--json").stdout)
    assert [(one["name"], one["client_id"], one["features"]) for one in listed] == [
        ("acme", client_id, ["search"])
    ]
    assert secret not in run("client", "list").output
    with sqlite3.connect("wattspan-pact.sqlite") as db:
        (salt, digest) = db.execute("SELECT salt, hash FROM clients").fetchone()
    db.close()
    assert (len(salt), len(digest)) == (16, 32)


def test_a_name_is_there_once_and_a_removed_client_is_gone(folder: Path) -> None:
    first = run("client", "add", "acme")
    again = run("client", "add", "acme")
    assert again.exit_code == 2
    assert "there is a client 'acme' already" in " ".join(again.output.split())
    renewed = SECRET.match(run("client", "renew", "acme").stdout)
    before = SECRET.match(first.stdout)
    assert renewed
    assert before
    assert renewed[1] == before[1]
    assert renewed[2] != before[2]
    assert run("client", "remove", "acme").exit_code == 0
    gone = run("client", "remove", "acme")
    assert (
        gone.exit_code,
        "there is no client 'acme'; there are: none" in " ".join(gone.output.split()),
    ) == (2, True)


def test_a_state_that_others_may_read_is_refused(folder: Path) -> None:
    run("client", "add", "acme")
    Path("wattspan-pact.sqlite").chmod(0o644)
    refused = run("client", "list")
    assert refused.exit_code == 2
    assert "may be read by others (mode 644); run `chmod 600" in " ".join(refused.output.split())


def test_a_file_that_is_no_state_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_text("nothing of the kind" * 100)
    path.chmod(0o600)
    with pytest.raises(StateError, match=r"x\.sqlite is no state of PACT"):
        State(path)


def test_the_old_secret_of_a_renewed_client_and_its_tokens_no_longer_hold(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file_of(tmp_path, authority, state=str(tmp_path / "pact.sqlite"))
    with hosting(Shelf(tmp_path), config_of(tmp_path, authority), authority) as host, host.asking() as http:
        assert http.get("/3/footprints").status_code == 200
        made = SECRET.match(run("client", "renew", "customer").stdout)
        assert made
        assert http.get("/3/footprints").status_code == 401
        form = {"grant_type": "client_credentials"}
        assert http.post("/auth/token", data=form, auth=(made[1], host.credentials.secret)).status_code == 401
        assert http.post("/auth/token", data=form, auth=(made[1], made[2])).status_code == 200


def test_neither_secrets_nor_tokens_are_in_logs_or_errors(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    config = config_of(tmp_path, authority)
    with hosting(Shelf(tmp_path), config, authority) as host:
        token = host.token()
        wrong = "a-secret-of-somebody-else"
        with host.http(Authorization=f"Bearer {token}x") as http:
            answers = [
                http.get("/3/footprints"),
                http.post("/auth/token", data={"grant_type": "client_credentials"}, auth=("x", wrong)),
            ]
        secrets = (token, wrong, host.credentials.secret)
    said = (
        caplog.text
        + "".join(answer.text + str(answer.headers) for answer in answers)
        + repr(host.credentials)
    )
    assert "token for 'x' from 127.0.0.1: refused" in caplog.text
    assert [secret for secret in secrets if secret in said] == []
    state = b"".join(path.read_bytes() for path in tmp_path.glob("pact.sqlite*"))
    assert [secret for secret in secrets if secret.encode() in state] == []


def test_after_wrong_secrets_in_a_row_there_is_a_wait_and_it_is_told(
    tmp_path: Path, authority: Authority
) -> None:
    config = config_of(tmp_path, authority, limits={"failures_before_lock": 3})
    with hosting(Shelf(tmp_path), config, authority) as host, host.http() as http:

        def ask(secret: str) -> httpx.Response:
            pair = (host.credentials.client.id, secret)
            return http.post("/auth/token", data={"grant_type": "client_credentials"}, auth=pair)

        assert [ask("wrong").status_code for _ in range(3)] == [401, 401, 401]
        locked = ask(host.credentials.secret)
    assert (locked.status_code, locked.json()["error"]) == (429, "slow_down")
    assert 1 <= int(locked.headers["Retry-After"]) <= 60


LIMITS = LimitsSection(token_requests_per_minute=100, failures_before_lock=3, lock_s=60, most_lock_s=200)


def test_locks_double_up_to_the_longest_and_end_with_the_right_secret() -> None:
    found, now, waits = Attempts(LIMITS), 0.0, []
    for _ in range(4):
        for _ in range(3):
            assert found.wait_s("acme", "1.1.1.1", now) == 0
            found.failed("acme", "1.1.1.1", now)
        waits.append(found.wait_s("acme", "1.1.1.1", now))
        now += waits[-1]
    assert waits == [60, 120, 200, 200]
    found.succeeded("acme", "1.1.1.1")
    found.failed("acme", "1.1.1.1", now)
    assert found.wait_s("acme", "1.1.1.1", now) == 0


def test_an_address_is_locked_whatever_client_it_names() -> None:
    found = Attempts(LIMITS)
    for name in ("a", "b", "c"):
        found.failed(name, "6.6.6.6", 0.0)
    assert found.wait_s("d", "6.6.6.6", 0.0) == 60
    assert found.wait_s("d", "7.7.7.7", 0.0) == 0


def test_a_client_is_locked_for_strangers_and_not_where_it_lives() -> None:
    found = Attempts(LIMITS)
    found.succeeded("acme", "1.1.1.1")
    for number in range(3):
        found.failed("acme", f"6.6.6.{number}", 0.0)
    assert found.wait_s("acme", "6.6.6.9", 0.0) == 60
    assert found.wait_s("acme", "1.1.1.1", 0.0) == 0


def test_an_address_may_ask_so_often_a_minute() -> None:
    found = Attempts(LimitsSection(token_requests_per_minute=3))
    assert [found.wait_s("acme", "1.1.1.1", float(second)) for second in (0, 10, 20, 30)] == [0, 0, 0, 30]
    assert found.wait_s("acme", "2.2.2.2", 30.0) == 0
    assert found.wait_s("acme", "1.1.1.1", 60.0) == 0


def test_behind_a_proxy_the_address_is_the_one_it_names(tmp_path: Path, authority: Authority) -> None:
    config = config_of(
        tmp_path, authority, listen={"port": 0, "clear_on_loopback": True}, limits={"failures_before_lock": 1}
    )
    with hosting(Shelf(tmp_path), config, authority) as host, httpx.Client(base_url=host.url) as http:
        assert host.url.startswith("http://127.0.0.1:")

        def status(forwarded: str) -> int:
            form = {"grant_type": "client_credentials"}
            headers = {"X-Forwarded-For": forwarded}
            return http.post("/auth/token", data=form, auth=(forwarded, "y"), headers=headers).status_code

        assert [status("1.2.3.4, 5.5.5.5"), status("9.9.9.9, 5.5.5.5"), status("5.5.5.5, 1.2.3.4")] == [
            401,
            429,
            401,
        ]


@pytest.mark.parametrize(
    ("pact", "why"),
    [
        ({"listen": {}}, "pact.listen: PACT is never served in clear: give tls: with cert_file and key_file"),
        (
            {"listen": {"host": "0.0.0.0", "clear_on_loopback": True}},
            "clear_on_loopback serves this machine only, and host is 0.0.0.0",
        ),
        (
            {"recipients": [{"name": "a", "url": "http://a.example", "client_id": "x"}]},
            "recipients.0.url: allowed: an address that begins with https://, without user",
        ),
        (
            {"recipients": [{"name": "a", "url": "https://u:p@a.example"}]},
            "recipients.0.url: allowed: an address",
        ),
        (
            {
                "recipients": [
                    {"name": "a", "url": "https://a.example", "client_id": "x", "client_secret": ["s3cret"]}
                ]
            },
            "recipients.0.client_secret",
        ),
        (
            {"tokens": 5},
            "pact.tokens: Extra inputs are not permitted, found 5; allowed keys: listen, url, state",
        ),
    ],
)
def test_a_section_that_cannot_be_is_refused(
    tmp_path: Path, authority: Authority, pact: dict[str, Any], why: str
) -> None:
    path = file_of(tmp_path, authority, **pact)
    with pytest.raises(ConfigError) as caught:
        load_pact_config(path, {})
    assert why in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_secrets_of_ours_come_from_the_environment(tmp_path: Path, authority: Authority) -> None:
    recipient = {
        "name": "a",
        "url": "https://a.example/",
        "client_id": "us",
        "client_secret": "${env:A_SECRET}",
    }
    path = file_of(tmp_path, authority, recipients=[recipient])
    found = load_pact_config(path, {"A_SECRET": "abc"}).pact.recipients[0]
    assert found.client_secret.get_secret_value() == "abc"
    assert (found.events_address, found.token_address) == (
        "https://a.example/3/events",
        "https://a.example/auth/token",
    )
    assert "abc" not in repr(found)
    with pytest.raises(ConfigError, match="the environment variable A_SECRET is not set"):
        load_pact_config(path, {})
    # who only publishes needs none of it
    assert CliRunner().invoke(app, ["disclosure", "list", "--config", str(path)]).exit_code == 0


def test_events_are_listed(folder: Path) -> None:
    assert json.loads(run("events", "--json").stdout) == {"arrivals": [], "departures": []}
    assert run("events").exit_code == 0
