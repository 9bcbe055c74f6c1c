"""Raw numbers in, arrays out."""

from pathlib import Path

import numpy as np

from respike.core import files


def run(*, source: Path, out: Path) -> None:
    """Read one number per line."""
    files.write_arrays(out, numbers=np.array([float(line) for line in files.checked(source).read_text().split()]))
