"""Links in place of what is meant."""

import shutil
from pathlib import Path

from respike import links


def test_paths_that_snakemake_would_misread_get_another_name_and_all_else_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a{b}").mkdir()
    Path("a{b}/raw.txt").write_text("1")
    config = {"deep": [{"folder": "a{b}", "gone": "no{where}", "plain": "a, b", "text": "x<y"}], "number": 3, "none": None}
    found = links.linked(config)
    link = found["deep"][0]["folder"]
    assert (Path(link) / "raw.txt").read_text() == "1"
    assert "{" not in link
    assert not Path(link).is_absolute()
    assert found == {**config, "deep": [{**config["deep"][0], "folder": link}]}
    assert links.linked(config) == found, "the same name each time"


def test_a_copied_or_moved_project_reads_its_own_data_and_a_link_that_leads_elsewhere_is_made_anew(tmp_path, monkeypatch):
    one, two = tmp_path / "one", tmp_path / "deeper" / "two"
    (one / "a{b}").mkdir(parents=True)
    (one / "a{b}/raw.txt").write_text("1")
    outside = tmp_path / "out{side}"
    outside.write_text("outside")
    monkeypatch.chdir(one)
    config = ["a{b}/raw.txt", str(outside)]
    names = links.linked(config)
    shutil.copytree(one, two, symlinks=True)
    (two / "a{b}/raw.txt").write_text("2")
    monkeypatch.chdir(two)
    assert [Path(name).read_text() for name in names] == ["2", "outside"]
    assert links.linked(config) == names
    assert [Path(name).read_text() for name in names] == ["2", "outside"]
    assert Path(names[1]).readlink() == outside
    Path(names[0]).unlink()
    Path(names[0]).symlink_to(one / "a{b}/raw.txt")
    assert links.linked(config) == names
    assert Path(names[0]).read_text() == "2"
    assert [path.name for path in Path(names[0]).parent.iterdir()] == [Path(names[0]).name]


def test_a_folder_is_filled_with_links_that_are_left_alone_the_next_time(tmp_path):
    source, folder = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    for name in "abc":
        (source / name).write_text(name)
    for _ in range(2):
        links.fill(folder, source, but={"b"})
    assert sorted(path.name for path in folder.iterdir()) == ["a", "c"]
    assert all(path.is_symlink() and path.read_text() == path.name for path in folder.iterdir())
