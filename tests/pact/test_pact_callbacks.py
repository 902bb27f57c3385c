"""Events on their way: tried again for three days, over a restart, and to configured places alone."""

from __future__ import annotations

import json
import logging
import socket
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.disclosure.pact_sources import Shelf
from tests.disclosure.sealed_rows import cell, sealed
from tests.pact.pact_host import (
    RECIPIENT_SECRET,
    WAIT_S,
    Authority,
    Customer,
    Host,
    add_client,
    config_of,
    customers,
    hosting,
    recipient,
)
from tests.pact.test_pact_conformance import TYPE, event, posted
from wattspan.disclosure.pact.departures import Departures
from wattspan.disclosure.pact.settings import PactConfig, RetrySection
from wattspan.disclosure.pact.state import State
from wattspan.disclosure.subject import Feature
from wattspan.web.pact.addresses import is_public

ASKED = {"productId": ["urn:pact:saas.example:supplier-id:TS-1"]}


def departures(config: PactConfig) -> list[Any]:
    state = State(config.pact.state)
    try:
        return Departures(state, config.pact.retry).all()
    finally:
        state.close()


def asked(host: Host, source: str, **given: Any) -> httpx.Response:
    with host.asking() as http:
        return posted(http, event("RequestCreatedEvent", ASKED, source, **given))


def test_an_event_that_is_not_taken_is_tried_again_until_it_is(tmp_path: Path, authority: Authority) -> None:
    shelf = Shelf(tmp_path)
    shelf.publish()
    with customers(authority) as customer:
        customer.refusals = 3
        config = config_of(tmp_path, authority, recipients=[recipient(customer, authority)])
        with hosting(shelf, config, authority) as host:
            assert asked(host, customer.url, id="r1").status_code == 200
            (fulfilled,) = customer.wait_for(1)
            assert fulfilled["data"]["requestEventId"] == "r1"
        assert customer.refusals == 0
    (departure,) = departures(config)
    assert (departure.state, departure.tries, departure.body) == ("sent", 4, "")


def test_what_was_accepted_is_delivered_after_a_restart(tmp_path: Path, authority: Authority) -> None:
    shelf = Shelf(tmp_path)
    shelf.publish()
    with customers(authority) as customer:
        config = config_of(tmp_path, authority, recipients=[recipient(customer, authority)])
        customer.refusals = 10**6
        with hosting(shelf, config, authority) as host:
            assert asked(host, customer.url, id="r1").status_code == 200
            credentials = host.credentials
            with customer.arrived:
                assert customer.arrived.wait_for(lambda: customer.refusals < 10**6, WAIT_S)
        assert [d.state for d in departures(config)] == ["waiting"]
        customer.refusals = 0
        with hosting(shelf, config, authority, credentials) as host:
            assert customer.wait_for(1)[0]["data"]["requestEventId"] == "r1"
            # the same request again is the same request
            assert asked(host, customer.url, id="r1").status_code == 200
    assert len(customer.events) == 1
    assert len(departures(config)) == 1


def test_the_waits_double_and_end_after_72_hours(tmp_path: Path) -> None:
    state = State(tmp_path / "pact.sqlite")
    found = Departures(state, RetrySection())
    with state.change() as db:
        found.add(db, "customer", {"id": "e1", "type": "t"}, 1000.0)
    now, waits = 1000.0, []
    while True:
        due = found.due(now)
        if not due:
            break
        next_at = found.failed(due[0], "answered 503", now)
        if next_at is None:
            break
        assert found.due(next_at - 1) == []
        waits.append(next_at - now)
        now = next_at
    assert waits[:11] == [30, 60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 21600]
    assert sum(waits) == 72 * 3600
    (given_up,) = found.all()
    assert (given_up.state, given_up.last_error) == ("abandoned", "answered 503")
    state.close()


def test_what_is_long_done_is_forgotten_and_what_waits_is_not(tmp_path: Path) -> None:
    state = State(tmp_path / "pact.sqlite")
    found = Departures(state, RetrySection())
    with state.change() as db:
        for name in ("done", "waits"):
            found.add(db, "customer", {"id": name, "type": "t"}, 0.0)
    found.sent(next(one for one in found.due(0.0) if one.id == "done"))
    for now, left in ((90 * 86_400.0, ["done", "waits"]), (90 * 86_400.0 + 1, ["waits"])):
        with state.change() as db:
            found.add(db, "customer", {"id": f"at {now}", "type": "t"}, now)
        assert [one.id for one in found.all() if not one.id.startswith("at")] == left
    state.close()


def test_news_go_to_those_who_may_see_them(tmp_path: Path, authority: Authority) -> None:
    shelf = Shelf(tmp_path)
    first = shelf.publish()
    shelf.publish(feature=Feature("search", "Search", "SE-1"), rows=sealed(cell(feature="search")))
    with customers(authority) as all_of_it, customers(authority) as search_alone:
        config = config_of(
            tmp_path,
            authority,
            recipients=[
                recipient(all_of_it, authority, notify=True),
                recipient(search_alone, authority, name="searcher", client="search-client", notify=True),
            ],
        )
        add_client(config, "search-client", "search")
        with hosting(shelf, config, authority) as host:
            (begin,) = all_of_it.wait_for(1)
            assert begin["type"] == f"{TYPE}PublishedEvent.3"
            with host.asking() as http:
                ids = [f["id"] for f in http.get("/3/footprints").json()["data"]]
                assert begin["data"] == {"pfIds": ids}
                assert search_alone.wait_for(1)[0]["data"] == {"pfIds": [ids[1]]}
                second = shelf.restated(first)
                # a look at the book tells of the new one, and of the old one that is deprecated now
                found = http.get("/3/footprints").json()["data"]
                news = all_of_it.wait_for(2)[1]["data"]["pfIds"]
            assert [f["status"] for f in found] == ["Deprecated", "Active", "Active"]
            assert sorted(news) == sorted([found[0]["id"], found[2]["id"]])
            assert second.status == "active"
    assert len(search_alone.events) == 1


