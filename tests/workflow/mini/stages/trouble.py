"""A job that can go wrong, for tests of a cluster."""

from pathlib import Path

from respike.core import files


def run(*, out: Path, kind: str, megabytes: int) -> None:
    """Fail, or take memory, as `kind` says."""
    if kind == "fail":
        raise ValueError("trouble was asked for")
    held = bytearray(megabytes << 20) if kind == "memory" else b""
    for place in range(0, len(held), 4096):
        held[place] = 1
    if held:
        import time  # noqa: PLC0415

        time.sleep(8)  # Slurm looks every two seconds
    files.write_text(out, f"{kind}\n")
