"""The page in a real browser: it draws, switches, needs no network, and runs nothing from a span."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.published_book import HOSTILE, SECOND
from tests.web.site_thread import CAPTURES, EVIL, EVIL_TRACE, evil_request, served
from tests.web.test_kinds_chooser import write_kind
from wattspan.lake.reader import open_snapshot
from wattspan.views.flame import flame
from wattspan.views.flame_source import draw_trace
from wattspan.web.flame_file import flame_file, is_packed

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("WATTSPAN_CHROMIUM") or shutil.which("chromium") or ""
pytestmark = [
    pytest.mark.skipif(
        not CHROMIUM, reason="there is no Chromium on this machine (apt-get install chromium)"
    ),
    pytest.mark.skipif(not is_packed(), reason="the scripts are not packed (python -m wattspan.web.pack)"),
]
ARGUMENTS = (
    "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic",
)  # fmt: skip
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 860}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Visit:
    """A tab that may ask nothing but loopback, and remembers what went wrong."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": DESK, **options})
        self.context.set_default_timeout(60_000)
        self.outside: list[str] = []
        self.wrong: list[str] = []
        self.context.route("**/*", self._only_loopback)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on(
            "console",
            lambda said: self.wrong.append(said.text) if said.type in {"error", "warning"} else None,
        )

    def _only_loopback(self, route: Any) -> None:
        if route.request.url.startswith(("http://127.0.0.1:", "data:", "file:")):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def drawn(self, address: str) -> Any:
        self.page.goto(address)
        self.page.wait_for_selector("section.flame[data-state=drawn]")
        return self.page


@pytest.fixture
def visit(chromium: Any) -> Iterator[Visit]:
    made = Visit(chromium)
    yield made
    made.context.close()


@pytest.fixture(scope="module")
def trace(lake: Path) -> str:
    """The trace of several levels with the most calls."""
    with open_snapshot(lake).connect() as connection:
        found: str = connection.execute(
            "SELECT lower(hex(trace_id)) FROM spans GROUP BY 1 HAVING max(depth) > 1 "
            "ORDER BY count(energy_kwh) DESC, 1 LIMIT 1"
        ).fetchone()[0]
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_every_page_is_drawn_within_its_width_without_the_network(
    chromium: Any, site: str, trace: str, scheme: str, viewport: dict[str, int]
) -> None:
    visit = Visit(chromium, viewport=viewport, color_scheme=scheme)
    of_disclosures = (
        "/disclosures", f"/disclosures/{SECOND}", f"/disclosures/{SECOND}/days/2026-07-02",
        f"/disclosures/{HOSTILE}", "/methodology/2026.11",
    )  # fmt: skip
    for path in ("/", "/traces", f"/traces/{trace}", "/flame", "/models", "/methodology", *of_disclosures):
        visit.page.goto(site + path)
        if path in {"/flame", f"/traces/{trace}"}:
            visit.page.wait_for_selector("section.flame[data-state=drawn]")
        if path == "/":
            visit.page.wait_for_selector(".chart-time[data-state=drawn] canvas")
        width = visit.page.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"], path
    paper = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(247, 250, 249)", "dark": "rgb(15, 22, 20)"}[scheme]
    assert visit.outside == []
    assert visit.wrong == []
    visit.context.close()


