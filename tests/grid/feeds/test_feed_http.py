"""The client under all feeds: retries, bounds, errors that say enough, and silence about keys."""

from __future__ import annotations

import gzip
import logging
import time
import traceback

import pytest

from tests.grid.feeds.limits import FAST
from tests.grid.server.apis import NGINX_403, Apis, Fault, closed_port
from wattspan.grid.feeds.errors import (
    FeedAccessError,
    FeedAnswerError,
    FeedDownError,
    FeedError,
    FeedKeyError,
    FeedLimitError,
    FeedNoDataError,
    FeedRequestError,
)
from wattspan.grid.feeds.http import Client, Limits

KEY = "s3cret/key+value"
PATH = "/intensity/2026-03-01T00:00Z/2026-03-01T01:00Z"


@pytest.fixture
def client(apis: Apis):
    made = Client(
        "feed", apis.url, headers={"auth-token": KEY}, params={"api_key": KEY}, secrets=(KEY,), limits=FAST
    )
    yield made
    made.close()


def test_good_answer_is_the_json(apis: Apis, client: Client) -> None:
    answer = client.get(PATH)
    assert [row["from"] for row in answer["data"]] == ["2026-03-01T00:00Z", "2026-03-01T00:30Z"]


def test_keys_go_out_as_header_and_parameter(apis: Apis, client: Client) -> None:
    client.get(PATH, {"zone": "DE"})
    _, query, headers = apis.requests[0]
    assert query == {"zone": "DE", "api_key": KEY}
    assert headers["auth-token"] == KEY


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        (Fault(status=401, body='{"error":"bad token","message":"no"}'), FeedKeyError, "401 (bad token: no)"),
        (Fault(status=403, body="Access denied"), FeedAccessError, "403 (Access denied)"),
        (Fault(status=403, body=NGINX_403), FeedAccessError, "403 (HTML: 403 Forbidden 403 Forbidden nginx)"),
        (Fault(status=404, body='{"message":"no data"}'), FeedNoDataError, "404 (no data)"),
        (Fault(status=400, body='{"error":{"message":"bad"}}'), FeedRequestError, "400 (bad)"),
        (Fault(status=429, body="{}"), FeedLimitError, "answered 429"),
        (Fault(status=500, body="oops"), FeedDownError, "500 (oops)"),
        (Fault(status=502, body=NGINX_403), FeedDownError, "502 (HTML"),
        (Fault(body="<html><body>Maintenance</body></html>"), FeedAnswerError, "HTML"),
        (Fault(body=""), FeedAnswerError, "answered 200 with nothing"),
        (Fault(body='{"data": ['), FeedAnswerError, "answered 200 with no JSON"),
        (Fault(body='{"data": NaN}'), FeedAnswerError, "NaN is not JSON"),
        (Fault(body="[" * 100_000), FeedAnswerError, "RecursionError"),
        (Fault(body=b"\xff\xfe{}"), FeedAnswerError, "no JSON"),
        (Fault(cut=10), FeedDownError, "RemoteProtocolError"),
        (Fault(delay_s=0.6), FeedDownError, "no answer within 0.4 s"),
        (Fault(headers={"Content-Encoding": "gzip"}, body="not gzip"), FeedDownError, "DecodingError"),
        (Fault(status=302, headers={"Location": "http://other.example/x"}), FeedAnswerError, "other.example"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)  # fmt: skip
def test_errors_name_feed_zone_range_what_came_and_the_next_step(
    apis: Apis, client: Client, fault: Fault, error: type[FeedError], text: str
) -> None:
    apis.faults = [fault]
    with pytest.raises(error) as caught:
        client.get(PATH, zone="DE", asked="2026-03-01T00:00Z to 2026-03-01T01:00Z")
    message = str(caught.value)
    assert message.startswith("feed (zone DE, 2026-03-01T00:00Z to 2026-03-01T01:00Z): ")
    assert text in message
    assert message.rpartition("; ")[2] == caught.value.next_step
    assert caught.value.next_step


def test_feed_that_is_down_is_an_error_of_its_own(apis: Apis) -> None:
    client = Client("feed", f"http://127.0.0.1:{closed_port()}", limits=FAST)
    with pytest.raises(FeedDownError, match="ConnectError"):
        client.get("/x")
    client.close()


def test_what_may_pass_is_asked_for_again(apis: Apis, client: Client) -> None:
    apis.faults = [Fault(status=503, times=1)]
    assert len(client.get(PATH)["data"]) == 2
    assert len(apis.requests) == 2


def test_what_cannot_pass_is_asked_for_once(apis: Apis, client: Client) -> None:
    apis.faults = [Fault(status=403, body="Access denied")]
    with pytest.raises(FeedAccessError):
        client.get(PATH)
    assert len(apis.requests) == 1


