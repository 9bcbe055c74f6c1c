"""Keep the rows of a round that are small enough."""

from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files


def run(*, chunks: list[Path], out: Path, eps: float) -> None:
    """Values of all chunks that are below `eps`."""
    values = pd.concat([files.read_table(path) for path in chunks])["value"].to_numpy()
    files.write_arrays(out, numbers=np.sort(values[values < eps]))
