"""MATLAB files (version 5) of arrays: the same arrays give the same bytes."""

import io
from collections.abc import Mapping
from typing import Any

from scipy.io import savemat

HEADER = 116  # bytes of free text at the beginning of a MATLAB file, where SciPy writes the time


def content(fields: Mapping[str, Any]) -> bytes:
    """Bytes of a compressed MATLAB file that holds `fields`."""
    buffer = io.BytesIO()
    savemat(buffer, fields, do_compression=True)
    return b"MATLAB 5.0 MAT-file, written by respike".ljust(HEADER) + buffer.getvalue()[HEADER:]
