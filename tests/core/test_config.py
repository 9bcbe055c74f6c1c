"""Plain values become dataclasses; what does not fit is refused with its name."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from respike.core.config import ConfigError, build


@dataclass(frozen=True)
class Settings:
    """Example."""

    rate: float
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = ()
    table: dict[str, float] = field(default_factory=dict)


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
        ({"rate": 1.0, "sizes": 3}, r"Settings\.sizes = 3: expected a list"),
        ({"rate": 1.0, "table": [1]}, r"Settings\.table = \[1\]: expected keys and values"),
    ],
)
def test_build_says_what_is_wrong(values, message):
    with pytest.raises(ConfigError, match=message):
        build(Settings, values)


def test_build_says_where_the_values_come_from():
    for values, message in (({}, "--settings: Settings needs a value"), ({"rate": "x"}, r"--settings: Settings\.rate = 'x'")):
        with pytest.raises(ConfigError, match=message):
            build(Settings, values, "--settings")
