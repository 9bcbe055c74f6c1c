"""Where a job that was cut off goes on: the last two states of an output that is not written yet, in `.partial` beside it.

A state is a dict whose list `rows` grows as the work goes on. It counts for the same settings, arguments, code and inputs
only, as any file of the workflow. States are no outputs, so Snakemake leaves them alone.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from respike.core import files

State = dict[str, Any]


class Form(NamedTuple):
    """How a state becomes a file, with its record, and is read again; `read` raises CorruptFile for a damaged file."""

    write: Callable[[Path, State], None]
    read: Callable[[Path], State]


JSON = Form(  # numbers, text, lists and dicts: floats come back to the last bit, nan too
    write=lambda path, state: files.write_text(path, json.dumps(state)),
    read=lambda path: json.loads(files.checked(path).read_text(encoding="utf-8")),
)
CHECKPOINT = Form(files.write_checkpoint, files.read_checkpoint)  # tensors too


def paths(output: Path) -> list[Path]:
    """Files of the states of `output`: two, because a kill while one is replaced can spoil that one."""
    return [output.parent / ".partial" / f"{output.name}.{turn}" for turn in range(2)]


def save(output: Path, settings: Mapping[str, Any], state: State, form: Form = JSON) -> None:
    """Keep `state` in place of the older of the two."""
    older = min(paths(output), key=lambda path: path.stat().st_mtime_ns if path.exists() else 0)
    form.write(older, {**state, "key": _key(output, settings)})


def resume(output: Path, settings: Mapping[str, Any], form: Form = JSON) -> State | None:
    """The state with the most rows, whose cost is now part of ours; None without any. Unusable ones are removed, aloud."""
    states = {path: _usable(path, _key(output, settings), form) for path in paths(output) if path.exists()}
    usable = {path: state for path, state in states.items() if state is not None}
    if not usable:
        return None
    path = max(usable, key=lambda path: len(usable[path]["rows"]))
    files.maker["cost_before"] = (files.read_record(path) or {}).get("cost", {})
    print(f"going on after step {len(usable[path]['rows'])} from {path}", flush=True)
    return usable[path]


def forget(output: Path) -> None:
    """Remove the states of `output`, which is finished."""
    for path in paths(output):
        discard(path)


def discard(path: Path) -> None:
    """Remove a state and its record."""
    path.unlink(missing_ok=True)
    files.record_path(path).unlink(missing_ok=True)


def _key(output: Path, settings: Mapping[str, Any]) -> str:
    """What a state rests on: settings, code, the command line, the device, and the content of every input."""
    inputs = {path: digest for path, digest in files.maker.get("inputs", {}).items() if path != str(output)}
    words = [str(Path(word)) for word in files.maker.get("arguments", ())]  # ./fit.pt is fit.pt
    told = words, *(files.maker.get(fact) for fact in ("code", "device"))  # a device sets the last digits
    return repr((sorted(settings.items()), told, sorted(inputs.items())))


def _usable(path: Path, key: str, form: Form) -> State | None:
    try:
        if files.read_record(path) is None:
            raise files.CorruptFile(f"{path} has no record")
        state = form.read(path)
        if state["key"] != key:
            raise files.CorruptFile(f"{path} was made with other settings, code or inputs")
    except files.CorruptFile as error:
        print(f"unfinished work discarded: {error}", flush=True)
        discard(path)
        return None
    return state
