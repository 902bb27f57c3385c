"""Opening and checking editions."""

import json
import shutil
import subprocess
import sys

import pytest

from wattspan.methodology import LATEST, Edition, EditionError, editions, verify
from wattspan.methodology.digest import combine, list_files, make_manifest, part_of


@pytest.fixture
def root(tmp_path):
    """A folder of editions with one small edition of three parts."""
    write(
        tmp_path / "2026.11",
        {"form.json": "{}", "odbl/annual.csv": "zone,g\nSE,18\n", "mpl/models.json": "[]"},
    )
    return tmp_path


def write(folder, files, status="draft"):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "manifest.json").write_text(json.dumps(make_manifest(folder, folder.name, status)))


def test_the_shipped_edition_is_as_its_manifest_says():
    edition = Edition.load()
    assert edition.name == LATEST == "2026.11"
    assert verify(edition) == []
    assert edition.digest == edition.manifest["digest"]
    assert edition.label == "2026.11"


def test_editions_are_listed_oldest_first_by_their_numbers(root):
    for name in ("2026.9", "2027.2", "2026.11.1"):
        write(root / name, {"form.json": "{}"})
    assert editions(root) == ("2026.9", "2026.11", "2026.11.1", "2027.2")


def test_a_folder_without_a_manifest_is_no_edition(root):
    (root / "2027.5").mkdir()
    assert editions(root) == ("2026.11",)


def test_an_edition_that_is_not_installed_is_named_with_those_that_are(root):
    with pytest.raises(EditionError, match=r"no edition '2031\.2'; installed editions: 2026\.11"):
        Edition.load("2031.2", root)


@pytest.mark.parametrize(
    ("deleted", "label"),
    [
        ((), "2026.11"),
        (("odbl",), "2026.11 without odbl"),
        (("mpl",), "2026.11 without mpl"),
        (("odbl", "mpl"), "2026.11 without mpl and odbl"),
    ],
)
def test_a_deleted_licence_part_is_in_the_label_and_no_fault(root, deleted, label):
    for part in deleted:
        shutil.rmtree(root / "2026.11" / part)
    edition = Edition(root / "2026.11")
    assert edition.label == label
    assert verify(edition) == []


def test_the_digest_changes_with_the_parts_that_are_present(root):
    whole = Edition(root / "2026.11").digest
    shutil.rmtree(root / "2026.11" / "odbl")
    without = Edition(root / "2026.11")
    assert without.digest != whole
    parts = without.manifest["parts"]
    assert without.digest == combine({name: parts[name]["digest"] for name in ("core", "mpl")})


def test_a_file_of_a_deleted_part_says_that_the_part_was_deleted(root):
    shutil.rmtree(root / "2026.11" / "odbl")
    with pytest.raises(EditionError, match=r"no file 'odbl/annual\.csv': its part 'odbl' was deleted"):
        Edition(root / "2026.11").read_csv("odbl/annual.csv")


def test_a_missing_file_of_the_core_says_that_the_edition_is_incomplete(root):
    with pytest.raises(EditionError, match=r"no file 'hosts\.json': it is incomplete"):
        Edition(root / "2026.11").read_json("hosts.json")


def test_a_file_that_is_not_json_is_named(root):
    (root / "2026.11" / "form.json").write_text("{")
    with pytest.raises(EditionError, match=r"edition 2026\.11, form\.json: not JSON"):
        Edition(root / "2026.11").read_json("form.json")


def test_csv_rows_come_by_column_name(root):
    assert Edition(root / "2026.11").read_csv("odbl/annual.csv") == [{"zone": "SE", "g": "18"}]


def test_a_changed_byte_is_found(root):
    (root / "2026.11" / "form.json").write_text("{ }")
    (problem,) = verify(Edition(root / "2026.11"))
    assert problem.startswith("form.json was changed: sha256 ")


def test_a_missing_and_an_extra_file_are_found(root):
    folder = root / "2026.11"
    (folder / "form.json").rename(folder / "mould.json")
    assert verify(Edition(folder)) == ["form.json is missing", "mould.json is not in the manifest"]


def test_a_manifest_that_was_tampered_with_is_found(root):
    folder = root / "2026.11"
    manifest = make_manifest(folder, "2026.11", "draft")
    manifest["parts"]["core"]["files"]["form.json"] = "0" * 64
    manifest["status"] = "final"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    problems = verify(Edition(folder))
    assert "manifest.json has status 'final'; allowed: draft, released" in problems
    assert "manifest.json: the digest of part 'core' is not that of its files" in problems
    assert any(problem.startswith("form.json was changed") for problem in problems)


def test_the_status_does_not_change_the_digest(root):
    folder = root / "2026.11"
    digests = {make_manifest(folder, "2026.11", status)["digest"] for status in ("draft", "released")}
    assert len(digests) == 1


def test_the_same_bytes_under_another_name_have_another_digest(root):
    folder = root / "2026.11"
    before = make_manifest(folder, "2026.11", "draft")["digest"]
    (folder / "form.json").rename(folder / "shape.json")
    assert make_manifest(folder, "2026.11", "draft")["digest"] != before


def test_the_digest_of_a_file_is_its_sha256(root):
    # sha256 of the two bytes "{}"
    expected = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert list_files(root / "2026.11")["form.json"] == expected


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("form.json", "core"),
        ("grid/annual.csv", "core"),
        ("odbl/annual.csv", "odbl"),
        ("mpl/LICENSE", "mpl"),
        ("odbl", "core"),
    ],
)
def test_a_file_belongs_to_the_part_of_its_top_folder(path, part):
    assert part_of(path) == part


def test_the_assumed_hosts_are_read_with_their_numbers():
    hosts = Edition.load().hosts
    assert (hosts["open"].gpu, hosts["open"].batch) == ("H100", 128.0)
    assert (hosts["closed"].gpu, hosts["closed"].batch) == ("B200", 150.0)
    assert (hosts["self_hosted"].gpu, hosts["self_hosted"].batch) == ("H100", 32.0)
    assert {host.k_host for host in hosts.values()} == {1.35}
    assert [hosts[name].k_idle for name in ("open", "closed", "self_hosted")] == [1.1, 1.1, 1.5]


def test_opening_an_edition_loads_no_heavy_library():
    code = (
        "import sys, wattspan.methodology as m; m.Edition.load().form; "
        "print(sorted({'numpy', 'scipy', 'pydantic', 'yaml', 'rich'} & sys.modules.keys()))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
