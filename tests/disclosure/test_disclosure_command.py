"""The commands as a person runs them: a key, a lake, a quarter published, checked, replaced, withdrawn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.disclosure.test_aggregate import DAY_NS, JULY_NS, call, lake_of, request
from wattspan.cli.main import app
from wattspan.methodology import Edition

CONFIG = """
disclosure:
  issuer: {domain: saas.example, name: Example SaaS GmbH}
  folder: disclosures
  key: key.pem
  features:
    summary: {name: Ticket summary, sku: TS-1}
"""


def run(*arguments: str, config: str = "wattspan.yaml") -> Result:
    return CliRunner().invoke(app, [*arguments, *(("--config", config) if config else ())])


def lines(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with configuration, key, and a lake of two quarters."""
    monkeypatch.chdir(tmp_path)
    Path("wattspan.yaml").write_text(CONFIG)
    assert CliRunner().invoke(app, ["key", "new", "key.pem"]).exit_code == 0
    spans = []
    for trace in range(1, 21):
        for start in (JULY_NS + trace * DAY_NS, JULY_NS - 80 * DAY_NS + trace * DAY_NS):
            number = trace + (0 if start > JULY_NS else 100)
            spans += request(number, "/summaries", [call(2, number, start)], start=start)
    lake_of(tmp_path / "lake", spans)
    return tmp_path


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> None:
    """The edition as if it were released: whether it is, is not the matter of these tests."""
    monkeypatch.setattr(Edition, "status", property(lambda self: "released"))


def test_a_draft_edition_is_refused_with_the_reason(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Edition, "status", property(lambda self: "draft"))
    refused = run("disclosure", "publish", "--period", "2026Q3", "--lake", "lake")
    assert refused.exit_code == 1
    assert "refused, unreleased-edition" in lines(refused)
    assert not Path("disclosures").exists()


@pytest.mark.usefixtures("released")
def test_a_quarter_is_published_verified_reproduced_and_rendered(desk: Path) -> None:
    first = run("disclosure", "publish", "--period", "2026Q2", "--lake", "lake")
    second = run("disclosure", "publish", "--period", "2026Q3", "--lake", "lake")
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert lines(second).startswith("Example SaaS GmbH, Ticket summary, 2026Q3, edition 1: ")
    listed = json.loads(run("disclosure", "list", "--json").output)
    assert [entry["id"][13:] for entry in listed] == ["2026Q2/summary@1", "2026Q3/summary@1"]
    # the same calls in both quarters: the same figure, and a bridge of nothing
    assert listed[0]["kgco2e_per_1000"] == listed[1]["kgco2e_per_1000"]
    bridge = json.loads((desk / "disclosures/2026Q3/summary@1/bridge.json").read_bytes())
    assert {float(v) for step in bridge["steps"] for v in step["effects"].values()} == {0.0}
    assert run("disclosure", "verify", "2026Q3/summary@1").exit_code == 0
    assert "the same to the last digit" in run("disclosure", "reproduce", "2026Q3/summary@1").output
    for kind, start in (("xlsx", b"PK"), ("pdf", b"%PDF"), ("csv", b"number,"), ("html", b"<!doctype")):
        made = run("disclosure", "show", "2026Q3/summary@1", "--render", kind, "--out", f"out.{kind}")
        assert made.exit_code == 0
        assert Path(f"out.{kind}").read_bytes().startswith(start)
    head = run("disclosure", "head").output.strip()
    assert run("disclosure", "verify", "2026Q3/summary@1", "--head", head).exit_code == 0
    ledger = desk / "disclosures/ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:-1]))
    cut = run("disclosure", "verify", "2026Q2/summary@1", "--head", head)
    assert cut.exit_code == 1
    assert "its tail was cut" in lines(cut)


