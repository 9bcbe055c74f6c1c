"""rate2lif.archives: what a network's files hold depends on neither chunks, kills nor what was there before."""

import zipfile
from pathlib import Path

import pytest

from respike.core import files
from respike.rate2lif import archives
from respike.rate2lif.archives import Chunk


class Stage:
    """A stage whose result is its replica and what it was given; counts what it makes, and fails when told to."""

    def __init__(self, fails_at: int = -1) -> None:
        self.made: list[int] = []
        self.fails_at = fails_at

    def __call__(self, replica: int, given: Path, made: Path) -> None:
        if replica == self.fails_at:
            raise InterruptedError
        self.made.append(replica)
        text = "".join(file.read_text() for file in sorted(given.glob("*.txt")))
        files.write_text(made / "result.txt", f"{replica}{text}")


def made(archive: Path, settings: dict | None = None, stage: Stage | None = None, sources: tuple[Path, ...] = ()) -> list[int]:
    """Replicas that had to be made for `archive`."""
    stage = stage or Stage()
    archives.make(archive, settings or {"cells": 3}, stage, sources)
    return stage.made


def members(archive: Path) -> dict[str, bytes]:
    """Files in an archive by name."""
    with zipfile.ZipFile(archive) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "networks"


def test_chunk_and_its_name():
    chunk = Chunk.named("gonogo_n50_3-5")
    assert chunk == Chunk("gonogo_n50", 3, 5)
    assert chunk.stems() == ["gonogo_n50_3", "gonogo_n50_4", "gonogo_n50_5"]


@pytest.mark.parametrize("name", ["gonogo_3", "gonogo", "gonogo_3-", "-_3-5"])
def test_archive_with_another_name_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=rf"{name}\.zip: expected an archive named <variant>_<first replica>-<last replica>"):
        made(tmp_path / f"{name}.zip")
    assert not list(tmp_path.iterdir())


def test_archive_is_the_same_each_time_and_has_no_leftovers(folder):
    archive = folder / "a_0-2.zip"
    assert made(archive) == [0, 1, 2]
    before = archive.read_bytes()
    archive.unlink()
    assert made(archive) == [0, 1, 2]
    assert archive.read_bytes() == before
    assert members(archive)["a_1/result.txt"] == b"1"
    assert not list((folder / ".partial").iterdir())


def test_more_replicas_make_only_the_new_ones(folder):
    made(folder / "a_0-1.zip")
    assert made(folder / "a_0-4.zip") == [2, 3, 4]
    assert [text for name, text in members(folder / "a_0-4.zip").items() if name.endswith(".txt")] == [
        b"0",
        b"1",
        b"2",
        b"3",
        b"4",
    ]


def test_chunks_of_another_size_make_nothing_and_change_no_byte(folder, tmp_path):
    for name in ("a_0-2", "a_3-5"):
        made(folder / f"{name}.zip")
    for name in ("a_0-1", "a_2-3", "a_4-5"):
        assert made(folder / f"{name}.zip") == []
    fresh = tmp_path / "elsewhere/networks/a_2-3.zip"
    assert made(fresh) == [2, 3]
    assert (folder / "a_2-3.zip").read_bytes() == fresh.read_bytes()


def test_killed_chunk_goes_on_and_gives_the_same_bytes(folder, tmp_path):
    archive = folder / "a_0-3.zip"
    with pytest.raises(InterruptedError):
        made(archive, stage=Stage(fails_at=2))
    assert not archive.exists()
    assert made(archive) == [2, 3]
    made(tmp_path / "elsewhere/networks/a_0-3.zip")
    assert archive.read_bytes() == (tmp_path / "elsewhere/networks/a_0-3.zip").read_bytes()


def test_chunk_killed_at_one_size_goes_on_at_another(folder):
    with pytest.raises(InterruptedError):
        made(folder / "a_0-3.zip", stage=Stage(fails_at=2))
    assert made(folder / "a_0-0.zip") == []
    assert made(folder / "a_1-2.zip") == [2]


@pytest.mark.parametrize("change", ["settings", "code", "damaged archive", "damaged rest"])
def test_nothing_is_taken_over_that_was_made_otherwise(folder, monkeypatch, change):
    settings = {"cells": 4} if change == "settings" else None
    made(folder / "a_0-0.zip")
    with pytest.raises(InterruptedError):
        made(folder / "a_1-2.zip", stage=Stage(fails_at=2))
    if change == "code":
        monkeypatch.setitem(files.maker, "code", "another")
    if change == "damaged archive":
        (folder / "a_0-0.zip").write_bytes(b"")
        assert made(folder / "a_0-2.zip", settings) == [0, 2]
        return
    if change == "damaged rest":
        (folder / ".partial/a_1/result.txt").write_text("9")
        assert made(folder / "a_0-2.zip", settings) == [1, 2]
        return
    assert made(folder / "a_0-2.zip", settings) == [0, 1, 2]


def test_networks_of_another_variant_are_not_taken_over(folder):
    made(folder / "a_n50_0-0.zip")
    assert made(folder / "a_0-0.zip") == [0]


def test_a_later_stage_reads_the_files_of_its_network_and_knows_when_they_change(folder):
    made(folder / "a_0-1.zip")
    searches = folder.with_name("searches")
    assert made(searches / "a_0-1.zip", sources=(folder / "a_0-1.zip",)) == [0, 1]
    assert members(searches / "a_0-1.zip")["a_1/result.txt"] == b"11"
    assert made(searches / "a_1-1.zip", sources=(folder / "a_0-1.zip",)) == []
    archives.make(folder / "a_0-1.zip", {}, lambda _, __, made: files.write_text(made / "result.txt", "7"))
    assert made(searches / "a_0-0.zip", sources=(folder / "a_0-1.zip",)) == [0]
    assert members(searches / "a_0-0.zip")["a_0/result.txt"] == b"07"


def test_damaged_source_is_refused(folder):
    made(folder / "a_0-0.zip")
    (folder / "a_0-0.zip").write_bytes(b"damaged")
    with pytest.raises(files.CorruptFile, match=r"a_0-0\.zip was changed after it was written"):
        made(folder.with_name("searches") / "a_0-0.zip", sources=(folder / "a_0-0.zip",))


def test_unfinished_archive_of_a_parallel_job_is_no_archive(folder):
    folder.mkdir()
    (folder / ".tmp-computer-17-x8f2.zip").touch()
    assert made(folder / "a_0-0.zip") == [0]
