"""How the model becomes C++: our loops around the code that Brian2 generates from the equations.

The model stays an ordinary Brian2 script. Brian2 turns its equations into statements for one cell or one synapse and puts
them into templates; here eight of these are replaced, and `objects.cpp` is changed. What the new loops
rely on is checked when the code is generated: every statement that is rewritten, and that every substitution happened. With
a version of Brian2 that is not in CHECKED its own templates are used (build.served).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jinja2 import ChoiceLoader, DictLoader

from respike.fsbi.simulator.brian import brian2

CHECKED = ("2.9.0", "2.10.1", "2.11.0")  # versions of Brian2 with which the fast loops gave the bits of its own ones
TEMPLATES = (  # replaced; named here, so that they are part of what the code means (respike.fingerprint)
    "network.cpp",
    "spikemonitor.cpp",
    "statemonitor.cpp",
    "stateupdate.cpp",
    "synapses.cpp",
    "synapses_classes.cpp",
    "synapses_push_spikes.cpp",
    "threshold.cpp",
)
HEADERS = ("lanes.h", "deferred.h")  # copied beside the generated code


def source(name: str) -> str:
    """C++ of the file `name` of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def in_cpp(name: str, code: str, *arguments: type | int, result: type | int = 1) -> brian2.Function:
    """The function `name` for equations, in C++ alone. Its arguments and its result are numbers (1) or truths (bool)."""
    kind = "boolean" if result is bool else "float"
    function = brian2.Function(_not_in_python, arg_units=list(arguments), return_unit=result, return_type=kind)
    function.implementations.add_implementation("cpp", code, name=name)
    return function


def _not_in_python(*_: float) -> float:
    raise NotImplementedError


@contextmanager
def templates() -> Iterator[None]:
    """Brian2 generates its code with our loops for the time of the block."""
    code_object = brian2.devices.cpp_standalone.codeobject.CPPStandaloneCodeObject
    stock = code_object.templater
    ours = stock.derive("respike.fsbi.simulator.codegen", env_globals={"is_deferred": is_deferred})
    ours.env.filters |= {"on_lanes": on_lanes, "one_by_one": one_by_one}
    objects = silenced(stock.env.loader.get_source(stock.env, "objects.cpp")[0])
    ours.env.loader = ChoiceLoader([DictLoader({"objects.cpp": objects}), ours.env.loader])
    code_object.templater = ours
    try:
        yield
    finally:
        code_object.templater = stock


def is_deferred(synapses) -> bool:
    """Whether postsynaptic spikes of a connection are noted for later: where they read one trace, as the poly rule does."""
    return "gamma" in synapses.variables


def silenced(objects: str) -> str:
    """Brian2's `objects.cpp` without all that it writes at the end of a run: circuit.leave writes what is asked for."""
    text, times = re.subn(r"(void _write_arrays\(\)\n\{).*?(?=\n\}\n\nvoid )", r"\1", objects, flags=re.DOTALL)
    if times != 1:
        raise ValueError(f"objects.cpp: expected one function _write_arrays, found {times}; set templates to stock")
    return text


INDEX = (r"const int32_t _(?:pre|post)synaptic_idx = \w+\[_idx\];", "")
NEW = (r"const float (\w+) = ([^\[\]]+);", r"const auto \1 = \2;")
CHANGE = (r"\w+ [-+*]?= [^\[\]]+;", r"\g<0>")
READ = r"(?:const )?float (\w+) = (\w+)\[%s\];"
WRITE = r"(\w+)\[%s\] = (\w+);"
# Statements for one synapse, and for a block of synapses of one row: they share the cell on one side.
BLOCKS = {
    "forward": (
        *(INDEX, NEW, CHANGE),
        (READ % "_idx", r"auto \1 = load(\2 + _s, _n);"),
        (READ % "_postsynaptic_idx", r"auto \1 = gather(\2, _other, _n);"),
        (READ % "_presynaptic_idx", r"auto \1 = \2[_row];"),
        (WRITE % "_idx", r"store(\1 + _s, \2, _n);"),
    ),
    "backward": (
        *(INDEX, NEW, CHANGE),
        (READ % "_idx", r"auto \1 = gather(\2, _place, _n);"),
        (READ % "_postsynaptic_idx", r"auto \1 = \2[_row];"),
        (READ % "_presynaptic_idx", r"auto \1 = gather(\2, _other, _n);"),
        (WRITE % "_idx", r"scatter(\1, _place, \2, _n);"),
    ),
    "deferred": (  # the weight is read and written once for all its changes, the level of the trace is part of `_trace`
        (r"const float (\w+) = fade_(\w+) \* \2;", r"const auto \1 = _trace;"),
        *(INDEX, NEW, CHANGE),
        (READ % r"\w+", ""),
        (WRITE % "_idx", ""),
    ),
}
# What is added to postsynaptic cells: read, added to, and written.
DELIVERY = re.compile(
    r"^float (\w+) = (\w+)\[_postsynaptic_idx\];\n(.*?)^\1 \+= (\w+);\n(.*?)^\2\[_postsynaptic_idx\] = \1;$",
    re.MULTILINE | re.DOTALL,
)
SETS_WEIGHT = re.compile(r"w [-+*]?= .*|\w+\[_idx\] = w;")


def statements(code) -> list[str]:
    """Lines of generated code."""
    text = code if isinstance(code, str) else "\n".join(code)
    return [line.strip() for line in text.split("\n") if line.strip()]


def on_lanes(code, direction: str) -> str:
    """Statements for one synapse, rewritten for a block of synapses of one row.

    Raises ValueError for a statement of a form that is not known here.
    """
    text = "\n".join(statements(code))
    if direction == "forward":
        text = DELIVERY.sub(r"\3add_each(\2, _others, \4, _n);\n\5", text)
    lines = [_on_lanes(line, direction) for line in statements(text)]
    if direction == "deferred" and sum("_trace;" in line for line in lines) != 1:
        raise ValueError(f"expected one use of one trace in {text!r}; set templates to stock")
    return "\n".join(lines)


def _on_lanes(line: str, direction: str) -> str:
    if line.startswith("add_each("):
        return line
    for form, block in BLOCKS[direction]:
        if match := re.fullmatch(form, line):
            return match.expand(block)
    raise ValueError(f"the fast loops ({direction}) cannot run the statement {line!r}; set templates to stock")


def one_by_one(code, pathway: str) -> str:
    """Statements for one synapse without changes of its weight, with the postsynaptic cell from the short list of the pathway.

    Where a spike only adds to its targets this is faster than blocks, which gather and scatter.
    """
    index = f"const int32_t _postsynaptic_idx = {pathway}.other[_idx];"
    kept = [line for line in statements(code) if not SETS_WEIGHT.fullmatch(line)]
    return "\n".join(index if re.fullmatch(INDEX[0], line) else line for line in kept)
