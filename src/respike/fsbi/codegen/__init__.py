"""How the model becomes C++: our loops around Brian2's generated code, and the functions it calls."""

from collections.abc import Iterator
from contextlib import contextmanager

from respike.fsbi.params import Network


@contextmanager
def templates(network: Network) -> Iterator[None]:
    yield
