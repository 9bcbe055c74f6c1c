"""placeholder"""

from pathlib import Path


def write(target: Path) -> str:
    """x"""
    raise ValueError("x")
