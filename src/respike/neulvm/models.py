"""A model as a file: a readable JSON of the circuit and of how it is stepped, for any later stage or another program."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from respike.core import files
from respike.neulvm.params import Circuit

KINDS = ("exact", "compat", "network")


@dataclass(frozen=True)
class Model:
    """A circuit, how it is simulated (`network`: cell by cell; else the scheme of the mesoscopic model), and its origin."""

    circuit: Circuit
    kind: str
    dt: float  # s, bin
    history: int  # bins
    dataset: str
    about: dict[str, Any] = field(default_factory=dict)  # losses, start, ...


def write(path: Path, model: Model) -> None:
    """JSON file of a model."""
    files.write_text(path, json.dumps(dataclasses.asdict(model), indent=1) + "\n")


def read(path: Path) -> Model:
    """Model in the file `path`; ValueError when it is not one."""
    try:
        held = json.loads(files.checked(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a model file ({error}); neulvm.fit and neulvm.select write them") from error
    names = {f.name for f in dataclasses.fields(Model)}
    if not isinstance(held, dict) or set(held) != names or held["kind"] not in KINDS:
        raise ValueError(f"{path} is not a model file; expected the fields {sorted(names)} and a kind among {KINDS}")
    try:
        circuit = Circuit.from_dict(held["circuit"])
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path}: circuit does not describe a circuit ({error})") from error
    return Model(**{**held, "circuit": circuit})
