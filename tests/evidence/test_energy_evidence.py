"""The evidence tables say where every figure is from, and nothing doubtful enters the fit unmarked."""

import json

import jsonschema
import pytest

from evidence.edition.tables import EVIDENCE_FOLDER, EvidenceError, read_table, row_by_id

SCHEMA = json.loads((EVIDENCE_FOLDER / "schema.json").read_text(encoding="utf-8"))
TABLES = sorted(SCHEMA["tables"])
TABLES_WITH_SOURCES = ("published_energy", "hardware", "pue", "ecologits_vs_mlenergy_h100")
TABLES_THE_FIT_READS = ("published_energy", "hardware")


@pytest.mark.parametrize("name", TABLES)
def test_every_row_follows_the_schema(name):
    validator = jsonschema.Draft202012Validator({**SCHEMA["tables"][name], "$defs": SCHEMA["$defs"]})
    faults = [
        f"row {number}, {list(error.path)}: {error.message}"
        for number, row in enumerate(read_table(name), 2)
        for error in validator.iter_errors(row)
    ]
    assert faults == []


def test_every_csv_has_a_schema():
    assert sorted(path.stem for path in EVIDENCE_FOLDER.glob("*.csv")) == TABLES


@pytest.mark.parametrize("name", TABLES_WITH_SOURCES)
def test_no_row_lacks_a_registered_source_that_may_be_shipped(name):
    sources = {row["source"]: row for row in read_table("sources")}
    faults = [
        row["id"]
        for row in read_table(name)
        if row["source"] not in sources
        or sources[row["source"]]["ships"] != "yes"
        or sources[row["source"]]["licence"] != row["licence"]
    ]
    assert faults == []


def test_row_ids_are_unique_over_all_tables():
    ids = [row["id"] for name in TABLES_WITH_SOURCES for row in read_table(name)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", TABLES_THE_FIT_READS)
def test_no_secondary_figure_is_used_without_a_reason(name):
    unmarked = [
        row["id"]
        for row in read_table(name)
        if row["evidence"] == "secondary" and row["used_in_fit"] and not row["used_reason"]
    ]
    assert unmarked == []


def test_the_decode_fit_rests_on_primary_measurements_of_gpu_energy_only():
    rows = [row for row in read_table("published_energy") if row["used_in_fit"] == "decode"]
    kinds = {(row["source"], row["kind"], row["evidence"], row["boundary"]) for row in rows}
    assert len(rows) == 515
    assert kinds == {("mlenergy-v3", "measured", "primary", "gpu")}
    assert len({row["model"] for row in rows}) == 24


def test_sources_whose_licence_forbids_it_have_no_rows():
    left_out = {row["source"]: row["licence"] for row in read_table("sources") if row["ships"] == "no"}
    assert left_out["arxiv-2511.05597"] == "cc-by-nc-nd-4.0"
    assert left_out["ecologits-docs"] == "cc-by-sa-4.0"
    used = {row["source"] for name in TABLES_WITH_SOURCES for row in read_table(name)}
    assert used & left_out.keys() == set()


def test_every_source_is_used_or_says_why_not():
    used = {row["source"] for name in TABLES_WITH_SOURCES for row in read_table(name)}
    unused = {row["source"] for row in read_table("sources") if row["ships"] == "yes"} - used
    assert unused == set()


@pytest.mark.parametrize(
    ("table", "column"),
    [("choices", "evidence"), ("gpus", "embodied_rows"), ("gpus", "tdp_row"), ("gpus", "bandwidth_row")],
)
def test_rows_that_are_referred_to_exist(table, column):
    known = {row["id"] for name in TABLES_WITH_SOURCES for row in read_table(name)}
    referred = {row_id for row in read_table(table) for row_id in row[column].split()}
    assert referred - known == set()


def test_joules_and_watt_hours_of_a_benchmark_row_agree():
    row = row_by_id("published_energy", "mlenergy-v3/0001")
    joules = float(row["j_per_output_token"]) * float(row["output_tokens"])
    assert joules == pytest.approx(float(row["energy_wh"]) * 3600, rel=1e-4)


def test_a_table_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(EvidenceError, match=r"no evidence table 'energie'; there are: anchors, .*tiers"):
        read_table("energie")


def test_a_row_that_is_not_there_is_named():
    with pytest.raises(EvidenceError, match=r"hardware\.csv has no row 'hardware/999'"):
        row_by_id("hardware", "hardware/999")
