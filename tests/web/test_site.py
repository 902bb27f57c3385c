"""The page as its clients see it over HTTP: what it says, whom it lets in, what it never does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest

from tests.web.published_book import SECOND
from tests.web.site_thread import EVIL, EVIL_TRACE, served
from wattspan.lake.reader import open_snapshot
from wattspan.quantities import duration
from wattspan.web.pages import marked
from wattspan.web.server import ExposedError, checked_token

PAGES = ("/", "/traces", "/flame", "/models", "/methodology", "/disclosures")


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **options: Any) -> None:
        return None


def get(address: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    request = Request(address, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with build_opener(_NoRedirect).open(request, timeout=60) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read().decode()


def test_every_page_answers_with_a_strict_policy_and_no_inline_script(site: str) -> None:
    shown = (f"/traces/{EVIL_TRACE}", f"/traces/{EVIL_TRACE}/spans/{2:016x}", f"/disclosures/{SECOND}")
    for page in (*PAGES, *shown, f"/disclosures/{SECOND}/days/2026-07-02"):
        status, headers, text = get(site + page)
        assert status == 200, page
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';"), page
        assert "unsafe" not in policy
        assert "<script>" not in text, page
        assert " style=" not in text, page
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "").replace(site, ""), page


def test_texts_of_spans_are_escaped(site: str) -> None:
    for page in ("/", "/traces", f"/traces/{EVIL_TRACE}"):
        text = get(site + page)[2]
        assert EVIL not in text
        assert "&lt;script&gt;window.hacked=1&lt;/script&gt;" in text, page


def test_code_in_our_own_words_is_set_as_code_and_the_rest_escaped() -> None:
    assert marked("rules under `features:` <b>") == "rules under <code>features:</code> &lt;b&gt;"


def test_a_call_log_without_ends_has_no_duration() -> None:
    assert [duration(ns) for ns in (1, 1_000_000, 90e9)] == ["–", "1.00 ms", "90.0 s"]


def test_the_overview_counts_the_energy_of_the_lake(site: str, lake: Path) -> None:
    with open_snapshot(lake).connect() as connection:
        energy, calls = connection.execute(
            "SELECT sum(energy_kwh), count(*) FILTER (is_owner) FROM spans"
        ).fetchone()
    found = json.loads(get(f"{site}/api/overview")[2])
    assert found["feature"]["total"]["energy_kwh"]["central"] == pytest.approx(energy, rel=1e-12)
    assert found["feature"]["total"]["calls"] == calls
    line = json.loads(get(f"{site}/api/timeline")[2])
    assert sum(sum(one["energy"]) for one in line["series"]) == pytest.approx(energy, rel=1e-12)
    frames = json.loads(get(f"{site}/api/flame")[2])
    assert sum(frames["own"]["energy"]) == pytest.approx(energy, rel=1e-6)


def test_traces_are_sorted_by_energy_filtered_and_paged(site: str) -> None:
    found = json.loads(get(f"{site}/api/traces")[2])
    energies = [row["energy_kwh"] for row in found["traces"]]
    assert energies == sorted(energies, reverse=True)
    assert found["total"] == len({row["trace_id"] for row in found["traces"]})
    assert json.loads(get(f"{site}/api/traces?q={EVIL_TRACE}")[2])["traces"][0]["calls"] == 2
    assert json.loads(get(f"{site}/api/traces?page=99")[2]) == {"total": found["total"], "traces": []}
    status, _, text = get(f"{site}/api/traces?sort=colour")
    assert status == 400
    assert json.loads(text)["error"].startswith(
        "traces cannot be sorted by 'colour'; allowed: energy, carbon"
    )


def test_the_chain_of_a_span_comes_to_the_figure_in_the_lake(site: str, lake: Path) -> None:
    with open_snapshot(lake).connect() as connection:
        rows = connection.execute(
            "SELECT lower(hex(trace_id)), span_id, energy_kwh, co2e_g FROM spans WHERE energy_kwh > 0"
        ).fetchall()
    for trace, span, energy, carbon in rows[:12]:
        found = json.loads(get(f"{site}/api/traces/{trace}/spans/{span:016x}")[2])
        assert found["energy_kwh"]["central"] == pytest.approx(energy, rel=1e-12)
        assert found["co2e_g"]["central"] == pytest.approx(carbon, rel=1e-12)
        assert found["note"] is None


def test_what_is_not_there_is_said(site: str) -> None:
    assert get(f"{site}/traces/{'ab' * 16}")[0] == 404
    assert get(f"{site}/traces/zz")[0] == 400
    assert "is empty: its end comes before its beginning" in get(f"{site}/?from=2026-02-02&to=2026-02-01")[2]


def test_it_only_shows(site: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        status, headers, _ = get(f"{site}/", method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_a_name_that_is_not_its_own_is_refused(site: str) -> None:
    # DNS rebinding: a foreign page makes the browser ask 127.0.0.1 under its own name
    assert get(f"{site}/api/traces", Host="evil.example")[0] == 421
    assert get(f"{site}/api/traces", Host="localhost:1")[0] == 200


def test_a_token_lets_in_by_header_or_by_a_link_that_becomes_a_cookie(lake: Path) -> None:
    with served(lake, token="s3cret") as site:
        assert get(f"{site}/")[0] == 401
        assert get(f"{site}/static/page.css")[0] == 401
        assert get(f"{site}/?token=wrong")[0] == 401
        assert get(f"{site}/", Authorization="Bearer s3cret")[0] == 200
        status, headers, _ = get(f"{site}/?token=s3cret")
        assert (status, headers["Location"]) == (303, "/")
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert get(f"{site}/", Cookie=cookie.split(";")[0])[0] == 200


def test_others_are_not_served_without_a_token() -> None:
    assert checked_token("127.0.0.1", None) is None
    assert checked_token("::1", None) is None
    assert checked_token("0.0.0.0", "t") == "t"
    for host in ("0.0.0.0", "::", "192.0.2.7", "wattspan.example"):
        with pytest.raises(ExposedError, match="can be reached from other machines: give --token"):
            checked_token(host, None)


def test_without_a_lake_the_page_says_what_to_do(tmp_path: Path) -> None:
    with served(tmp_path / "none") as site:
        text = get(f"{site}/")[2]
        assert "There is no lake here yet" in text
        assert "wattspan import traces/ --lake" in text
