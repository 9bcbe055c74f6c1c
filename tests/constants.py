"""Constants of a module or of settings, held against values that a test writes down from the paper or its program."""

from typing import Any


def check(thing: Any, **expected: Any) -> None:
    """Each named constant of a module, class or settings is the expected value."""
    assert {name: getattr(thing, name) for name in expected} == expected
