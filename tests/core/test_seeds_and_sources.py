"""Seeds, and files that users bring."""

import pytest

from respike.core import seeds
from respike.formats import sources


def test_streams_are_independent_of_each_other_and_repeatable():
    assert seeds.of(0, "a", 1) == seeds.of(0, "a", 1)
    assert len({seeds.of(0, "a", 1), seeds.of(0, "a", 2), seeds.of(0, "b", 1), seeds.of(1, "a", 1)}) == 4
    assert 0 <= seeds.of(0, "a") < 2**63


def test_the_order_of_a_path_and_the_kind_of_its_parts_make_the_stream():
    """Study 1, row 2 is not study 2, row 1; nor is root 1, row 0 root 0, row 1."""
    paths = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (0, 12), (0, 1), (0, "1"), (0, 1, 0), (1, 0), (0, 1, "a"), (0, "a", 1)]
    drawn = {tuple(seeds.generator(*path).integers(2**63, size=4)) for path in paths}
    assert len(drawn) == len({seeds.of(*path) for path in paths}) == len(paths)


def test_a_missing_source_says_what_where_and_which_key(tmp_path):
    source = sources.Source("movie.mat", "the natural movie", "Register at the archive.")
    with pytest.raises(
        FileNotFoundError, match=r"no movie.mat \(the natural movie\); the folder holds nothing. Register.*v1.data_dir"
    ):
        sources.find(tmp_path, source, "v1.data_dir")
    with pytest.raises(FileNotFoundError, match="the folder does not exist"):
        sources.find(tmp_path / "none", source, "v1.data_dir")


def test_a_source_is_found_under_its_name_or_another_one(tmp_path):
    source = sources.Source("a.txt", "text", "Ask.")
    (tmp_path / "deep").mkdir()
    for name in ("deep/a.txt", "a.txt.gz", "a.txt"):
        (tmp_path / name).touch()
        assert sources.find(tmp_path, source, "key", ("a.txt.gz", "deep/a.txt")) == tmp_path / name
