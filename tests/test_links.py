"""Links in place of what is meant."""

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


def test_a_folder_is_filled_with_links_that_are_left_alone_the_next_time(tmp_path):
    source, folder = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    for name in "abc":
        (source / name).write_text(name)
    for _ in range(2):
        links.fill(folder, source, but={"b"})
    assert sorted(path.name for path in folder.iterdir()) == ["a", "c"]
    assert all(path.is_symlink() and path.read_text() == path.name for path in folder.iterdir())
