"""The folder of a compiled binary: `main`, and `manifest.json`, which says what the binary takes and which bytes it has."""

import json
from pathlib import Path

from respike.core import files


def seal(home: Path, manifest: dict) -> None:
    """Write the manifest of the binary that was compiled into `home`."""
    (home / "manifest.json").write_text(json.dumps(manifest | {"sha256": files.digest(home / "main")}, indent=1))


def manifest(home: Path) -> dict | None:
    """What `seal` was given; None when the binary or its manifest is missing or damaged."""
    try:
        held = json.loads((home / "manifest.json").read_text())
        whole = held.pop("sha256") == files.digest(home / "main")
    except (OSError, ValueError, KeyError):
        return None
    return held if whole else None
