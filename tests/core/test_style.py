"""A figure has the same bytes in every run: its panels stand on whole ten-thousandths of the page."""

import numpy as np
import pytest

from respike.core import style


def test_panels_stand_on_a_grid(tmp_path):
    figure, axes = style.panels(3, 1, sharex=True)
    for panel in axes[:, 0]:
        panel.set(title="a title", ylabel="rate (Hz)")
    figure.colorbar(axes[0, 0].imshow(np.eye(3)), ax=axes[0, 0])
    style.save(figure, tmp_path, "panels", "data")
    places = np.array([panel.get_position(original=True).bounds for panel in figure.axes])
    assert len(places) == 4
    assert places * 1e4 == pytest.approx(np.round(places * 1e4), abs=1e-6)
    assert {path.name for path in tmp_path.glob("*.p*")} == {"panels.pdf", "panels.png"}


def test_a_curve_of_one_point_is_seen(tmp_path):
    """Of a training of a single epoch, for instance."""
    figure, ((axes,),) = style.panels()
    (one,), (more,), (cross,) = axes.plot([1], [2]), axes.plot([1, 2], [2, 3]), axes.plot([1], [2], "x")
    style.save(figure, tmp_path, "curves", "data")
    assert [line.get_marker() for line in (one, more, cross)] == ["o", "None", "x"]
