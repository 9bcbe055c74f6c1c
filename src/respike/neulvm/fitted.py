"""A model as a file: a readable JSON of the circuit and of how it is stepped, for any later stage or another program."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

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
    about: dict = field(default_factory=dict)  # losses, start, ...


def write(path: Path, fitted: Fitted) -> None:
    """JSON file of a model."""
    files.write_text(path, json.dumps(dataclasses.asdict(fitted), indent=1) + "\n")


def read(path: Path) -> Fitted:
    """Model in the file `path`; ValueError when it is not one."""
    content = files.checked(path).read_bytes()
    try:
        return config.convert(json.loads(content), Fitted, "the model")
    except ValueError as error:  # no text, no JSON, or not these fields: the message says what was found and expected
        raise ValueError(f"{path} is not a model file ({error}); neulvm.fit and neulvm.select write them") from error
