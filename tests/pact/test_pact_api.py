"""The HTTP API beyond PACT's own cases: who sees what, pages that stand still, errors, schemathesis."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from typer.testing import CliRunner

from tests.disclosure.pact_sources import Shelf
from tests.disclosure.sealed_rows import cell, sealed
from tests.pact.pact_host import Authority, Customer, Host, config_of, hosting, recipient
from tests.pact.test_pact_conformance import event, posted
from wattspan.cli.main import app
from wattspan.disclosure.pact import Terms
from wattspan.disclosure.pact.catalogue import Catalogue
from wattspan.disclosure.pact.clients import Client, Clients
from wattspan.disclosure.pact.criteria import Criteria
from wattspan.disclosure.pact.openapi import openapi
from wattspan.disclosure.pact.state import State
from wattspan.disclosure.subject import Feature

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def http(host: Host) -> Iterator[httpx.Client]:
    with host.asking() as client:
        yield client


def data_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def test_a_client_of_one_feature_sees_that_feature_alone(host: Host, http: httpx.Client) -> None:
    everything = data_of(http.get("/3/footprints"))
    search = next(f for f in everything if "SE-1" in f["productIds"][0])
    with host.asking(host.add_client("search only", "search")) as narrow:
        assert data_of(narrow.get("/3/footprints")) == [search]
        assert narrow.get(f"/3/footprints/{search['id']}").status_code == 200
        refused = narrow.get(f"/3/footprints/{everything[0]['id']}")
    assert (refused.status_code, refused.json()["code"]) == (403, "AccessDenied")


def test_pages_show_the_catalogue_as_it_was_when_new_ones_are_published(
    tmp_path: Path, authority: Authority
) -> None:
    shelf = Shelf(tmp_path)

    def publish(number: int) -> None:
        name = f"feature {number}"
        shelf.publish(feature=Feature(name), rows=sealed(cell(feature=name)))

    for number in range(5):
        publish(number)
    with hosting(shelf, config_of(tmp_path, authority), authority) as host, host.asking() as http:
        before = [f["id"] for f in data_of(http.get("/3/footprints"))]
        answer = http.get("/3/footprints?limit=2&status=Active")
        found = [f["id"] for f in data_of(answer)]
        publish(5)
        assert len(data_of(http.get("/3/footprints"))) == 6
        while "next" in answer.links:
            assert "status=Active" in answer.links["next"]["url"]
            answer = http.get(answer.links["next"]["url"])
            found += [f["id"] for f in data_of(answer)]
    assert found == before


def test_a_token_that_ended_is_told_so(tmp_path: Path, authority: Authority) -> None:
    with hosting(Shelf(tmp_path), config_of(tmp_path, authority), authority) as host:
        host.now["at"] = 1_800_000_000.0
        with host.asking() as http:
            host.now["at"] += 3599
            assert http.get("/3/footprints").status_code == 200
            host.now["at"] += 1
            answer = http.get("/3/footprints")
            assert (answer.status_code, answer.json()["code"]) == (401, "TokenExpired")
            # a day later nobody remembers it
            host.now["at"] += 24 * 3600 + 1
            host.token()
            assert http.get("/3/footprints").json()["code"] == "BadRequest"


def test_a_client_that_was_removed_is_out_at_once(host: Host) -> None:
    credentials = host.add_client("for a short while")
    with host.asking(credentials) as http:
        assert http.get("/3/footprints").status_code == 200
        state = State(host.config.pact.state)
        Clients(state).remove("for a short while")
        state.close()
        assert http.get("/3/footprints").status_code == 401


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("limit=0", "limit is '0'; allowed: a whole number from 1"),
        ("limit=-1", "limit is '-1'"),
        ("limit=2.0", "limit is '2.0'"),
        ("limit=1e3", "limit is '1e3'"),
        ("limit=" + "9" * 5000, "limit is '99999999999999999999'"),
        ("cursor=bm9uc2Vuc2U", "cursor names no page"),
        ("cursor=" + "f" * 25, "cursor names no page"),
        ("cursor=%F0%9F%98%80", "cursor names no page"),
        ("validOn=yesterday", "validOn is 'yesterday'; allowed: one time such as"),
        ("validOn=2026-02-30T00:00:00Z", "validOn is '2026-02-30T00:00:00Z'"),
        ("validOn=2026-01-01T00:00:00Z&validOn=2026-01-02T00:00:00Z", "one time such as"),
        ("$filter=created%20ge%20'2023'", "'$filter' is not a criterion; allowed: productId"),
        ("x-other-invoice=1", "'x-other-invoice' is not a criterion"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(http: httpx.Client, query: str, why: str) -> None:
    answer = http.get(f"/3/footprints?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    assert why in answer.json()["message"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"specversion": "0.3"}, "specversion is '0.3'"),
        ({"type": "org.wbcsd.pathfinder.ProductFootprintRequest.Created.v1"}, "allowed: org.wbcsd.pact"),
        ({"id": ""}, "id is ''"),
        ({"id": "x" * 501}, "a text of 1 to 500 characters"),
        ({"id": "\ud800"}, "id is '\\ud800'"),
        ({"source": None}, "source is missing"),
        ({"time": "now"}, "time is 'now'"),
        ({"data": []}, "data is []; allowed: an object"),
        ({"data": {}}, "data has no criterion"),
        ({"data": {"comment": "all of it, please"}}, "data has no criterion"),
        ({"data": {"productId": []}}, "data has no criterion"),
        ({"data": {"productId": [5]}}, "data.productId is [5]; allowed: texts"),
        ({"data": {"companyId": ["", ""], "productId": ["urn:x:y"]}}, "allowed: texts that are not empty"),
        ({"data": {"product": ["x"]}}, "data: 'product' is not a criterion"),
        ({"data": {"validOn": "x"}}, "data: validOn is 'x'"),
    ],
)
def test_an_event_that_is_none_is_refused(
    http: httpx.Client, customer: Customer, changes: dict[str, Any], why: str
) -> None:
    content = {**event("RequestCreatedEvent", {"productId": ["urn:x:y"]}, customer.url), **changes}
    answer = posted(http, content)
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    assert why in answer.json()["message"]


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        ("RequestFulfilledEvent", {"requestEventId": "1", "pfs": []}, "data.pfs is []"),
        ("RequestFulfilledEvent", {"pfs": [{"id": "x"}]}, "data.requestEventId is missing"),
        (
            "RequestFulfilledEvent",
            {"requestEventId": "1", "pfs": [{"id": "x"}]},
            "data.pfs[0] is no footprint",
        ),
        (
            "RequestRejectedEvent",
            {"requestEventId": "1", "error": {"code": "Oops", "message": ""}},
            "data.error is",
        ),
        ("PublishedEvent", {"pfIds": []}, "data.pfIds is []"),
        ("PublishedEvent", {}, "data.pfIds is missing"),
    ],
)
def test_answers_and_news_of_others_are_checked(
    http: httpx.Client, customer: Customer, kind: str, data: dict[str, Any], why: str
) -> None:
    answer = posted(http, event(kind, data, customer.url))
    assert answer.status_code == 400
    assert why in answer.json()["message"]


def test_an_answer_to_us_is_taken_and_kept(host: Host, http: httpx.Client, customer: Customer) -> None:
    footprint = data_of(http.get("/3/footprints"))[0]
    content = event("RequestFulfilledEvent", {"requestEventId": "ours", "pfs": [footprint]}, customer.url)
    assert posted(http, content).status_code == 200
    error = {"code": "NotFound", "message": "none"}
    assert (
        posted(http, event("RequestRejectedEvent", {"requestEventId": "o", "error": error}, "/e")).status_code
        == 200
    )


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/cloudevents+json", 400),
        (b"[" * 100_000, "application/cloudevents+json", 400),
        (b"\xff\xfe", "application/cloudevents+json", 400),
        (b"{}", "text/plain", 400),
        (b" " * (1024 * 1024 + 1), "application/cloudevents+json", 413),
    ],
)
def test_a_body_that_is_no_event_is_refused(http: httpx.Client, body: bytes, kind: str, status: int) -> None:
    answer = http.post("/3/events", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (status, "BadRequest")


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Basic abc", "Bearer \xff\xfe", "Bearer " + "x" * 7000, "bearer a b c"],
)
def test_without_a_token_nothing_is_answered(host: Host, authorization: str) -> None:
    with host.http() as http:
        answer = http.get("/3/footprints", headers={b"Authorization": authorization.encode("latin-1")})
    assert (answer.status_code, answer.json()["code"]) == (401, "BadRequest")


@pytest.mark.parametrize(
    ("form", "authorization", "status", "error"),
    [
        ({"grant_type": "password"}, None, 400, "unsupported_grant_type"),
        ({"grant": "client_credentials"}, None, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, None, 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, "Bearer x", 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, "Basic %%%", 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, "Basic bm9jb2xvbg==", 401, "invalid_client"),
        ({"grant_type": "client_credentials", "x": "y" * 9000}, None, 413, "invalid_request"),
    ],
)
def test_the_token_endpoint_says_what_is_wrong(
    host: Host, form: dict[str, str], authorization: str | None, status: int, error: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    with host.http() as http:
        answer = http.post("/auth/token", data=form, headers=headers)
        assert http.post("/auth/token", json=form).json()["error"] == "invalid_request"
    assert (answer.status_code, answer.json()["error"]) == (status, error)


TRAVERSALS = [
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "....//....//etc/passwd",
    "..%5c..%5cwindows%5cwin.ini",
    "%00",
    "ledger.jsonl",
    "saas.example/2026Q3/ticket-summary@1",
    "saas.example%2F2026Q3%2Fticket-summary@1",
    "%e2%88%95etc%e2%88%95passwd",
    "file:///etc/passwd",
    "%ff%fe",
]


@pytest.mark.parametrize("name", TRAVERSALS)
def test_no_id_reaches_the_disk(host: Host, http: httpx.Client, name: str) -> None:
    raw = name.encode()
    for prefix in (b"/3/footprints/", b"/schema/", b"/", b"/auth/", b"/.well-known/"):
        url = httpx.URL(host.url).copy_with(raw_path=prefix + raw)
        answer = http.get(url)
        assert answer.status_code in (404, 405), (prefix, answer.text)
        assert b"root:" not in answer.content
        assert set(answer.json()) == {"code", "message"}


def test_an_error_nobody_foresaw_tells_nothing(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf(tmp_path)
    shelf.publish()
    with hosting(shelf, config_of(tmp_path, authority), authority) as host, host.asking() as http:
        assert http.get("/3/footprints").status_code == 200
        ledger = shelf.book.ledger.path
        ledger.write_bytes(ledger.read_bytes().replace(b"publish", b"publisH"))
        answer = http.get("/3/footprints")
    assert (answer.status_code, answer.json()) == (
        500,
        {"code": "InternalError", "message": "something went wrong here; it was logged"},
    )
    assert "ledger.jsonl, line 2" in caplog.text


def test_a_folder_that_was_changed_is_not_handed_out_until_it_is_mended(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.publish()
    published = shelf.publish(feature=Feature("search"), rows=sealed(cell(feature="search")))
    statement = shelf.book.folder(published.id) / "disclosure.json"
    whole = statement.read_bytes()
    statement.write_bytes(whole.replace(b"Example SaaS", b"Another SaaS"))
    state, now = State(tmp_path / "pact.sqlite"), [0.0]
    catalogue = Catalogue(shelf.book, Terms(), state, lambda: now[0])
    catalogue.refresh()
    assert len(catalogue) == 1
    assert catalogue.problems == (
        "saas.example/2026Q3/search@1 is not handed out: disclosure.json was changed: its SHA-256 is not the "
        "manifest's",
    )
    statement.write_bytes(whole)
    for now[0], count in ((29.0, 1), (30.0, 2)):
        catalogue.refresh()
        assert len(catalogue) == count
    assert catalogue.problems == ()
    state.close()


def test_what_another_ledger_had_is_not_handed_out(tmp_path: Path) -> None:
    one, other = Shelf(tmp_path), Shelf(tmp_path / "other")
    one.publish()
    other.publish(feature=Feature("search"), rows=sealed(cell(feature="search")))
    state = State(tmp_path / "pact.sqlite")
    for shelf, name in ((one, "ticket-summary"), (other, "search"), (one, "ticket-summary")):
        catalogue = Catalogue(shelf.book, Terms(), state)
        catalogue.refresh()
        found = catalogue.all_of(Criteria(), Client("c", "c", None, ""))
        assert [entry.feature for entry in found] == [name]
    state.close()


def test_what_was_handed_out_stays_as_it_was_when_terms_change(tmp_path: Path, authority: Authority) -> None:
    shelf = Shelf(tmp_path)
    first = shelf.publish()
    config = config_of(tmp_path, authority)
    with hosting(shelf, config, authority) as host, host.asking() as http:
        before = data_of(http.get("/3/footprints"))
        credentials = host.credentials
    changed = config.model_validate(
        {
            **config.model_dump(),
            "disclosure": {
                **config.disclosure.model_dump(),
                "pact": {"company_ids": ["urn:pact:saas.example:company-id:2"]},
            },
        }
    )
    shelf.restated(first)
    with hosting(shelf, changed, authority, credentials) as host, host.asking() as http:
        after = data_of(http.get("/3/footprints"))
    assert after[0] == {**before[0], "status": "Deprecated"}
    assert after[1]["companyIds"] == ["urn:pact:saas.example:company-id:2"]


def test_every_answer_says_how_it_may_be_used_and_not_where_it_came_from(
    host: Host, http: httpx.Client
) -> None:
    for path in (
        "/3/footprints",
        "/3/footprints/x",
        "/nothing",
        "/openapi.json",
        "/.well-known/openid-configuration",
    ):
        headers = http.get(path).headers
        assert headers["Server"] == "wattspan"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["", "evil.example/<script>", "a b"])
def test_a_host_that_is_none_is_in_no_link(host: Host, http: httpx.Client, name: str) -> None:
    answer = http.get("/3/footprints?limit=1", headers={"Host": name})
    assert answer.status_code == 400


def test_anybody_may_read_the_schema_and_the_description(host: Host) -> None:
    with host.http() as http:
        schema = http.get("/schema/llm-inference-disclosure-1.0.schema.json")
        described = http.get("/openapi.json").json()
    Draft202012Validator.check_schema(schema.json())
    assert schema.headers["Content-Type"].startswith("application/schema+json")
    assert described == openapi()


def test_documents_have_the_description_that_is_served() -> None:
    printed = CliRunner().invoke(app, ["pact", "openapi"]).output
    assert json.loads(printed) == openapi()
    assert (DOCS / "schema/pact-api.openapi.json").read_text(encoding="utf-8") == printed


def login_of(host: Host) -> str:
    known = host.credentials
    return "Basic " + base64.b64encode(f"{known.client.id}:{known.secret}".encode()).decode()


@pytest.fixture(scope="module")
def roomy(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, customer: Customer
) -> Iterator[Host]:
    """A host whose limits schemathesis does not reach."""
    root = tmp_path_factory.mktemp("roomy")
    shelf = Shelf(root)
    shelf.restated(shelf.publish())
    limits = {"token_requests_per_minute": 10**6, "failures_before_lock": 10**6}
    config = config_of(root, authority, limits=limits, recipients=[recipient(customer, authority)])
    with hosting(shelf, config, authority) as found:
        yield found


OPERATIONS = {
    (operation.ok().method, operation.ok().path): operation.ok()
    for operation in schemathesis.openapi.from_dict(openapi()).get_all_operations()
}


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("called", OPERATIONS, ids=[" ".join(name) for name in OPERATIONS])
def test_schemathesis_finds_nothing_that_the_description_does_not_say(
    roomy: Host, called: tuple[str, str], mode: GenerationMode
) -> None:
    operation = OPERATIONS[called]
    bearer = f"Bearer {roomy.token()}"
    authorization = login_of(roomy) if called[1] == "/auth/token" else bearer

    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: schemathesis.Case) -> None:
        case.call_and_validate(
            base_url=roomy.url,
            session=session,
            headers={"Authorization": authorization},
            verify=str(roomy.authority.ca_file),
        )

    has_parameters = bool(operation.body or operation.query or operation.path_parameters)
    with requests.Session() as session:
        if mode is GenerationMode.POSITIVE or has_parameters:
            holds()
        else:
            # what has no parameter cannot be asked wrongly
            with pytest.raises(Unsatisfiable):
                holds()