def test_a_request_from_whom_nobody_registered_is_refused(host: Host, customer: Customer) -> None:
    stranger = host.add_client("stranger without a recipient")
    with host.asking(stranger) as http:
        answer = posted(http, event("RequestCreatedEvent", ASKED, customer.url))
    assert answer.status_code == 400
    assert answer.json()["message"] == "no recipient is registered for you: answers have nowhere to go"


@pytest.mark.parametrize(
    "source", ["https://evil.example/3/events", "//169.254.169.254/latest/meta-data", "http://10.0.0.1"]
)
def test_an_answer_goes_where_it_was_configured_and_not_where_the_event_says(
    host: Host, customer: Customer, source: str
) -> None:
    before = len(customer.events)
    answer = asked(host, source)
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    assert "registered for you: localhost" in answer.json()["message"]
    assert len(customer.events) == before


@pytest.mark.parametrize("source", ["/3/events", "urn:uuid:1f9b0000-0000-0000-0000-000000000000"])
def test_a_source_without_a_host_is_answered_where_it_was_configured(
    host: Host, customer: Customer, source: str
) -> None:
    before = len(customer.events)
    assert asked(host, source).status_code == 200
    customer.wait_for(before + 1)


def failure(tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, **given: Any) -> str:
    """Why the event to a recipient was not taken."""
    shelf = Shelf(tmp_path)
    shelf.publish()
    with customers(authority) as customer:
        customer.redirect_to = given.pop("redirect_to", "")
        section = recipient(customer, authority)
        section |= {key: value(section) if callable(value) else value for key, value in given.items()}
        config = config_of(tmp_path, authority, recipients=[section], retry={"first_s": 3600})
        with hosting(shelf, config, authority) as host:
            asked(host, "/3/events")
            ends_at = time.monotonic() + WAIT_S
            while not (found := departures(config)[0]).tries and time.monotonic() < ends_at:
                time.sleep(0.02)
        assert customer.events == []
    said = "\n".join(record.getMessage() for record in caplog.records) + found.last_error
    assert RECIPIENT_SECRET not in said
    assert "theirs-" not in said
    return str(found.last_error)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:1", "https://[::ffff:127.0.0.1]:1", "https://2130706433:1"]
)
def test_a_private_address_is_never_asked_unless_it_is_allowed(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    why = failure(tmp_path, authority, caplog, allow_private=False, url=url)
    assert why.endswith("is no public address; allow_private lets it be")


def test_a_name_that_leads_to_this_machine_is_never_asked(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    # localhost resolves: the addresses that it has are what is refused
    assert socket.getaddrinfo("localhost", 1)
    why = failure(tmp_path, authority, caplog, allow_private=False)
    assert why == "localhost cannot be reached: localhost is at no public address; allow_private lets it be"


def test_a_redirect_is_not_followed(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    assert failure(tmp_path, authority, caplog, redirect_to="https://127.0.0.1:1/3/events") == "answered 307"


def test_a_certificate_that_nobody_trusts_is_not_trusted(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    assert "certificate" in failure(tmp_path, authority, caplog, ca_file=None).lower()


def test_a_wrong_secret_of_ours_is_told_without_it(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    why = failure(tmp_path, authority, caplog, client_secret="not-that-one")
    assert why == "its token endpoint answered 401"
    assert "not-that-one" not in caplog.text


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::a00:1", False),
        ("localhost", False),
    ],
)
def test_public_addresses_are_told_from_others(address: str, expected: bool) -> None:
    assert is_public(address) is expected


def test_the_state_holds_no_answer_that_was_taken(host: Host, customer: Customer) -> None:
    before = len(customer.events)
    assert asked(host, customer.url).status_code == 200
    customer.wait_for(before + 1)
    ends_at = time.monotonic() + WAIT_S
    with sqlite3.connect(host.config.pact.state) as db:
        while db.execute("SELECT 1 FROM departures WHERE state = 'waiting'").fetchone():
            assert time.monotonic() < ends_at
            time.sleep(0.02)
        rows = db.execute("SELECT state, body FROM departures").fetchall()
    db.close()
    assert set(rows) == {("sent", "")}


def test_a_request_that_is_answered_by_too_much_is_rejected(tmp_path: Path, authority: Authority) -> None:
    shelf = Shelf(tmp_path)
    shelf.restated(shelf.publish())
    with customers(authority) as customer:
        config = config_of(
            tmp_path, authority, recipients=[recipient(customer, authority)], limits={"answer_footprints": 1}
        )
        with hosting(shelf, config, authority) as host:
            assert asked(host, customer.url).status_code == 200
            (answer,) = customer.wait_for(1)
    assert answer["data"]["error"] == {
        "code": "BadRequest",
        "message": "2 footprints are as you asked; ask for at most 1, or fetch them in pages",
    }
    assert json.dumps(answer)