@pytest.mark.usefixtures("released")
def test_a_period_is_published_once_and_then_superseded_restated_withdrawn(desk: Path) -> None:
    publish = ("disclosure", "publish", "--period", "2026Q3", "--lake", "lake")
    assert run(*publish).exit_code == 0
    again = run(*publish)
    assert again.exit_code == 2
    assert "published for 2026Q3 already" in lines(again)
    better = run(
        "disclosure", "supersede", "summary@1", "--lake", "lake", "--reason", "asked for by a customer"
    )
    assert better.exit_code == 0, better.output
    right = run(
        "disclosure", "restate", "summary@2", "--lake", "lake", "--reason", "calls were lost", "--anyway"
    )
    assert right.exit_code == 0, right.output
    gone = run("disclosure", "withdraw", "summary@3", "--reason", "not ours")
    assert gone.exit_code == 0
    listed = json.loads(run("disclosure", "list", "--json").output)
    assert [entry["status"] for entry in listed] == ["superseded", "withdrawn", "withdrawn"]
    assert listed[0]["replaced_by"].endswith("summary@2")
    assert json.loads(run("disclosure", "as-of", "2020-01-01", "--json").output) == []
    for entry in listed:
        assert run("disclosure", "verify", entry["id"]).exit_code == 0
        assert run("disclosure", "reproduce", entry["id"]).exit_code == 0


@pytest.mark.usefixtures("released")
def test_the_crosswalk_and_the_sci_score_are_told_from_the_sealed_figure(desk: Path) -> None:
    assert run("disclosure", "publish", "--period", "2026Q3", "--lake", "lake").exit_code == 0
    plain = json.loads(run("disclosure", "show", "summary@1", "--json").output)
    told = json.loads(run("disclosure", "show", "summary@1", "--json", "--sci").output)
    score = told.pop("sci")
    assert told == plain
    headline = plain["columns"]["ghg_location"]["exact"]
    assert float(score["score"]["exact"]) == pytest.approx(float(headline), rel=1e-14)
    assert float(score["tokens_per_inference"]["input"]) > 0
    shown = run("disclosure", "show", "summary@1", "--sci")
    assert f"{score['score']['value']} gCO2e / inference" in lines(shown)
    rows = json.loads(run("disclosure", "crosswalk", "summary@1", "--target", "cdp", "--json").output)
    assert {row["target"] for row in rows} == {"cdp"}
    figure = next(row for row in rows if row["point"] == "SC4.2a, total emissions per unit")
    millions = plain["columns"]["ghg_location"]["per_1000000"]
    assert figure["value"] == f"{millions} kgCO2e / 1,000,000"
    assert figure["status"] == "unverified"
    assert "UNVERIFIED" in lines(run("disclosure", "crosswalk", "--target", "esrs_revised"))


