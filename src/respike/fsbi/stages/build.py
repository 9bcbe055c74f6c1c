"""Compile the network into a binary that runs any rule: fsbi.build.

A binary is kept in a folder named by a hash of everything that goes into it, and is compiled once however many rules,
rounds or workflows use it.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import brian2
import numpy as np

from respike.core import files
from respike.fsbi import built, circuit, codegen
from respike.fsbi.params import DT, Network

HEADERS = ["<cstring>", "<type_traits>", '"lanes.h"']
HERE = Path(__file__).parents[1]
SOURCES = ("params.py", "model.py", "expressions.py", "circuit.py", "stages/build.py", "codegen")
# Exact float semantics: no reordering and no fused operations, so that differently shaped loops give the same bits.
FLAGS = ("-std=c++17", "-w", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")


def run(*, network: Network, folder: Path, out: Path) -> None:
    """Compile `network` below `folder`, unless it is there, and write to `out` where the binary is and what it takes."""
    compiler = find_compiler()
    key = fingerprint(network, compiler)
    home = Path(folder).resolve() / key
    with only_one(home.with_suffix(".lock")):
        if built.manifest(home) is None:
            compile_into(home, network, compiler)
    manifest = built.manifest(home)
    place = {"key": key, "folder": os.path.relpath(home, Path(out).resolve().parent)}
    files.write_text(out, json.dumps({**manifest, **place}, indent=1))


def find_compiler() -> str:
    """The C++ compiler: $CXX or g++."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise FileNotFoundError(f"fsbi.build: the C++ compiler {compiler!r} is not on the PATH; install g++ or set CXX to one")
    return compiler


def fingerprint(network: Network, compiler: str) -> str:
    """Twelve hex digits that change with anything that can change the binary."""
    total = hashlib.sha256(json.dumps(asdict(network), sort_keys=True).encode())
    for source in SOURCES:
        path = HERE / source
        for file in sorted(path.rglob("*") if path.is_dir() else [path]):
            if file.is_file() and file.suffix != ".pyc":
                total.update(f"{file.relative_to(HERE)} {files.digest(file)}\n".encode())
    for package in ("brian2", "numpy", "jinja2"):
        total.update(f"{package} {version(package)}\n".encode())
    total.update(output_of(compiler, "--version").encode())
    total.update(" ".join(flags(network)).encode())
    if network.cpu == "native":
        total.update(cpu_family().encode())
    return total.hexdigest()[:12]


def flags(network: Network) -> list[str]:
    """Compiler flags."""
    return [*FLAGS, f"-march={network.cpu}", *(["-mprefer-vector-width=512"] if platform.machine() == "x86_64" else [])]


def cpu_family() -> str:
    """What -march=native depends on: the instruction sets of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def output_of(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Waits until no other process is in the same block; the lock goes with its process, however that ends."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def compile_into(home: Path, network: Network, compiler: str) -> None:
    """Generate, compile and publish the project as the folder `home`, whole or not at all."""
    place = Path(tempfile.mkdtemp(prefix=f".tmp-{home.name}-", dir=home.parent))
    try:
        manifest = generate(place, network)
        make(place, network, compiler)
        built.seal(place, manifest)
        if home.exists():  # damaged, or left by something that is not us
            shutil.rmtree(home)
        place.chmod(0o755)
        place.rename(home)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def generate(place: Path, network: Network) -> dict:
    """Write the C++ project of `network` into `place`; what its binary takes and leaves."""
    with standalone(network):
        brian2.BrianLogger.suppress_name("cannot_check_statemonitor_indices")  # circuit.sampler sets them in the binary
        circuit.assemble(network)
        device = brian2.device
        for header in codegen.HEADERS:
            shutil.copy(HERE / "codegen" / header, place / header)
        device.build(directory=str(place), compile=False, run=False)
        return {"network": asdict(network), "settable": settable(device), "results": results(device, network)}


@contextmanager
def standalone(network: Network) -> Iterator[None]:
    """The C++ device of Brian2 with our loops, or its own, for the time of the block."""
    preferences = {
        "core.default_float_dtype": np.float32,
        "codegen.cpp.extra_compile_args_gcc": flags(network),
        "codegen.cpp.headers": HEADERS,
    }
    before = {name: brian2.prefs[name] for name in preferences}
    brian2.set_device("cpp_standalone", build_on_run=False)
    brian2.device.reinit()
    brian2.device.activate(build_on_run=False)
    try:
        for name, value in preferences.items():
            brian2.prefs[name] = value
        brian2.start_scope()
        brian2.defaultclock.dt = DT * brian2.second
        with codegen.templates(circuit.loops(network)) if network.templates == "fast" else nullcontext():
            yield
    finally:
        for name, value in before.items():
            brian2.prefs[name] = value
        brian2.device.reinit()
        brian2.set_device("runtime")


def settable(device) -> dict[str, int]:
    """Names that the command line of the binary takes, with the number of values of each."""
    return {
        f"{var.owner.name}.{var.name}": int(var.size)
        for var in device.arrays
        if var not in device.dynamic_arrays and not var.read_only
    }


def results(device, network: Network) -> dict[str, dict]:
    """Files that a run leaves, by name: where, and of which type."""
    places = {f"{var.owner.name}.{var.name}": var for var in [*device.arrays, *device.dynamic_arrays_2d]}
    wanted = {name: places[name] for name in circuit.results(network)}
    return {name: {"file": device.get_array_filename(var), "dtype": str(np.dtype(var.dtype))} for name, var in wanted.items()}


COLD = ("create_generator", "variable_set", "before_run_", "after_run_")  # code objects that run once


def make(place: Path, network: Network, compiler: str) -> None:
    """Compile the project in `place` as two units; OSError with the end of the compiler's report when that fails.

    Brian2 writes some 75 small files, each of which reads the same headers; two units take a tenth of the time.
    """
    objects = sorted((place / "code_objects").glob("*.cpp"))
    hot = [file for file in objects if not any(part in file.name for part in COLD)]
    rest = [file for file in objects if file not in hot]
    for name, level, sources in (("hot", "-O3", hot), ("cold", "-O1", [*rest, *sorted(place.glob("*.cpp"))])):
        texts = [apart(file.read_text(), file.stem) for file in sources]
        unit = place / f"{name}.cc"
        unit.write_text("\n".join(texts))
        call(compiler, *flags(network), level, "-I.", "-c", unit.name, "-o", f"{name}.o", place=place)
    call(compiler, "hot.o", "cold.o", "-o", "main", place=place)
    for left_over in place.glob("*.o"):
        left_over.unlink()


def apart(text: str, name: str) -> str:
    """C++ of a code object with its functions in a namespace of its own, so that many can share a unit."""
    start = "////// SUPPORT CODE ///////\nnamespace {"
    if start not in text:
        return text
    text = text.replace(start, f"namespace support_{name} {{")
    return text.replace("using namespace brian;", f"using namespace brian;\n    using namespace support_{name};")


def call(*command: str, place: Path) -> None:
    """Run a compiler command in the folder `place`."""
    done = subprocess.run(command, check=False, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise OSError(f"compiling the simulator in {place} failed; {command[0]} ended with:\n{done.stdout[-1500:]}")
