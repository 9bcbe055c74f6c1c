"""Plain values become dataclasses; what does not fit is refused with its name."""

from dataclasses import dataclass
from typing import Literal

import pytest

from respike.core.config import ConfigError, build


@dataclass(frozen=True)
class Settings:
    """Example."""

    rate: float
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = ()


def test_build_makes_dataclasses_from_plain_values():
    assert build(Settings, {"rate": 1, "sizes": [1, 2]}) == Settings(1.0, "a", (1, 2))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": 1.0, "x": 1}, r"no field \['x'\]"),
        ({}, r"needs a value for \['rate'\]"),
        ({"rate": "fast"}, "expected float, found str"),
        ({"rate": True}, "expected float, found bool"),
        ({"rate": 1.0, "kind": "c"}, "expected one of 'a', 'b'"),
    ],
)
def test_build_says_what_is_wrong(values, message):
    with pytest.raises(ConfigError, match=message):
        build(Settings, values)
