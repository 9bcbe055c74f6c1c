"""How the model becomes C++: our loops around the code that Brian2 generates from the equations.

The model stays an ordinary Brian2 script. Brian2 turns its equations into statements for one cell or one synapse and puts
them into templates; here eight of these templates are replaced. What the new loops rely on is checked when the code is
generated: every statement that is rewritten, and that every substitution happened. With a version of Brian2 that is not in
CHECKED its own templates are used (build.served).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import ChoiceLoader, DictLoader

from respike.fsbi.simulator.brian import brian2

CHECKED = ("2.9.0", "2.10.1", "2.11.0")  # versions of Brian2 with which the fast loops gave the bits of its own ones
TEMPLATES = (  # replaced; `objects.cpp` is Brian2's own with the changes of OBJECTS
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
OBJECTS = {  # write results only, and say when a disk is full
    "{% if not (var in dynamic_array_specs or var in dynamic_array_2d_specs) %}\n    ofstream": (
        "{% if not (var in dynamic_array_specs or var in dynamic_array_2d_specs) and is_result(var) %}\n    ofstream",
        1,
    ),
    "{% for var, varname in dynamic_array_specs | dictsort(by='value') %}\n    ofstream": (
        "{% for var, varname in dynamic_array_specs | dictsort(by='value') if is_result(var) %}\n    ofstream",
        1,
    ),
    "outfile_{{varname}}.close();": (
        "outfile_{{varname}}.close();\n"
        '        if (outfile_{{varname}}.fail()) { std::cout << "Error writing {{varname}}." << endl; exit(1); }',
        3,
    ),
}
QUEUES = {  # from Brian2 2.10 on it writes its queues of spikes, which the fast loops do not have
    "{% for path in S._pathways | sort(attribute='name') %}\n    ofstream": ("{% for path in () %}\n    ofstream", 1),
}


@dataclass(frozen=True)
class Loops:
    """What the loops must know of the model. Conditions and variables are C++."""

    deferred: dict[str, dict[str, object]] = field(default_factory=dict)  # by postsynaptic pathway
    null_arrival: dict[str, str] = field(default_factory=dict)  # by presynaptic pathway: when it changes no weight
    recorded: dict[str, dict[str, str]] = field(default_factory=dict)  # by spike monitor
    results: frozenset[str] = frozenset()  # owner.variable


def source(name: str) -> str:
    """C++ of the file `name` of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def deferral(kind: str, trace: str, n_post: int, null: tuple[str, ...]) -> dict[str, object]:
    """Entry of `Loops.deferred` for the connection `kind`, whose postsynaptic update reads `trace` of its presynaptic cell."""
    return {
        "level": f"_array_{kind[0]}_{trace}",
        "keep": f"_array_{kind[0]}_keep_{trace}[0]",
        "weights": f"_ptr_array_{kind}_w",
        "n_post": n_post,
        "null": is_null(kind, null),
    }


def is_null(kind: str, terms: tuple[str, ...]) -> str:
    """C++ condition that all `terms` of the rule of `kind` are 0."""
    return " && ".join(f"_array_{kind}_{term}[0] == 0.0f" for term in terms)


@contextmanager
def templates(loops: Loops) -> Iterator[None]:
    """Brian2 generates its code with our loops for the time of the block."""
    code_object = brian2.devices.cpp_standalone.codeobject.CPPStandaloneCodeObject
    stock = code_object.templater
    code_object.templater = templater(stock, loops)
    try:
        yield
    finally:
        code_object.templater = stock


def templater(stock, loops: Loops):
    """Brian2's source of templates with ours before its own."""
    ours = stock.derive(
        "respike.fsbi.simulator.codegen",
        env_globals={
            "deferred": loops.deferred,
            "null_arrival": loops.null_arrival,
            "recorded": loops.recorded,
            "is_result": lambda var: name_of(var) in loops.results,
        },
    )
    ours.env.filters |= {"on_lanes": on_lanes, "one_by_one": one_by_one, "is_plastic": is_plastic}
    objects = stock.env.loader.get_source(stock.env, "objects.cpp")[0]
    changes = OBJECTS | (QUEUES if ".queue[" in objects else {})
    ours.env.loader = ChoiceLoader([DictLoader({"objects.cpp": replaced(objects, "objects.cpp", changes)}), ours.env.loader])
    return ours


def name_of(var) -> str:
    """Owner and name of a variable of Brian2."""
    return f"{getattr(var.owner, 'name', '')}.{var.name}"


def replaced(text: str, file: str, changes: dict[str, tuple[str, int]]) -> str:
    """`text` with every key of `changes` replaced; ValueError unless each occurs as often as expected."""
    for old, (new, times) in changes.items():
        if text.count(old) != times:
            raise ValueError(f"{file}: expected {times} times, found {text.count(old)} times: {old!r}; set templates to stock")
        text = text.replace(old, new)
    return text


