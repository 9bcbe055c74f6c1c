"""Files deep in a user's folder, as archives are unpacked: read, recorded, and an edit of them is noticed."""

import numpy as np
import pytest
import yaml

from respike.modes import digits
from tests.workflow import bed

pytestmark = pytest.mark.slow


def test_an_edited_file_deep_in_the_folder_makes_stale_what_was_read_from_it(tmp_path, rng):
    project = bed.copy(tmp_path / "project")
    raw = tmp_path / "mine" / "MNIST" / "raw"
    for name, n in zip(digits.FILES, (60, 60, 20, 20), strict=True):
        array = rng.integers(0, 256, (n, 28, 28)) if "images" in name else rng.integers(0, 10, n)
        raw.mkdir(parents=True, exist_ok=True)
        digits.write_idx(raw / name, array.astype(np.uint8))
    (project / "mine.yaml").write_text(yaml.safe_dump({"modes": {"digits_dir": str(tmp_path / "mine")}}))
    target = ("results/modes/digits.npz", "--configfile", "mine.yaml")
    done = bed.respike(project, "run", *target, "--cores", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert bed.respike(project, "verify", *target).returncode == 0
    digits.write_idx(raw / digits.FILES[1], np.arange(60, dtype=np.uint8) % 10)
    found = bed.respike(project, "verify", *target)
    assert found.returncode == 1
    assert "made from another" in found.stdout
