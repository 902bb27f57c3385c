"""What leaves the house says nothing of the house: no machine, no path, no key; and no cell of it runs."""

from __future__ import annotations

import base64
import csv
import io
import logging
import os
import platform
import re
import socket
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from typer.testing import CliRunner

from tests.disclosure.test_aggregate import DAY_NS, JULY_NS, call, lake_of, request
from tests.disclosure.test_disclosure_command import CONFIG
from tests.disclosure.test_render import document
from wattspan.cli.main import app
from wattspan.disclosure.keys import KeyFileError, SigningKey
from wattspan.disclosure.render import csv_file, workbook
from wattspan.disclosure.subject import Feature, Issuer
from wattspan.methodology import Edition

MACHINE = "machine-of-the-publisher"
PERSON = "person-of-the-publisher"
PLACE = "place-of-the-publisher"
PATHS = re.compile(rb"/(home|root|tmp|usr|var|opt|Users|private)/|[A-Z]:\\\\|file://|site-packages|\.venv")
STARTS = ("=", "+", "-", "@", "\t", "\r")


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Path:
    """A folder in which a quarter was published, on a machine whose names would be noticed."""
    folder = tmp_path / PLACE
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("USER", "LOGNAME", "USERNAME", "LNAME"):
        monkeypatch.setenv(name, PERSON)
    for name in ("HOSTNAME", "HOST", "COMPUTERNAME"):
        monkeypatch.setenv(name, MACHINE)
    monkeypatch.setenv("HOME", f"/home/{PERSON}")
    monkeypatch.setattr(socket, "gethostname", lambda: MACHINE)
    monkeypatch.setattr(socket, "getfqdn", lambda name="": MACHINE)
    monkeypatch.setattr(platform, "node", lambda: MACHINE)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", MACHINE, "6", "1", "x86_64")))
    monkeypatch.setattr(Edition, "status", property(lambda self: "released"))
    caplog.set_level(logging.DEBUG)
    Path("wattspan.yaml").write_text(CONFIG)
    run("key", "new", "key.pem")
    spans = []
    for trace in range(1, 9):
        for number, start in ((trace, JULY_NS), (trace + 100, JULY_NS - 80 * DAY_NS)):
            start += trace * DAY_NS
            spans += request(number, "/summaries", [call(2, number, start)], start=start)
    lake_of(folder / "lake", spans)
    for period in ("2026Q2", "2026Q3"):
        run("disclosure", "publish", "--period", period, "--lake", "lake", "--config", "wattspan.yaml")
    for kind in ("csv", "xlsx", "pdf", "html", "pact"):
        name = ["--render", kind, "--out", f"out.{kind}", "--config", "wattspan.yaml"]
        run("disclosure", "show", "2026Q3/summary@1", *name)
    return folder


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def inside(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """A file, and what is packed in it."""
    yield name, data
    if name.endswith(".xlsx"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield f"{name}!{member}", archive.read(member)
    if name.endswith(".pdf"):
        streams = list(unpacked(data))
        for number, stream in enumerate(streams):
            yield f"{name}!stream {number}", stream
        yield f"{name}!text", drawn(streams).encode()


def unpacked(data: bytes) -> Iterator[bytes]:
    """The streams of a PDF."""
    for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            yield zlib.decompress(match[1])
        except zlib.error:
            yield match[1]


def drawn(streams: list[bytes]) -> str:
    """The text that the pages of a PDF show: numbers of glyphs, read by the tables of their fonts."""
    fonts = [
        {int(code, 16): chr(int(letter, 16)) for code, letter in re.findall(rb"<(\w{4})> <(\w{4})>", stream)}
        for stream in streams
        if b"beginbfchar" in stream
    ]
    said, font = [], 0
    for stream in streams:
        for name, glyphs in re.findall(rb"/F(\d+) [\d.]+ Tf|\(((?:\\.|[^\\)])*)\) Tj", stream, re.DOTALL):
            if name:
                font = int(name) - 1
                continue
            raw = re.sub(rb"\\(.)", lambda m: b"\r" if m[1] == b"r" else m[1], glyphs, flags=re.DOTALL)
            codes = struct.unpack(f">{len(raw) // 2}H", raw)
            said.append("".join(fonts[font].get(code, "?") for code in codes))
    return "\n".join(said)


def written(folder: Path) -> list[tuple[str, bytes]]:
    """Everything that a customer is handed: renderings, sealed folders, ledger."""
    sealed = (path for path in (folder / "disclosures").rglob("*") if path.is_file())
    return [
        found
        for path in (*folder.glob("out.*"), *sealed)
        for found in inside(path.relative_to(folder).as_posix(), path.read_bytes())
    ]


def test_no_machine_person_or_path_is_in_what_is_handed_out(published: Path) -> None:
    found = written(published)
    names = {name.partition("!")[0] for name, _ in found}
    assert {"out.csv", "out.xlsx", "out.pdf", "out.html", "out.pact"} < names
    assert {"disclosures/ledger.jsonl", "disclosures/2026Q3/summary@1/manifest.json"} < names
    # the PDF was really read: the first page's words are there
    assert b"Ticket summary" in dict(found)["out.pdf!text"]
    for name, data in found:
        for secret in (MACHINE, PERSON, PLACE, str(published)):
            assert secret.encode() not in data, (name, secret)
            assert secret.encode("utf-16-be") not in data, (name, secret)
        assert not PATHS.search(data), (name, PATHS.search(data))


def test_the_key_is_in_nothing_that_is_written_or_said(
    published: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pem = Path("key.pem").read_bytes()
    raw = load_pem_private_key(pem, None).private_bytes_raw()
    body = pem.split(b"\n")[1]
    said = [
        run("disclosure", *command, "--config", "wattspan.yaml").encode()
        for command in (["list"], ["show", "2026Q3/summary@1"], ["verify", "2026Q3/summary@1"], ["head"])
    ]
    shown = [("said", b"".join(said)), ("logged", caplog.text.encode()), *written(published)]
    for name, data in shown:
        for form in (raw, raw.hex().encode(), base64.b64encode(raw), base64.urlsafe_b64encode(raw), body):
            assert form not in data, name
    assert "PRIVATE" not in repr(SigningKey.load(Path("key.pem")))


def test_a_key_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        SigningKey.new(tmp_path / "deep" / "key.pem")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "deep/key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o700
    for mode in (0o640, 0o604, 0o660, 0o666):
        (tmp_path / "deep/key.pem").chmod(mode)
        with pytest.raises(KeyFileError, match=f"mode {mode:o}"):
            SigningKey.load(tmp_path / "deep/key.pem")


def test_a_key_that_is_broken_is_told_without_its_content(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    SigningKey.new(path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-9] + "broken!!", lines[2]]))
    path.chmod(0o600)
    with pytest.raises(KeyFileError) as told:
        SigningKey.load(path)
    assert lines[1][:20] not in str(told.value)
    assert told.value.__context__ is None or told.value.__suppress_context__


@pytest.mark.parametrize("start", STARTS)
def test_no_cell_of_the_csv_runs(start: str) -> None:
    hostile = f"{start}cmd|' /C calc'!A0"
    made = document(
        feature=Feature("ticket summary", hostile, hostile, hostile), issuer=Issuer("saas.example", hostile)
    )
    rows = csv.reader(io.StringIO(csv_file.written(made).decode(), newline=""))
    cells = [cell for row in rows for cell in row]
    assert any(hostile in cell for cell in cells)
    for cell in cells:
        if cell.startswith(STARTS):
            float(cell)


@pytest.mark.parametrize("start", STARTS)
def test_no_cell_of_the_workbook_runs_or_would_after_it_was_edited(start: str) -> None:
    hostile = f"{start}1+1"
    made = document(
        feature=Feature("ticket summary", hostile, hostile, hostile), issuer=Issuer("saas.example", hostile)
    )
    with zipfile.ZipFile(io.BytesIO(workbook.written(made))) as archive:
        read = {name: archive.read(name).decode() for name in archive.namelist()}
    texts = re.findall(r"<si><t[^>]*>(.*?)</t></si>", read["xl/sharedStrings.xml"], re.DOTALL)
    styles = re.search(r"<cellXfs.*?</cellXfs>", read["xl/styles.xml"], re.DOTALL)
    assert styles
    is_quoted = ['quotePrefix="1"' in xf for xf in re.findall(r"<xf [^>]*>", styles[0])]
    seen = 0
    for name, sheet in read.items():
        for style, index in re.findall(r'<c r="\w+" s="(\d+)" t="s"><v>(\d+)</v>', sheet):
            text = texts[int(index)].replace("_x000D_", "\r")
            if text.startswith(STARTS):
                assert is_quoted[int(style)], (name, text)
                seen += 1
        assert not any("1+1" in formula for formula in re.findall(r"<f>(.*?)</f>", sheet))
    assert seen >= 1
