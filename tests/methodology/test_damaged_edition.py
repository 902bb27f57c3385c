import shutil

import pytest

from wattspan.methodology import EDITIONS_FOLDER, Edition, EditionError, verify


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(EDITIONS_FOLDER / "2026.11", tmp_path / "2026.11")
    return tmp_path


def test_an_edition_with_a_changed_byte_is_not_reckoned_with(copy):
    path = copy / "2026.11" / "hosts.json"
    path.write_bytes(path.read_bytes().replace(b"1.35", b"1.36"))
    with pytest.raises(EditionError, match=r"edition 2026\.11 is damaged: hosts\.json was changed"):
        Edition.load("2026.11", copy)
    assert [problem.split()[0] for problem in verify(Edition(copy / "2026.11"))] == ["hosts.json"]


def test_an_edition_without_its_separately_licensed_parts_is_whole_and_says_so(copy):
    shutil.rmtree(copy / "2026.11" / "odbl")
    shutil.rmtree(copy / "2026.11" / "mpl")
    edition = Edition.load("2026.11", copy)
    assert edition.label == "2026.11 without mpl and odbl"
    assert edition.digest != Edition.load("2026.11").digest
    assert edition.registry.resolve("gpt-4o").model.tier == "unknown"
