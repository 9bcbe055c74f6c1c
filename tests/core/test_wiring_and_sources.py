"""Random wiring, seeds, and files that users bring."""

import numpy as np
import pytest

from respike.core import seeds, sources, wiring


def test_masks_have_the_wanted_density_and_no_autapses(rng):
    drawn = wiring.mask(rng, 400, 400, 0.1, autapses=False)
    assert drawn.mean() == pytest.approx(0.1, abs=0.005)
    assert not np.diag(drawn).any()


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_impossible_probabilities_are_refused(rng, probability):
    with pytest.raises(ValueError, match="expected a number from 0 to 1"):
        wiring.mask(rng, 3, 3, probability)


def test_streams_are_independent_of_each_other_and_repeatable():
    assert seeds.of(0, "a", 1) == seeds.of(0, "a", 1)
    assert len({seeds.of(0, "a", 1), seeds.of(0, "a", 2), seeds.of(0, "b", 1), seeds.of(1, "a", 1)}) == 4
    assert 0 <= seeds.of(0, "a") < 2**63


def test_a_missing_source_says_what_where_and_which_key(tmp_path):
    source = sources.Source("movie.mat", "the natural movie", "Register at the archive.")
    with pytest.raises(
        FileNotFoundError, match=r"no movie.mat \(the natural movie\); the folder holds nothing. Register.*v1.data_dir"
    ):
        sources.find(tmp_path, source, "v1.data_dir")
    with pytest.raises(FileNotFoundError, match="the folder does not exist"):
        sources.find(tmp_path / "none", source, "v1.data_dir")


def test_a_wrong_checksum_is_told(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    source = sources.Source("a.txt", "text", "Ask.", checksum="sha256:" + "0" * 64)
    with pytest.raises(ValueError, match="checksum is not sha256:000"):
        sources.find(tmp_path, source, "key")
    with pytest.raises(ValueError, match="cannot be downloaded"):
        sources.download(tmp_path, source)