ARRAY = re.compile(r"^(?:const )?float (\w+) = (\w+)\[(\w+)\];$")
STORE = re.compile(r"^(\w+)\[(\w+)\] = (\w+);$")
NEW = re.compile(r"^const float (\w+) = ([^\[\]]+);$")
FADED = re.compile(r"^const float (\w+) = fade_(\w+) \* \2;$")
ADDED = re.compile(r"^(\w+) \+= (\w+);$")
CHANGE = re.compile(r"^(\w+) [-+*]?= [^\[\]]+;$")
INDEX = re.compile(r"^const int32_t _(?:pre|post)synaptic_idx = \w+\[_idx\];$")
# How arrays are read and written, by direction and index: lanes are the synapses of one row, hence one side is one cell.
READ = {
    "forward": {"_idx": "load({0} + _s, _n)", "_postsynaptic_idx": "gather({0}, _other, _n)", "_presynaptic_idx": "{0}[_row]"},
    "backward": {
        "_idx": "gather({0}, _place, _n)",
        "_postsynaptic_idx": "{0}[_row]",
        "_presynaptic_idx": "gather({0}, _other, _n)",
    },
}
WRITE = {
    "forward": {"_idx": "store({0} + _s, {1}, _n);"},
    "backward": {"_idx": "scatter({0}, _place, {1}, _n);"},
    "deferred": {"_idx": ""},  # the weight stays in its variable
}


def on_lanes(code, direction: str) -> str:
    """Statements for one synapse, rewritten for a block of synapses of one row.

    Raises ValueError for a statement of a form that is not known here.
    """
    lines = statements(code)
    if direction == "deferred" and sum(bool(FADED.match(line)) for line in lines) != 1:
        raise ValueError(f"expected one use of one trace in {lines}; set templates to stock")
    delivered = {store[3]: store[1] for store in map(STORE.match, lines) if store and store[2] == "_postsynaptic_idx"}
    return "\n".join(_on_lanes(line, direction, delivered) for line in lines)


def one_by_one(code, pathway: str, skip: str = "") -> str:
    """Statements for one synapse, with the postsynaptic cell read from the short list of the pathway.

    Where a spike only adds to its targets this is faster than blocks, which gather and scatter.
    """
    index = f"const int32_t _postsynaptic_idx = {pathway}.other[_idx];"
    kept = [line for line in statements(code) if not (skip and _changes(line, skip))]
    return "\n".join(index if INDEX.match(line) else line for line in kept)


def is_plastic(code) -> bool:
    """Whether the statements change the weight of a synapse."""
    return any(_changes(line, "w") for line in statements(code))


def _changes(line: str, name: str) -> bool:
    """Whether a statement sets a variable that has been read before, or stores it."""
    stored, changed = STORE.match(line), CHANGE.match(line)
    return bool((stored and stored[3] == name) or (changed and changed[1] == name))


def statements(code) -> list[str]:
    """Lines of generated code."""
    text = code if isinstance(code, str) else "\n".join(code)
    return [line.strip() for line in text.split("\n") if line.strip()]


def _on_lanes(line: str, direction: str, delivered: dict[str, str]) -> str:  # noqa: PLR0911  (one return per form)
    """`delivered`: arrays of the postsynaptic cells to which something is added, by the name of their variable."""
    if INDEX.match(line):
        return ""
    if delivered.keys() & set(re.findall(r"\w+", line)):
        return _delivery(line, direction, delivered)
    if match := ARRAY.match(line):
        name, array, index = match.groups()
        if direction == "deferred":
            return ""  # the weight is read once for all its changes, the level of the trace is part of `_trace`
        return f"auto {name} = {_access(READ, direction, index, line).format(array)};"
    if match := STORE.match(line):
        array, index, name = match.groups()
        return _access(WRITE, direction, index, line).format(array, name)
    if direction == "deferred" and (match := FADED.match(line)):
        return f"const auto {match[1]} = _trace;"
    if match := NEW.match(line):
        return f"const auto {match[1]} = {match[2]};"
    if CHANGE.match(line):
        return line
    raise ValueError(f"the fast loops cannot run the statement {line!r}; set templates to stock")


def _delivery(line: str, direction: str, delivered: dict[str, str]) -> str:
    if (match := ADDED.match(line)) and match[1] in delivered and direction == "forward":
        return f"add_each({delivered[match[1]]}, _others, {match[2]}, _n);"
    if any((match := form.match(line)) and match[group] in delivered for form, group in ((ARRAY, 1), (STORE, 3))):
        return ""  # read and written by `add_each`
    raise ValueError(f"the fast loops ({direction}) cannot run the statement {line!r}; set templates to stock")


def _access(table: dict[str, dict[str, str]], direction: str, index: str, line: str) -> str:
    if index not in table[direction]:
        raise ValueError(f"the fast loops ({direction}) cannot run the statement {line!r}; set templates to stock")
    return table[direction][index]