@pytest.mark.usefixtures("released")
def test_a_questionnaire_is_suggested_for_reviewed_and_filled(desk: Path) -> None:
    assert run("disclosure", "publish", "--period", "2026Q3", "--lake", "lake").exit_code == 0
    Path("form.csv").write_text(
        "Product,SKU,kg CO2e per 1000,Favourite colour\nTicket summary,TS-1,,\nOther,,,\n"
    )
    seen = run("disclosure", "fill", "form.csv", "--suggest", "--out", "map.yaml")
    assert seen.exit_code == 0, seen.output
    fill = ("disclosure", "fill", "form.csv", "--map", "map.yaml", "--out", "filled.csv")
    refused = run(*fill)
    assert refused.exit_code == 2
    assert "nobody has checked it" in lines(refused)
    assert not Path("filled.csv").exists()
    Path("map.yaml").write_text(Path("map.yaml").read_text().replace("reviewed: false", "reviewed: true"))
    done = run(*fill, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    figure = json.loads(run("disclosure", "show", "summary@1", "--json").output)["columns"]["ghg_location"]
    assert Path("filled.csv").read_text().splitlines()[1] == f"Ticket summary,TS-1,{figure['value']},"
    assert told["unmapped_columns"] == ["Product", "Favourite colour"]
    (noted,) = Path("filled.notes.csv").read_text().splitlines()[1:2]
    assert noted.startswith('"form.csv, line 2, column C",kg CO2e per 1000,')
    same = run("disclosure", "fill", "form.csv", "--map", "map.yaml", "--out", "form.csv")
    assert "is the questionnaire itself" in lines(same)


@pytest.mark.usefixtures("released")
def test_a_changed_digit_is_found_by_both_checks(desk: Path) -> None:
    assert run("disclosure", "publish", "--period", "2026Q3", "--lake", "lake").exit_code == 0
    path = desk / "disclosures/2026Q3/summary@1/disclosure.json"
    content = json.loads(path.read_bytes())
    exact = content["columns"]["energy_kwh"]["exact"]
    path.write_bytes(path.read_bytes().replace(exact.encode(), exact[:-1].encode() + b"1"))
    assert "disclosure.json was changed" in lines(run("disclosure", "verify", "summary@1"))
    found = run("disclosure", "reproduce", "summary@1")
    assert found.exit_code == 1
    assert "columns.energy_kwh.exact: sealed" in lines(found)
    # nothing of it leaves the house
    Path("form.csv").write_text("Product,kg\nTS-1,\n")
    Path("map.yaml").write_text("match: {column: Product}\ncolumns: {kg: ghg_location}\n")
    for arguments in (
        ("show", "summary@1"),
        ("show", "summary@1", "--json"),
        ("show", "summary@1", "--sci"),
        ("crosswalk", "summary@1"),
        ("show", "summary@1", "--cite"),
        ("show", "summary@1", "--render", "pdf", "--out", "out.pdf"),
        ("fill", "form.csv", "--map", "map.yaml", "--out", "filled.csv"),
    ):
        refused = run("disclosure", *arguments)
        assert refused.exit_code == 2
        assert "is not as it was signed: disclosure.json was changed" in lines(refused)
    assert not Path("out.pdf").exists()
    assert not Path("filled.csv").exists()
    # the list of all says which one it is, and shows no figure of it
    (listed,) = json.loads(run("disclosure", "list", "--json").output)
    assert listed["kgco2e_per_1000"] is None
    assert "summary@1 changed active" in lines(run("disclosure", "list"))
    for text in (b"[]", b"{}", b"[" * 100_000):
        path.write_bytes(text)
        assert "disclosure.json was changed" in lines(run("disclosure", "verify", "summary@1"))
        assert "is not as it was signed" in lines(run("disclosure", "show", "summary@1"))
        assert run("disclosure", "reproduce", "summary@1").exit_code in (1, 2)


@pytest.mark.usefixtures("released")
def test_one_folder_with_the_ledger_is_enough_to_list_and_check_it(desk: Path) -> None:
    for period in ("2026Q2", "2026Q3"):
        assert run("disclosure", "publish", "--period", period, "--lake", "lake").exit_code == 0
    shutil.rmtree("disclosures/2026Q2")
    listed = json.loads(run("disclosure", "list", "--json").output)
    assert [entry["kgco2e_per_1000"] is None for entry in listed] == [True, False]
    assert "2026Q2/summary@1 not here active" in lines(run("disclosure", "as-of", "2100-01-01"))
    assert "nothing was published by then" in lines(run("disclosure", "as-of", "2020-01-01"))
    assert run("disclosure", "verify", "2026Q3/summary@1").exit_code == 0
    assert run("disclosure", "reproduce", "2026Q3/summary@1").exit_code == 0
    nothing = run("disclosure", "verify", "2026Q3/summary@1", "--head", f"0:{'0' * 64}")
    assert nothing.exit_code == 1
    assert "line 0 was handed out: there is none" in lines(nothing)


@pytest.mark.usefixtures("released")
def test_publishing_goes_on_where_it_was_ended(desk: Path) -> None:
    spans = []
    for trace, route in enumerate(("/summaries", "/search"), 1):
        spans += request(trace, route, [call(2, trace, JULY_NS)], start=JULY_NS)
    lake_of(desk / "two", spans)
    publish = ("disclosure", "publish", "--period", "2026Q3", "--lake", "two")
    known = [
        statement["columns"]["feature"]["key"]
        for statement in json.loads(run("disclose", "--period", "2026Q3", "--lake", "two", "--json").output)
    ]
    assert known == ["search", "summary"]
    assert run(*publish, "--feature", known[0]).exit_code == 0
    rest = run(*publish)
    assert rest.exit_code == 0, rest.output
    assert rest.output.count("edition 1: ") == len(known) - 1
    assert len(json.loads(run("disclosure", "list", "--json").output)) == len(known)
    assert "published for 2026Q3 already" in lines(run(*publish))


@pytest.mark.usefixtures("released")
def test_no_figure_is_replaced_without_a_reason(desk: Path) -> None:
    assert run("disclosure", "publish", "--period", "2026Q3", "--lake", "lake").exit_code == 0
    before = Path("disclosures/ledger.jsonl").read_bytes()
    for arguments in (
        ("supersede", "summary@1"),
        ("restate", "summary@1"),
        ("restate", "summary@1", "--anyway"),
    ):
        refused = run("disclosure", *arguments, "--lake", "lake", "--reason", " ")
        assert refused.exit_code == 2
        assert lines(refused).startswith("error say w")
    assert Path("disclosures/ledger.jsonl").read_bytes() == before
    assert sorted(path.name for path in Path("disclosures/2026Q3").iterdir()) == ["summary@1"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("disclosure", "publish", "--period", "2026Q9", "--lake", "lake"), "allowed: 2026Q3, 2026H1"),
        (("disclosure", "publish", "--period", "2026Q3", "--lake", "nowhere"), "is no lake"),
        (("disclosure", "show", "summary@7"), "is not in the ledger of disclosures; there are: none"),
        (("disclosure", "verify", "summary@1", "--head", "x"), "it is LINE:SHA256"),
        (("disclosure", "as-of", "yesterday"), "is not an ISO day"),
        (("disclosure", "fill", "form.xlsx"), "fill needs --map MAP.yaml and -o OUT"),
        (("disclosure", "fill", "form.xlsx", "--suggest"), "form.xlsx cannot be read"),
        (("disclosure", "crosswalk", "--target", "moon"), "allowed: esrs_set1, esrs_revised, vsme, cdp"),
        (("disclosure", "supersede", "summary@7", "--lake", "lake", "--reason", "x"), "not in the ledger"),
        (("disclosure", "head"), "disclosures has no ledger: name another folder with --book"),
        (("disclosure", "head", "--book", "key.pem"), "key.pem/ledger.jsonl cannot be read: Not a directory"),
        (("disclose", "--period", "2026Q3", "--lake", "key.pem"), "key.pem is no lake"),
        (("disclose", "--period", "2026Q3", "--lake", "lake", "--edition", "1999.01"), "are of FILEs"),
        (("disclose", "--period", "2026Q3", "--lake", "lake", "--factor-type", "direct"), "are of FILEs"),
        (("disclosure", "show", "summary@1", "--out", "x.pdf"), "-o is the file of a rendering"),
        (
            ("disclosure", "show", "summary@1", "--cite", "--customer", "A", "--inferences", "1"),
            "leave out --cite and --json",
        ),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(desk: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code in (1, 2)
    assert said in lines(result)
    assert "Traceback" not in result.output


def test_publishing_without_an_issuer_names_the_section(desk: Path) -> None:
    Path("wattspan.yaml").write_text("edition: '2026.11'\n")
    result = run("disclosure", "publish", "--period", "2026Q3", "--lake", "lake")
    assert result.exit_code == 2
    assert "publishing needs the section disclosure: with issuer: domain and name" in lines(result)


@pytest.mark.usefixtures("released")
def test_the_figures_are_shown_before_anything_is_published(desk: Path) -> None:
    seen = run("disclose", "--period", "2026Q3", "--lake", "lake", "--json")
    assert seen.exit_code == 0, seen.output
    (statement,) = json.loads(seen.output)
    assert not Path("disclosures").exists()
    assert run("disclosure", "publish", "--period", "2026Q3", "--lake", "lake").exit_code == 0
    sealed = json.loads((desk / "disclosures/2026Q3/summary@1/disclosure.json").read_bytes())
    assert statement == sealed


@pytest.mark.usefixtures("released")
def test_what_the_lake_supports_is_told_column_by_column(desk: Path) -> None:
    told = run("disclose", "--period", "2026Q3", "--lake", "lake", "--can", "--json")
    assert told.exit_code == 0, told.output
    (columns,) = json.loads(told.output).values()
    assert [column["number"] for column in columns] == list(range(1, 24))
    assert [column["number"] for column in columns if column["support"] == "not available"] == [11, 14]


def test_a_draft_edition_is_what_is_missing_of_the_methodology(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Edition, "status", property(lambda self: "draft"))
    told = run("disclose", "--period", "2026Q3", "--lake", "lake", "--can")
    assert told.exit_code == 1
    assert "would be refused, unreleased-edition" in lines(told)
    assert run("disclose", "--period", "2026Q3", "--lake", "lake").exit_code == 1
