"""rate2lif.archives: what an archive holds depends on neither kills nor other jobs; what was made otherwise is not used."""

import zipfile
from pathlib import Path

import pytest

from respike.core import files
from respike.rate2lif import archives
from respike.rate2lif.archives import Archives, Name


@pytest.fixture
def command(monkeypatch):
    """What is running, as the command line sets it."""
    facts = {"stage": "rate2lif.fit", "code": "abc", "arguments": ["--seed", "0"], "inputs": {"mine.mat": "123"}}
    for name, value in facts.items():
        monkeypatch.setitem(files.maker, name, value)
    for name in ("cost", "cost_before"):  # back to what they were, whatever the test makes of them
        monkeypatch.setitem(files.maker, name, {})
    return files.maker


def made(archive: Path, variant: str = "a", last: int = 3, killed_at: int | None = None) -> list[int]:
    """Replicas that had to be made for an archive of the replicas 0 to `last`."""
    replicas = []
    for name, folder in archives.fill(archive, archives.replicas(variant, 0, last)):
        if name.replica == killed_at:
            raise InterruptedError
        replicas.append(name.replica)
        files.write_text(folder / "result.txt", f"{name} with seed {files.maker.get('arguments')}")
    return replicas


def entries(archive: Path) -> dict[str, bytes]:
    """Files in an archive by name."""
    with zipfile.ZipFile(archive) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_archive_is_the_same_each_time_and_leaves_nothing_else(tmp_path):
    archive = tmp_path / "a_0-3.zip"
    assert made(archive) == [0, 1, 2, 3]
    before = archive.read_bytes()
    archive.unlink()
    assert made(archive) == [0, 1, 2, 3]
    assert archive.read_bytes() == before
    assert list(entries(archive)) == [f"a_{replica}/result.txt" for replica in range(4)]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path not in {archive, files.record_path(archive)}]


def test_killed_job_goes_on_and_gives_the_same_bytes(tmp_path, command):
    archive, undisturbed = tmp_path / "a_0-3.zip", tmp_path / "elsewhere/a_0-3.zip"
    with pytest.raises(InterruptedError):
        made(archive, killed_at=2)
    assert not archive.exists()
    assert made(archive) == [2, 3]
    made(undisturbed)
    assert archive.read_bytes() == undisturbed.read_bytes()


def test_the_cost_of_a_killed_job_is_in_that_of_the_archive(tmp_path, command):
    archive, used = tmp_path / "a_0-3.zip", iter(range(10, 100, 10))
    command["cost"] = lambda: {"cpu_s": next(used) + command.get("cost_before", {}).get("cpu_s", 0)}
    with pytest.raises(InterruptedError):
        made(archive, killed_at=2)
    spent = max(files.read_record(path)["cost"]["cpu_s"] for path in (tmp_path / ".partial").glob("a_0-3.zip.*"))
    made(archive)
    record = files.read_record(archive)
    assert record["cost_before"] == {"cpu_s": spent}
    assert record["cost"]["cpu_s"] > spent


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("code", "abd"),
        ("arguments", ["--seed", "1"]),
        ("inputs", {"mine.mat": "124"}),
        ("inputs", {}),
        ("stage", "rate2lif.data"),
    ],
)
def test_nothing_is_used_that_another_command_made(tmp_path, monkeypatch, command, fact, value):
    archive = tmp_path / "a_0-3.zip"
    with pytest.raises(InterruptedError):
        made(archive, killed_at=2)
    monkeypatch.setitem(command, fact, value)
    assert made(archive) == [0, 1, 2, 3]


def test_nothing_is_used_that_no_command_made(tmp_path):
    """Called from Python, where nobody knows the settings."""
    with pytest.raises(InterruptedError):
        made(tmp_path / "a_0-3.zip", killed_at=2)
    assert made(tmp_path / "a_0-3.zip") == [0, 1, 2, 3]


def test_old_archive_in_the_place_of_the_new_one_is_no_input(tmp_path, monkeypatch, command):
    archive = tmp_path / "a_0-3.zip"
    monkeypatch.setitem(command, "inputs", {"mine.mat": "123", str(archive): "old"})
    with pytest.raises(InterruptedError):
        made(archive, killed_at=2)
    monkeypatch.setitem(command, "inputs", {"mine.mat": "123"})
    assert made(archive) == [2, 3]


def test_damaged_network_is_made_again(tmp_path, command):
    archive = tmp_path / "a_0-3.zip"
    with pytest.raises(InterruptedError):
        made(archive, killed_at=2)
    (tmp_path / ".partial/a_0-3.zip.a_1").write_bytes(b"damaged")
    assert made(archive) == [1, 2, 3]


def test_jobs_of_one_folder_do_not_touch_each_other(tmp_path, command):
    """Unfinished files of other jobs, and jobs whose networks are called alike, one after the other step by step."""
    (tmp_path / ".tmp-computer-17-x8f2.zip").touch()
    jobs = [archives.fill(tmp_path / f"{v}_0-1.zip", archives.replicas(v, 0, 1)) for v in ("a", "a_0", "a_n50")]
    for steps in zip(*jobs, strict=True):
        for name, folder in steps:
            files.write_text(folder / "result.txt", str(name))
    for variant in ("a", "a_0", "a_n50"):
        expected = {f"{variant}_{replica}/result.txt": f"{variant}_{replica}".encode() for replica in (0, 1)}
        assert entries(tmp_path / f"{variant}_0-1.zip") == expected


def test_archives_of_several_stages_give_all_files_of_a_network(tmp_path):
    for stage in ("networks", "searches"):
        for name, folder in archives.fill(tmp_path / stage / "a_n50_3-4.zip", archives.replicas("a_n50", 3, 4)):
            files.write_text(folder / f"{stage}.txt", str(name))
    both = Archives(tmp_path / "networks/a_n50_3-4.zip", tmp_path / "searches/a_n50_3-4.zip")
    assert both.names == [Name("a_n50", 3), Name("a_n50", 4)]
    for name, folder in both:
        assert {file.name: file.read_text() for file in folder.iterdir()} == dict.fromkeys(
            ("networks.txt", "searches.txt"), str(name)
        )


def test_archives_of_different_networks_are_refused(tmp_path):
    made(tmp_path / "a_0-1.zip", last=1)
    made(tmp_path / "b_0-0.zip", variant="b", last=0)
    with pytest.raises(ValueError, match=r"b_0-0\.zip holds the networks b_0, but .*a_0-1\.zip holds a_0, a_1"):
        Archives(tmp_path / "a_0-1.zip", tmp_path / "b_0-0.zip")


def test_damaged_archive_is_refused(tmp_path):
    made(tmp_path / "a_0-1.zip", last=1)
    (tmp_path / "a_0-1.zip").write_bytes(b"damaged")
    with pytest.raises(files.CorruptFile, match=r"a_0-1\.zip was changed after it was written"):
        Archives(tmp_path / "a_0-1.zip")


def test_file_that_is_no_archive_of_networks_is_refused(tmp_path):
    (tmp_path / "mine.zip").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"mine\.zip is not a zip archive"):
        Archives(tmp_path / "mine.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as packed:
        packed.writestr("readme.txt", "")
    with pytest.raises(ValueError, match=r"other\.zip holds 'readme\.txt', expected files named <variant>_<replica>/<file>"):
        Archives(tmp_path / "other.zip")
