"""A model as a file: a readable JSON of the circuit and of how it is stepped, for any later stage or another program."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from respike.core import config, files
from respike.neulvm.params import Circuit

Kind = Literal["exact", "compat", "network"]


@dataclass(frozen=True)
class Fitted:
    """A circuit, how it is simulated (`network`: cell by cell; else the scheme of the mesoscopic model), and its origin."""

    circuit: Circuit
    kind: Kind
    dt: float  # s, bin
    history: int  # bins
    dataset: str
    about: dict[str, Any] = field(default_factory=dict)  # losses, start, ...


def write(path: Path, fitted: Fitted) -> None:
    """JSON file of a model."""
    files.write_text(path, json.dumps(dataclasses.asdict(fitted), indent=1) + "\n")


def read(path: Path) -> Fitted:
    """Model in the file `path`; ValueError when it is not one."""
    try:
        stored = json.loads(files.checked(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a model file ({error}); neulvm.fit and neulvm.select write them") from error
    names = {f.name for f in dataclasses.fields(Fitted)}
    if not isinstance(stored, dict) or set(stored) != names or stored["kind"] not in get_args(Kind):
        raise ValueError(f"{path} is not a model file; expected the fields {sorted(names)} and a kind among {get_args(Kind)}")
    try:
        circuit = config.build(Circuit, stored["circuit"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: circuit does not describe a circuit ({error})") from error
    return Fitted(**{**stored, "circuit": circuit})