def test_short_retry_after_is_waited_for(apis: Apis) -> None:
    client = Client("feed", apis.url, limits=Limits(first_wait_s=0.0, longest_wait_s=2.0))
    apis.faults = [Fault(status=429, headers={"Retry-After": "1"}, times=1)]
    begin = time.monotonic()
    client.get(PATH)
    assert time.monotonic() - begin >= 1.0
    client.close()


@pytest.mark.parametrize("retry_after", ["600", "Sun, 29 Mar 2026 01:10:00 GMT"])
def test_long_retry_after_is_not_waited_for_but_told(apis: Apis, client: Client, retry_after: str) -> None:
    # 01:00 by the feed's clock, whatever ours says.
    apis.now_unix_s = 1_774_746_000
    apis.faults = [Fault(status=429, headers={"Retry-After": retry_after})]
    with pytest.raises(FeedLimitError, match="ask again in 600 s") as caught:
        client.get(PATH)
    assert caught.value.retry_after_s == 600.0
    assert len(apis.requests) == 1


def test_clock_of_the_feed_is_followed_where_ours_is_wrong(apis: Apis, client: Client) -> None:
    apis.now_unix_s = int(time.time()) - 7 * 3600
    client.get(PATH)
    assert abs(client.now_unix_s() - apis.now_unix_s) <= 2


def test_answer_kept_by_a_cache_in_between_is_no_skew(apis: Apis, client: Client) -> None:
    apis.now_unix_s = int(time.time()) - 3600
    apis.faults = [Fault(headers={"Age": "3600"})]
    client.get(PATH)
    assert client.skew_s == 0


def test_gigantic_answer_is_given_up_at_the_bound(apis: Apis) -> None:
    limits = Limits(attempts=1, body_bytes=10_000)
    client = Client("feed", apis.url, limits=limits)
    apis.faults = [Fault(body=b"[" + b"1," * 10_000 + b"1]")]
    with pytest.raises(FeedRequestError, match="larger than 10,000 bytes"):
        client.get(PATH)
    client.close()


def test_small_answer_that_unpacks_to_a_gigantic_one_is_given_up_too(apis: Apis) -> None:
    client = Client("feed", apis.url, limits=Limits(attempts=1, body_bytes=10_000))
    apis.faults = [Fault(headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"1" * 1_000_000))]
    with pytest.raises(FeedRequestError, match="larger than 10,000 bytes"):
        client.get(PATH)
    client.close()


def test_dripping_answer_ends_at_the_deadline(apis: Apis) -> None:
    client = Client("feed", apis.url, limits=Limits(timeout_s=5.0, deadline_s=0.3, attempts=1))
    apis.faults = [Fault(drip_s=0.02)]
    with pytest.raises(FeedDownError, match=r"not complete after 0\.3 s"):
        client.get(PATH)
    client.close()


def test_own_limit_of_requests_is_kept(apis: Apis) -> None:
    limits = Limits(requests=2, per_s=300.0, attempts=1)
    client = Client("feed", apis.url, limits=limits)
    client.get(PATH)
    client.get(PATH)
    with pytest.raises(FeedLimitError, match="2 requests in 300 s"):
        client.get(PATH)
    assert len(apis.requests) == 2
    client.close()


ECHOES = [
    Fault(status=401, body=f'{{"message":"key {KEY} is unknown"}}'),
    Fault(status=500, body=f"request was /x?api_key={KEY.replace('/', '%2F').replace('+', '%2B')}"),
    Fault(status=403, body=f"<html>auth-token: {KEY}</html>"),
    Fault(body=f"<html>you sent {KEY}</html>"),
    Fault(status=302, headers={"Location": f"http://{KEY.replace('/', '.')}.example/?k={KEY}"}),
    Fault(cut=10),
    Fault(delay_s=0.6),
]


@pytest.mark.parametrize("fault", ECHOES)
def test_keys_are_in_no_error_and_no_log_even_if_the_feed_sends_them_back(
    apis: Apis, client: Client, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    apis.faults = [fault]
    with pytest.raises(FeedError) as caught:
        client.get(PATH, {"zone": "DE"})
    told = caplog.text + "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    context = caught.value.__context__
    told += repr(getattr(context, "request", "")) + repr(
        getattr(getattr(context, "request", None), "headers", "")
    )
    for form in (KEY, "s3cret%2Fkey%2Bvalue"):
        assert form not in told


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://feed.example", "would send the key in the clear; use https"),
        ("ftp://feed.example", "is not an http"),
        ("https://user:pass@feed.example", "must not hold a user name or password"),
    ],
)
def test_address_that_would_give_the_key_away_is_refused(url: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Client("feed", url, secrets=(KEY,))


@pytest.mark.parametrize("key", ["the-key\nX-Other: 1", "schl\u00fcssel", "the\x00key"])
def test_key_that_cannot_be_sent_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="set it to the key alone") as caught:
        Client("feed", "https://feed.example", headers={"auth-token": key}, secrets=(key,))
    assert key[:7] not in str(caught.value)
