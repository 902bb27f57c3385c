"""A table of calls comes out as it went in, with the figures of each call beside it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import wattspan
from wattspan.cli.main import app
from wattspan.lake.sources import call_log

MAP = [
    *("--map", "start=ts", "--map", "input_tokens=tokens.input", "--map", "output_tokens=tokens.output"),
    *("--map", "model=model", "--map", "region=region", "--set", "provider=openai"),
]
START = dt.datetime(2026, 11, 20, 12)
ROWS = [
    # input, output, model, region, note
    (1_000, 300, "gpt-4o-2024-08-06", "eastus", "first"),
    (20_000, 5, "gpt-4o-mini", "westeurope", None),
    (500, 80, "a-model-of-our-own", None, "third"),
    (0, 0, "gpt-4o-2024-08-06", "eastus", "no usage"),
]


def write(path: Path, rows: list[tuple[object, ...]]) -> pa.Table:
    tokens = [{"input": row[0], "output": row[1]} for row in rows]
    kind = pa.struct([("input", pa.int64()), ("output", pa.int64())])
    table = pa.table(
        {
            "ts": pa.array([START + dt.timedelta(hours=n) for n in range(len(rows))], pa.timestamp("us")),
            "tokens": pa.array(tokens, kind),
            "model": pa.array([row[2] for row in rows], pa.string()),
            "region": pa.array([row[3] for row in rows], pa.string()),
            "note": pa.array([row[4] for row in rows], pa.string()),
        }
    )
    pq.write_table(table, path)
    return table


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["backfill", *map(str, arguments)], catch_exceptions=False)
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_each_call_has_the_figures_that_estimating_it_alone_gives(tmp_path: Path) -> None:
    before = write(tmp_path / "in.parquet", ROWS)
    status, out, err = run(tmp_path / "in.parquet", tmp_path / "out.parquet", *MAP)
    assert (status, err) == (0, "")
    assert "4 3 with a figure" in " ".join(out.split())
    table = pq.read_table(tmp_path / "out.parquet")
    for name in before.column_names:
        assert table.column(name).to_pylist() == before.column(name).to_pylist(), name
    for number, (read, written, model, region, _) in enumerate(ROWS[:3]):
        alone = wattspan.estimate(
            model=model,
            provider="openai",
            input_tokens=read,
            output_tokens=written,
            region=region or "",
            at=START + dt.timedelta(hours=number),
        )
        found = {name: table.column(f"wattspan_{name}")[number].as_py() for name in ("energy_kwh", "co2e_g")}
        assert found == {"energy_kwh": alone.energy_kwh, "co2e_g": alone.co2e_g}
        low, high = (table.column(f"wattspan_energy_kwh_{end}")[number].as_py() for end in ("low", "high"))
        assert low < alone.energy_kwh < high
    assert table.column("wattspan_basis").to_pylist() == ["modelled"] * 3 + ["no_usage"]
    assert table.column("wattspan_evidence").to_pylist()[2] == "unknown"
    assert table.column("wattspan_energy_kwh")[3].as_py() is None
    about = pq.read_schema(tmp_path / "out.parquet").metadata
    assert (about[b"wattspan.edition"], about[b"wattspan.factor_type"]) == (b"2026.11", b"lifecycle")


def test_rows_that_cannot_be_used_stay_without_figures_and_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_log, "PORTION_ROWS", 2)
    rows = [ROWS[0], (-5, 3, "gpt-4o", "eastus", "bad"), ROWS[1]]
    write(tmp_path / "in.parquet", rows)
    status, _, err = run(tmp_path / "in.parquet", tmp_path / "out.parquet", *MAP)
    assert status == 1
    assert "row 2, tokens.input: found -5; allowed: a whole number" in err
    assert "it has no figures" in err
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column("note").to_pylist() == ["first", "bad", None]
    assert table.column("wattspan_energy_kwh").is_null().to_pylist() == [False, True, False]
    write(tmp_path / "alone.parquet", [ROWS[1]])
    # the third row, an hour and another earlier: within an annual figure that is the same
    run(tmp_path / "alone.parquet", tmp_path / "alone-out.parquet", *MAP)
    alone = pq.read_table(tmp_path / "alone-out.parquet").column("wattspan_energy_kwh")[0].as_py()
    assert table.column("wattspan_energy_kwh")[2].as_py() == alone


def test_texts_within_structures_are_read_across_row_groups(tmp_path: Path) -> None:
    usage = pa.StructArray.from_arrays(
        [pa.array(["gpt-4o", "gpt-4o-mini", "gpt-4o"] * 4), pa.array(range(100, 112))], ["model", "input"]
    )
    tags = pa.MapArray.from_arrays(
        pa.array(range(13), pa.int32()),
        pa.array(["plan"] * 12).dictionary_encode(),
        pa.array(["gold", "free", "gold"] * 4).dictionary_encode(),
    )
    ts = pa.array([START] * 12, pa.timestamp("us"))
    pq.write_table(
        pa.table({"ts": ts, "usage": usage, "tags": tags}), tmp_path / "in.parquet", row_group_size=5
    )
    options = ["--map", "start=ts", "--map", "input_tokens=usage.input", "--map", "model=usage.model"]
    status, _, err = run(tmp_path / "in.parquet", tmp_path / "out.parquet", *options)
    assert (status, err) == (0, "")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column("usage").to_pylist() == usage.to_pylist()
    assert table.column("tags").to_pylist() == tags.to_pylist()
    assert table.column("wattspan_model").to_pylist() == [
        "openai/gpt-4o", "openai/gpt-4o-mini", "openai/gpt-4o",
    ] * 4  # fmt: skip


def test_columns_that_are_there_are_not_written_over(tmp_path: Path) -> None:
    write(tmp_path / "in.parquet", ROWS)
    assert run(tmp_path / "in.parquet", tmp_path / "once.parquet", *MAP)[0] == 0
    status, _, err = run(tmp_path / "once.parquet", tmp_path / "twice.parquet", *MAP)
    assert status == 2
    assert "has a column 'wattspan_energy_kwh' already; give our columns another --prefix" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "once.parquet"]
    status, _, _ = run(
        tmp_path / "once.parquet", tmp_path / "twice.parquet", *MAP, "--prefix", "direct_",
        "--factor-type", "direct",
    )  # fmt: skip
    assert status == 0
    table = pq.read_table(tmp_path / "twice.parquet")
    lifecycle, direct = (table.column(f"{name}_co2e_g").to_numpy() for name in ("wattspan", "direct"))
    assert table.column("wattspan_energy_kwh") == table.column("direct_energy_kwh")
    assert (direct[:3] < lifecycle[:3]).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--map", "start=when", "--map", "input_tokens=tokens.input"], "there is no column 'when'"),
        (["--map", "start=ts", "--map", "input_tokens=tokens"], "allowed: a "),
        ([], "no column is mapped to start"),
    ],
)
def test_a_map_that_does_not_fit_is_said(tmp_path: Path, options: list[str], said: str) -> None:
    write(tmp_path / "in.parquet", ROWS)
    status, _, err = run(tmp_path / "in.parquet", tmp_path / "out.parquet", *options)
    assert status == 2
    assert said in err
    assert not (tmp_path / "out.parquet").exists()


def test_what_is_no_parquet_is_said(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("ts,model\n")
    status, _, err = run(tmp_path / "in.csv", tmp_path / "out.parquet", *MAP)
    assert status == 2
    assert "is no Parquet file that can be read" in err
