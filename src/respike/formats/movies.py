"""Movies of users: frames in any type of number as grey values, and the frame that each moment of a trial sees."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num
from scipy import ndimage

from respike.formats import arrays, matlab

BRIGHT = 32  # of 255: the brightest grey value of a film in bytes is above it; from 1 to here the scale is unknown
SHORT = 0.8  # trials that last a smaller share of a movie may not belong to it


class Movie(NamedTuple):
    """Frames and when each came on."""

    name: str
    frames: np.ndarray  # frame, row, column
    times: Float[np.ndarray, " frame"] | None  # s on the clock of the session; none: one frame lasts one bin of the study

    @property
    def period(self) -> float:
        """Time of a frame (s); a still image stays on."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else np.inf

    def is_continuous(self, starts: np.ndarray, stops: np.ndarray) -> bool:
        """Whether it runs through all trials, which start and stop then, and is not played anew in each."""
        first, last = self.times[0] - self.period, self.times[-1] + 2 * self.period
        return len(starts) > 1 and first <= starts.min() and last >= (starts.max() + stops[starts.argmax()]) / 2

    def in_trials(
        self, path: Path, starts: np.ndarray, stops: np.ndarray, seconds: float, width: float, key: str
    ) -> Num[np.ndarray, "frame row column"]:
        """The frame in the middle of each bin of `width` of a trial, for `seconds` or as long as movie and trials last.

        `path` and `key` name file and config for messages. ValueError for trials shorter than what is asked for, when
        movie and trials differ so much in length that one may not belong to the other, and when trials see other frames.
        """
        shortest, continuous = float((stops - starts).min()), self.is_continuous(starts, stops)
        film = np.inf if continuous else self.times[-1] - self.times[0] + self.period
        asked, longest = seconds or min(film, shortest), min(film, shortest)
        if asked > longest + width / 2 or (not seconds and np.isfinite(film) and asked < SHORT * film) or asked < width:
            last = f"last {shortest:g} s (trial {int((stops - starts).argmin())}) to {(stops - starts).max():g} s"
            last = last if np.isfinite(shortest) else "have no end"
            raise ValueError(
                f"{path}: trials {last} and {self.name} has {len(self.frames)} frames of {self.period:g} s; expected trials "
                f"as long as that, and as a bin ({width:g} s): say in {key}.seconds how much of each trial to use, or choose "
                f"trials by {key}.only"
            )
        if not np.isfinite(asked):
            raise ValueError(
                f"{path}: {self.name} is one frame, trials have no end; expected {key}.seconds, how long each lasts"
            )
        middles = (np.arange(int((asked + width / 2 if seconds else asked) / width * (1 + 1e-9))) + 0.5) * width
        zero = self.times[0] if not continuous else 0.0
        moments = (starts[:, None] if continuous else np.zeros((1, 1))) + middles + zero
        seen = np.clip(np.searchsorted(self.times, moments + 1e-6 * width, "right") - 1, 0, len(self.frames) - 1)
        for trial, frames in enumerate(seen):
            if not np.array_equal(self.frames[frames], self.frames[seen[0]], equal_nan=True):  # nan is told of by `grey`
                raise ValueError(
                    f"{path}: {self.name} runs through the session, and trial {trial} sees other frames than trial 0; "
                    f"expected trials that repeat one movie: choose them by {key}.only"
                )
        return self.frames[seen[0]]


def read(path: Path) -> Float[np.ndarray, "row column frame"]:
    """Frames, grey values 0 to 1, of a .npy file or of M in a .mat file; ValueError that names file and field."""
    if path.suffix == ".npy":
        return grey(path, "the array", arrays.read_npy(path))
    return grey(path, "M", matlab.variable(path, "M"))


def grey(path: Path, name: str, frames: Num[np.ndarray, "..."]) -> Float[np.ndarray, "row column frame"]:
    """Grey values 0 to 1 of `frames`, called `name` in `path`, whatever the type of the numbers.

    Values up to 1 are taken as they are and values up to 255 are divided by 255. ValueError when they are no movie, or
    when the largest value leaves open which of the two it is.
    """
    if frames.ndim != 3 or frames.dtype.kind not in "uifb" or 0 in frames.shape:
        raise ValueError(f"{path}: {name} is {frames.dtype} of shape {frames.shape}; expected numbers, row x column x frame")
    if not np.isfinite(frames).all():
        bad = np.unique(np.argwhere(~np.isfinite(frames))[:, 2])
        raise ValueError(
            f"{path}: {name} has {len(bad)} frames with nan or infinity, first frame {bad[0]}; expected grey values"
        )
    low, high = float(frames.min()), float(frames.max())
    if low < 0:
        raise ValueError(f"{path}: {name} has negative values (least {low:g}); expected grey values from 0")
    if high > 255 or 1 < high < BRIGHT:
        raise ValueError(
            f"{path}: {name} has grey values from {low:g} to {high:g}, of which the scale is unclear; expected 0 to 1, or 0 "
            "to 255; divide them by the value of white"
        )
    return frames / 255 if high > 1 else frames.astype(float)


def resize(frames: Float[np.ndarray, "row column frame"], pixels: int) -> Float[np.ndarray, "pixel pixel frame"]:
    """Frames of pixels x pixels: blurred by (f - 1) / 2 for a factor f > 1, then linear on the grid of pixel centres."""
    factors = np.array(frames.shape[:2]) / pixels
    blur = np.maximum((factors - 1) / 2, 0)
    zoom = (*(1 / factors), 1)
    blurred = ndimage.gaussian_filter(frames, (*blur, 0), mode="mirror")
    return ndimage.zoom(blurred, zoom, order=1, mode="mirror", grid_mode=True)
