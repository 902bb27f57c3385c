"""The documented test cases of PACT's conformance service for 3.0, each as one test over loopback TLS.

Numbers are those of wbcsd/pact-conformance-service (docs/v3-test-cases-expected-results.md), words are ours.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from tests.disclosure.test_pact_footprint import official_part, official_schema
from tests.pact.pact_host import Customer, Host
from wattspan.disclosure.pact import events, faults
from wattspan.disclosure.pact.rules import set_faults

TYPE = "org.wbcsd.pact.ProductFootprint."


@pytest.fixture(scope="module")
def http(host: Host) -> Iterator[httpx.Client]:
    with host.asking() as client:
        yield client


@pytest.fixture(scope="module")
def footprints(http: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/3/footprints").json()["data"]
    return found


def event(kind: str, data: dict[str, Any], source: str, **given: Any) -> dict[str, Any]:
    return {
        "type": f"{TYPE}{kind}.3",
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": source,
        "time": "2026-11-28T10:30:00Z",
        "data": data,
        **given,
    }


def posted(http: httpx.Client, content: dict[str, Any], **headers: str) -> httpx.Response:
    sent = {"Content-Type": "application/cloudevents+json; charset=UTF-8", **headers}
    return http.post("/3/events", content=json.dumps(content), headers=sent)


def listed(http: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = http.get(f"/3/footprints?{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def login(http: httpx.Client, client_id: str, secret: str) -> httpx.Response:
    return http.post("/auth/token", data={"grant_type": "client_credentials"}, auth=(client_id, secret))


def test_01_a_token_for_the_right_secret(host: Host) -> None:
    with host.http() as http:
        answer = login(http, host.credentials.client.id, host.credentials.secret)
    assert answer.status_code == 200
    content = answer.json()
    assert (content["token_type"], content["expires_in"], len(content["access_token"])) == (
        "Bearer",
        3600,
        43,
    )
    assert answer.headers["Cache-Control"] == "no-store"


def test_02_and_19_none_for_a_wrong_one(host: Host) -> None:
    with host.http() as http:
        answer = login(http, "somebody", "something")
    assert answer.status_code == 401
    assert answer.json() == {"error": "invalid_client", "error_description": "client id or secret is wrong"}
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_03_a_footprint_by_its_id(http: httpx.Client, footprints: list[dict[str, Any]]) -> None:
    for footprint in footprints:
        answer = http.get(f"/3/footprints/{footprint['id']}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.json() == {"data": footprint}


def test_04_all_footprints_each_without_a_fault(footprints: list[dict[str, Any]]) -> None:
    assert [f["status"] for f in footprints] == ["Deprecated", "Active", "Active"]
    assert [fault for footprint in footprints for fault in faults(footprint)] == []
    assert set_faults(footprints) == []


def test_04_each_is_valid_by_the_official_schema(footprints: list[dict[str, Any]]) -> None:
    validator = Draft202012Validator(official_schema())
    assert [error for footprint in footprints for error in validator.iter_errors(footprint)] == []


def test_05_pages_by_links_to_the_host_that_was_asked(
    http: httpx.Client, footprints: list[dict[str, Any]]
) -> None:
    found = []
    answer = http.get("/3/footprints?limit=1")
    while True:
        found += answer.json()["data"]
        if "next" not in answer.links:
            break
        link = answer.links["next"]["url"]
        assert link.startswith(f"https://{http.base_url.netloc.decode()}/3/footprints?")
        # a link may be called again
        assert http.get(link).json() == http.get(link).json()
        answer = http.get(link)
        assert len(answer.json()["data"]) == 1
    assert found == footprints


@pytest.mark.parametrize("path", ["/3/footprints", "/3/footprints/{id}"])
def test_06_07_a_token_that_is_none(host: Host, footprints: list[dict[str, Any]], path: str) -> None:
    with host.http(Authorization="Bearer very-invalid-access-token-1234") as http:
        answer = http.get(path.format(id=footprints[0]["id"]))
    assert answer.status_code == 401
    assert answer.json()["code"] == "BadRequest"
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


def test_08_a_footprint_that_there_is_not(http: httpx.Client) -> None:
    answer = http.get("/3/footprints/00000000-0000-0000-0000-000000000000")
    assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")
    assert http.get("/3/footprints/non-existent-id").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/auth/token"), ("GET", "/3/footprints"), ("GET", "/3/footprints/x"), ("POST", "/3/events")],
)
def test_09_10_11_17_nothing_is_answered_in_clear(host: Host, method: str, path: str) -> None:
    with httpx.Client() as clear, pytest.raises(httpx.HTTPError):
        clear.request(method, f"{host.url.replace('https:', 'http:')}{path}")


def test_12_13_a_request_is_fulfilled_at_the_customers_own_endpoint(
    http: httpx.Client, customer: Customer, footprints: list[dict[str, Any]]
) -> None:
    before = len(customer.events)
    data = {"productId": footprints[0]["productIds"], "comment": "Please send PCF data for this year."}
    request = event("RequestCreatedEvent", data, customer.url, id="run-1/12")
    answer = posted(http, request)
    assert (answer.status_code, answer.content) == (200, b"")
    fulfilled = customer.wait_for(before + 1)[-1]
    assert fulfilled["type"] == f"{TYPE}RequestFulfilledEvent.3"
    assert customer.types[-1] == "application/cloudevents+json; charset=UTF-8"
    assert fulfilled["data"] == {"requestEventId": "run-1/12", "pfs": footprints[:2]}
    assert (fulfilled["specversion"], fulfilled["source"]) == ("1.0", "//saas.example/3/events")
    assert fulfilled["time"].endswith("Z")
    uuid.UUID(fulfilled["id"])


def test_14_a_and_b_a_request_for_what_there_is_not_is_rejected(
    http: httpx.Client, customer: Customer
) -> None:
    before = len(customer.events)
    request = event("RequestCreatedEvent", {"productId": ["urn:pact:null"]}, customer.url, id="run-1/14.A")
    assert posted(http, request).status_code == 200
    rejected = customer.wait_for(before + 1)[-1]
    assert rejected["type"] == f"{TYPE}RequestRejectedEvent.3"
    assert rejected["data"] == {
        "requestEventId": "run-1/14.A",
        "error": {"code": "NotFound", "message": "no footprint is as you asked"},
    }


def test_15_news_of_somebody_elses_footprints(http: httpx.Client, customer: Customer) -> None:
    content = event("PublishedEvent", {"pfIds": ["3a6c14a7-4deb-498a-b5ea-16ce2535b576"]}, customer.url)
    answer = posted(http, content)
    assert (answer.status_code, answer.content) == (200, b"")


def test_16_an_event_with_a_token_that_is_none(host: Host, customer: Customer) -> None:
    content = event("PublishedEvent", {"pfIds": ["3a6c14a7-4deb-498a-b5ea-16ce2535b576"]}, customer.url)
    with host.http() as http:
        answer = posted(http, content, Authorization="Bearer very-invalid-access-token")
    assert (answer.status_code, answer.json()["code"]) == (401, "BadRequest")


def test_18_the_token_endpoint_is_discovered(host: Host) -> None:
    with host.http() as http:
        content = http.get("/.well-known/openid-configuration").json()
        assert content["issuer"] == host.url
        answer = http.post(
            content["token_endpoint"],
            data={"grant_type": "client_credentials"},
            auth=(host.credentials.client.id, host.credentials.secret),
        )
    assert answer.status_code == 200


def test_what_is_sent_and_told_is_as_the_official_document_has_it(
    host: Host, http: httpx.Client, customer: Customer, footprints: list[dict[str, Any]]
) -> None:
    before = len(customer.events)
    for asked in (footprints[0]["productIds"], ["urn:pact:null"]):
        assert (
            posted(http, event("RequestCreatedEvent", {"productId": asked}, customer.url)).status_code == 200
        )
    fulfilled, rejected = sorted(customer.wait_for(before + 2)[before:], key=lambda one: str(one["type"]))
    news = events.published([footprints[0]["id"]], "//saas.example/3/events", dt.datetime.now(dt.UTC))
    with host.http(Authorization="Bearer none") as stranger:
        errors = [stranger.get("/3/footprints").json(), http.get("/3/footprints/x").json()]
    errors += [http.get("/3/footprints?limit=x").json(), rejected["data"]["error"]]
    for name, contents in {
        "RequestFulfilledEvent": [fulfilled],
        "RequestRejectedEvent": [rejected],
        "PublishedEvent": [news],
        "Error": errors,
        "ProductFootprint": footprints,
    }.items():
        validator = official_part(name)
        assert [error.message for one in contents for error in validator.iter_errors(one)] == [], name


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("productId=urn:pact:saas.example:supplier-id:TS-1", [0, 1]),  # 20
        ("productId=URN:PACT:SAAS.EXAMPLE:SUPPLIER-ID:ts-1", [0, 1]),
        ("companyId=urn:pact:saas.example:company-id:saas.example", [0, 1, 2]),  # 21
        ("geography=FR", [0, 1, 2]),  # 22
        ("geography=fr", [0, 1, 2]),
        ("geography=Western%20Europe", [0, 1, 2]),
        ("geography=europe&geography=Asia", [0, 1, 2]),
        ("geography=Eastern%20Europe", []),
        ("geography=FR-75", []),
        ("geography=", [0, 1, 2]),
        ("classification=urn:cpc:83152", [0, 1, 2]),  # 23
        ("classification=urn:pact:productclassification:un-cpc:83152", [0, 1, 2]),
        ("validOn=2026-10-01T00:00:00Z", [0, 1, 2]),  # 24
        ("validOn=2027-10-01T00:00:00Z", [0, 1, 2]),
        ("validOn=2027-10-01T00:00:01Z", []),
        ("validAfter=2026-09-30T00:00:00.000Z", [0, 1, 2]),  # 25
        ("validAfter=2026-10-01T00:00:00Z", []),
        ("validBefore=2027-10-02T00:00:00.000Z", [0, 1, 2]),  # 26
        ("validBefore=2027-10-01T00:00:00Z", []),
        # "+00:00" that nobody escaped
        ("validOn=2026-10-01T00:00:00+00:00", [0, 1, 2]),
        ("validon=2026-10-01T00:00Z", [0, 1, 2]),
        ("status=Active", [1, 2]),  # 27
        ("status=deprecated", [0]),
        ("status=Active&productId=urn:pact:saas.example:supplier-id:TS-1", [1]),  # 28
        (
            "companyId=urn:pact:saas.example:company-id:saas.example&companyId=x8&companyId=y9",
            [0, 1, 2],
        ),  # 29
        ("productId=urn:bogus:product:5", []),  # 30
        ("companyId=urn:bogus:company:5", []),  # 31
        ("geography=XX", []),  # 32
        ("classification=urn:bogus:classification:5", []),  # 33
        ("validOn=1900-01-01T00:00:00Z", []),  # 34
        ("validAfter=2099-12-31T23:59:59Z", []),  # 35
        ("validBefore=1900-01-01T00:00:00Z", []),  # 36
        ("status=BogusStatusValue", []),  # 37
        ("companyId=urn:bogus:company:1&productId=urn:bogus:product:1", []),  # 38
        ("companyId=urn:bogus:company:1&companyId=urn:bogus:company:2", []),  # 39
    ],
)
def test_20_to_39_criteria_are_alternatives_inside_and_hold_together_between(
    http: httpx.Client, footprints: list[dict[str, Any]], query: str, expected: list[int]
) -> None:
    assert listed(http, query) == [footprints[index] for index in expected]


def test_40_news_of_what_is_no_uuid_is_refused(http: httpx.Client, customer: Customer) -> None:
    answer = posted(http, event("PublishedEvent", {"pfIds": ["urn:gtin:4712345060507"]}, customer.url))
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    assert answer.json()["message"] == (
        "data.pfIds is ['urn:gtin:4712345060507']; allowed: a list of UUIDs, at least one"
    )
