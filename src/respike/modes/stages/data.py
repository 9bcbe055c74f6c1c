"""Four IDX files in (MNIST, or the embedded stand-in), one checked array file out."""

from pathlib import Path

from respike.core import files
from respike.modes import digits


def run(*, folder: Path, out: Path, sources: list[Path] = [], standin: str = "") -> None:  # noqa: B006  (never changed)
    """Read the IDX files in `folder` and write images (image, pixel; bytes), labels and the name of the data set.

    `sources` are the files of the folder that are read, wherever in it they stand: the record of `out` must know them.
    `standin` is the data set's name when the files are not the user's. Raises FileNotFoundError or ValueError that names
    the file and what is wrong with it.
    """
    images = digits.read(folder)
    files.write_arrays(out, **images._asdict(), dataset=standin or images.name(folder))
