"""Fetch the four files of MNIST, for those with a network."""

from pathlib import Path

import pooch

from respike.modes.digits import FILES

MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist"
MD5 = (
    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "d53e105ee54ea40749a09fcbcd1e9432",
    "9fb629c4189551a2d022fa330f9573f3",
    "ec29112dd5afa0611ce80d1b7f02629c",
)


def run(*, folder: Path) -> None:
    """Download MNIST (11 MB, usually said to be CC BY-SA 3.0) into `folder`; ValueError when a checksum differs."""
    for name, md5 in zip(FILES, MD5, strict=True):
        pooch.retrieve(f"{MIRROR}/{name}.gz", f"md5:{md5}", fname=f"{name}.gz", path=folder)
