"""The state of a fit as text, from which a fit that was cut off makes the same numbers again."""

import dataclasses
import json
from typing import Any

import numpy as np


class Resumable:
    """A dataclass of arrays, numbers, texts and such dataclasses, which `core.training` saves: as JSON, to the last digit."""

    def state_dict(self) -> dict[str, Any]:
        """The state as text."""
        return {"json": json.dumps(dataclasses.asdict(self), default=lambda array: array.tolist())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name, stored in json.loads(state["json"]).items():
            setattr(self, name, _as(getattr(self, name), stored))


def _as(current: Any, stored: Any) -> Any:
    """What was stored, in the form of what stands in its place now; lists that are no list now become arrays."""
    if dataclasses.is_dataclass(current):
        return dataclasses.replace(current, **{name: _as(getattr(current, name), part) for name, part in stored.items()})
    if isinstance(current, tuple):
        return tuple(_as(*pair) for pair in zip(current, stored, strict=True))
    return np.array(stored) if isinstance(stored, list) and not isinstance(current, list) else stored
