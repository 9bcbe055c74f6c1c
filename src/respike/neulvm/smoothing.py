"""Smoothing along time."""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d


def smooth(x: Float[np.ndarray, "*shape"], width: int, kernel: str, axis: int = -1) -> Float[np.ndarray, "*shape"]:
    """x along an axis, smoothed by a Gaussian (sigma `width` bins), a moving average around each bin ("ma") or before it."""
    if kernel == "gaussian":
        return gaussian_filter1d(np.asarray(x, dtype=float), width, axis=axis, mode="reflect")
    if kernel not in {"ma", "ma_forward"}:
        raise ValueError(f"neulvm.fit.kernel = {kernel!r}: expected gaussian, ma or ma_forward")
    window = np.ones(width) / width
    if kernel == "ma_forward":
        window = np.concatenate([np.zeros(width - 1), window])
    return np.apply_along_axis(np.convolve, axis, x, window, mode="same")
