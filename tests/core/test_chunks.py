"""Chunks: every item once, finished ones as they are."""

import numpy as np
import pytest

from respike.core import chunks


@pytest.mark.parametrize("trial", range(50))
def test_every_item_is_in_one_chunk_and_finished_chunks_stay(trial):
    rng = np.random.default_rng(trial)
    cuts = np.unique(rng.integers(0, 60, 8))
    done = [(int(a), int(b) - 1) for a, b in zip(cuts[:-1], cuts[1:], strict=True) if rng.random() < 0.5]
    total, size = int(rng.integers(1, 70)), int(rng.integers(1, 20))
    found = chunks.ranges(done, total, size)
    assert [number for first, last in found for number in range(first, last + 1)] == list(range(total))
    assert {chunk for chunk in done if chunk[1] < total} <= set(found)
    assert all(last - first < size for first, last in set(found) - set(done))


def test_finished_chunks_are_read_off_the_names_of_their_files(tmp_path):
    for name in ("a_b_0-4.npz", "a_b_5-5.npz", "c_0-1.npz", "c_0-1.txt", "c_x-1.npz", "whole.npz", ".tmp-c_2-3.npz.part"):
        (tmp_path / name).touch()
    found = chunks.finished(tmp_path, "npz")
    assert {name: sorted(ranges) for name, ranges in found.items()} == {"a_b": [(0, 4), (5, 5)], "c": [(0, 1)]}
    assert not chunks.finished(tmp_path / "none", "npz")
    (tmp_path / "d_6-7.npz.json").touch()
    assert chunks.finished(tmp_path, "npz.json") == {"d": [(6, 7)]}


def test_chunks_beyond_the_wanted_items_are_left_out():
    assert chunks.ranges([(0, 9), (10, 19)], 15, 10) == [(0, 9), (10, 14)]
    assert chunks.ranges([(0, 9), (10, 14), (10, 19)], 20, 10) == [(0, 9), (10, 19)]


def test_with_beyond_every_finished_chunk_stays_whatever_is_wanted(rng):
    done: list[tuple[int, int]] = []
    for total in rng.integers(1, 300, 40).tolist():
        found = chunks.ranges(done, total, int(rng.integers(1, 50)), beyond=True)
        held = [number for first, last in found for number in range(first, last + 1)]
        assert held == list(range(len(held)))
        assert found[-1][0] < total <= len(held)
        assert {one for one in done if one[0] < total} <= set(found)
        done = sorted({*done, *found})


@pytest.mark.parametrize("chunk", [0, -1])
def test_chunks_of_nothing_are_refused(chunk):
    with pytest.raises(ValueError, match=f"chunk = {chunk}: expected 1 item or more"):
        chunks.ranges([], 5, chunk)


def test_a_file_that_ends_before_it_begins_is_no_chunk():
    assert chunks.ranges([(3, 1)], 5, 3) == [(0, 2), (3, 4)]