def widths(page: Any) -> dict[str, float]:
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('g.frame')].map(
             (g) => [g.__data__.data.i, Math.round(+g.getAttribute('width'))]))"""
    )


def test_the_axis_switches_at_a_click_and_the_address_reopens_the_view(
    visit: Visit, site: str, trace: str
) -> None:
    page = visit.drawn(f"{site}/traces/{trace}")
    by_energy = widths(page)
    page.get_by_role("radio", name="Own time").click()
    assert page.get_by_role("radio", name="Own time").get_attribute("aria-checked") == "true"
    by_time = widths(page)
    assert by_time != by_energy
    assert by_time["0"] == by_energy["0"]
    page.locator("[data-part=colour]").select_option("intensity")
    page.locator("[data-part=search]").fill("chat")
    playwright.expect(page.locator("[data-part=found]")).to_contain_text("found")
    address = page.url
    again = visit.context.new_page()
    again.goto(address)
    again.wait_for_selector("section.flame[data-state=drawn]")
    assert again.get_by_role("radio", name="Own time").get_attribute("aria-checked") == "true"
    assert again.locator("[data-part=colour]").input_value() == "intensity"
    assert again.locator("[data-part=search]").input_value() == "chat"
    assert widths(again) == by_time


def test_a_click_zooms_and_the_address_keeps_it(visit: Visit, site: str, trace: str) -> None:
    page = visit.drawn(f"{site}/traces/{trace}")
    chosen = page.evaluate(
        """() => { const all = [...document.querySelectorAll('g.frame')].filter((g) => g.__data__.depth > 1);
             const g = all.sort((a, b) => a.getAttribute('width') - b.getAttribute('width'))[0];
             g.dispatchEvent(new MouseEvent('click', {bubbles: true})); return g.__data__.data.i; }"""
    )
    zoomed = widths(page)
    assert zoomed[str(chosen)] == zoomed["0"]
    again = visit.context.new_page()
    again.goto(page.url)
    again.wait_for_selector("section.flame[data-state=drawn]")
    assert widths(again)[str(chosen)] == zoomed["0"]
    page.get_by_role("button", name="whole graph").click()
    assert widths(page)[str(chosen)] < zoomed["0"]


def test_the_keyboard_moves_zooms_and_switches(visit: Visit, site: str, trace: str) -> None:
    page = visit.drawn(f"{site}/traces/{trace}")
    said = page.locator("[data-part=detail] strong")
    root = said.inner_text()
    page.locator("[data-part=chart]").focus()
    page.keyboard.press("ArrowDown")
    assert said.inner_text() != root
    page.keyboard.press("Enter")
    assert "zoom=" in page.url
    page.keyboard.press("Escape")
    assert "zoom=" not in page.url
    page.keyboard.press("4")
    assert "axis=tokens" in page.url
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.dataset.part") == "search"


def test_hover_says_value_band_evidence_region_and_grid_source(visit: Visit, site: str, trace: str) -> None:
    page = visit.drawn(f"{site}/traces/{trace}")
    page.locator("g.frame").first.hover()
    tip = page.locator(".tip")
    labels = tip.locator("dt").all_inner_texts()
    assert {"energy", "90 % band", "share", "evidence", "region", "intensity", "grid source"} <= set(labels)
    assert "Wh" in tip.locator("dd").first.inner_text()


def test_nothing_from_a_span_runs_or_is_html(visit: Visit, site: str) -> None:
    for path in ("/", "/traces", f"/traces/{EVIL_TRACE}", f"/traces/{EVIL_TRACE}/spans/{2:016x}", "/flame"):
        page = visit.page
        page.goto(site + path)
        if path.startswith(("/flame", "/traces/ee")) and "spans" not in path:
            page.wait_for_selector("section.flame[data-state=drawn]")
            page.locator("g.frame").first.hover()
        elif path == "/":
            page.wait_for_selector(".chart-time[data-state=drawn]")
        assert page.evaluate("window.hacked") is None, path
        assert page.locator("img").count() == 0, path
    assert visit.wrong == []
    assert visit.outside == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_disclosure_is_verified_and_reproduced_from_the_keyboard(
    chromium: Any, lake: Path, book: Path, scheme: str
) -> None:
    visit = Visit(chromium, color_scheme=scheme)
    with served(lake, book=book) as own:
        page = visit.page
        page.goto(f"{own}/disclosures")
        page.get_by_role("link", name="Ticket summary").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/disclosures/**")
        assert page.locator(".figure b").first.inner_text().endswith("kgCO₂e")
        for button, said in (
            ("Verify", "Verified: every byte is as it was signed, and the ledger is whole"),
            ("Reproduce", "Reproduced: the same to the last digit"),
        ):
            page.get_by_role("button", name=button).focus()
            page.keyboard.press("Enter")
            result = page.get_by_role("status")
            playwright.expect(result).to_contain_text(said)
            assert page.url.endswith("#check")
            assert result.locator("li.bad").count() == 0
        assert result.locator("li").count() == 1
        bars = page.locator("svg.bridge rect")
        assert bars.count() > 4
        fills = page.evaluate(
            "[...document.querySelectorAll('svg.bridge rect')].map((r) => getComputedStyle(r).fill)"
        )
        assert "rgb(0, 0, 0)" not in fills
        with page.expect_download() as download:
            page.get_by_role("link", name="workbook").click()
        assert download.value.suggested_filename.endswith(".xlsx")
    assert visit.wrong == []
    assert visit.outside == []
    visit.context.close()


def test_a_kind_of_figures_is_chosen_and_kept_in_the_address(visit: Visit, tmp_path: Path) -> None:
    captures = [path.read_bytes() for path in sorted(CAPTURES.glob("*.binpb"))]
    write_kind(tmp_path / "mixed", captures, "lifecycle")
    write_kind(tmp_path / "mixed", [evil_request()], "direct")
    with served(tmp_path / "mixed") as site:
        page = visit.page
        for path, drawn in (("/", ".chart-time[data-state=drawn]"), ("/flame", ".flame[data-state=drawn]")):
            page.goto(site + path)
            page.wait_for_selector(drawn)
            chooser = page.get_by_label("figures by")
            assert chooser.locator("option").all_inner_texts()[0].endswith("lifecycle")
            chooser.select_option(index=1)
            page.get_by_role("button", name="show").click()
            page.wait_for_url("**kind=*")
            page.wait_for_selector(drawn)
            assert ".average.direct" in page.url
            assert page.get_by_label("figures by").locator("option:checked").inner_text().endswith("direct")
    assert visit.wrong == []


def test_nothing_from_a_disclosure_runs_or_is_html(visit: Visit, site: str) -> None:
    for path in ("/disclosures", f"/disclosures/{HOSTILE}", f"/disclosures/{HOSTILE}/days/2026-07-02"):
        visit.page.goto(site + path)
        assert visit.page.evaluate("window.hacked") is None, path
        assert visit.page.locator("img").count() == 0, path
        assert "onerror" in visit.page.inner_text("body"), path
    assert visit.wrong == []


def test_the_mailed_file_opens_without_a_network_and_runs_nothing_from_a_span(
    visit: Visit, lake: Path, tmp_path: Path
) -> None:
    drawn = draw_trace(open_snapshot(lake), EVIL_TRACE)
    path = tmp_path / "flame.html"
    path.write_text(flame_file(flame(drawn.frames), title=EVIL, subtitle=EVIL, method=drawn.method))
    visit.context.set_offline(True)
    page = visit.drawn(path.as_uri())
    assert page.locator("g.frame").count() == 4
    page.get_by_role("radio", name="Carbon").click()
    assert "axis=carbon" in page.url
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert visit.outside == []
    assert visit.wrong == []
