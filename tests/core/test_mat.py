"""MATLAB files hold what they are given, and no time."""

import io
import time

import numpy as np
from scipy.io import loadmat

from respike.formats import mat


def test_same_arrays_give_the_same_bytes_at_any_time(monkeypatch, rng):
    fields = {"w": rng.normal(size=(3, 4)), "name": "sigmoid"}
    written = []
    for moment in ("Sat Nov 21 23:59:59 2026", "Sun Nov 22 00:00:00 2026"):
        monkeypatch.setattr(time, "asctime", lambda *_, moment=moment: moment)
        written.append(mat.content(fields))
    assert written[0] == written[1]
    found = loadmat(io.BytesIO(written[0]))
    np.testing.assert_array_equal(found["w"], fields["w"])
    assert found["name"] == ["sigmoid"]
