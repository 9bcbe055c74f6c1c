"""Every reader of user files on damaged files: a result or a clear message, never a traceback, never much memory or time.

A reader runs in a process of its own, which may take 1 GB more than it has and 10 s for each file. Files are damaged by seeds.
"""

import io
import json
import multiprocessing
import pickle
import resource
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import yaml

from respike import overlay, schema
from respike.barrel import recording as sweeps
from respike.core.config import ConfigError
from respike.formats import arrays, matlab, movies, spike_times
from respike.fsbi import mlp, released
from respike.fsbi.params import Wiring
from respike.modes import digits
from respike.neulvm import recording as neulvm
from respike.neulvm.params import Data, Window
from respike.rate2lif import fitted
from respike.v1 import loading, recording
from respike.v1.params import Preprocessing
from tests import rate2lif_small, sessions

CASES, SECONDS, BYTES = 3000, 10, 10**9
SPLIT = Preprocessing(pixels=5, train=1, test=1, validation=1)
WINDOW = Window(fine=0.004, history=0.2, end=1.6, length=1.2, batch=1.2, held_out=0.4)
RNG = np.random.default_rng(0)
ROOT = Path(__file__).resolve().parents[1]
SCHEMA = yaml.load((ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def times(n=3):
    return sessions.spike_trains(np.random.default_rng(1), units=n, seconds=8.0)


def idx(path):
    digits.write_idx(path, RNG.integers(0, 256, (3, 28, 28), dtype=np.uint8))


def mat(path):
    scipy.io.savemat(path, {"M": RNG.integers(0, 256, (6, 6, 20), dtype=np.uint8)}, do_compression=True)


def network(path):
    fitted.write(path, rate2lif_small.untrained(np.random.default_rng(1)))


def events(path):
    matlab.write_cells(path, "data", "EVENTS", [[np.sort(RNG.random(3)) for _ in range(2)] for _ in range(3)])


def movie_npy(path):
    np.save(path, RNG.integers(0, 256, (6, 6, 20), dtype=np.uint8))


def plain(path):
    spike_times.write(path, times(), onsets=np.arange(3) * 2.0, movie=np.zeros((6, 6, 25)), populations=["a", "a", "b"])


def pickled(protocol):
    content = {"sampled_spikes": np.ones((2, 500, 2), bool), "I_ext": np.zeros((500, 2)), "A_t_pop": np.ones((500, 2))}
    return lambda path: path.write_bytes(pickle.dumps(content, protocol=protocol))


def nwb(path):
    movie = {"film": (sessions.film(RNG, n=25, shape=(6, 6)), 0.0, 25.0)}
    sessions.write(
        path, times(), np.arange(3) * 2.0, np.arange(3) * 2.0 + 1, {"kind": np.array([b"a", b"a", b"b"])}, movies=movie
    )


def small_sweeps(path):
    with h5py.File(path, "w") as file:
        for name in ("force", "torque"):
            file.create_dataset(name, data=RNG.random((3, 1, 2, 31, 3, 3), "f4"), compression="gzip")
        file["label"] = np.array([b"53", b"box", b"plane"])


def rules(path):
    four = np.zeros(4, released.dtype("poly"))
    four["seed"] = np.arange(4)
    np.save(path, four)


def layers(path):
    path.write_text("# layers\n" + ", ".join(map(str, RNG.normal(size=500).round(3))))


def config(path):
    path.write_text((ROOT / "config.yaml").read_text(encoding="utf-8"), encoding="utf-8")


def read_config(path):
    overlay.check([path])
    schema.check(yaml.load(path.read_text(encoding="utf-8-sig"), Loader=yaml.CSafeLoader), SCHEMA)


READERS = {  # name: ending, how a whole file is written, how it is read
    "idx": ("", idx, lambda path: digits.read_idx(path, 3)),
    "mat v5": (".mat", mat, movies.read),
    "mat v5 of a network": (".mat", network, fitted.read),
    "mat v7.3": (".mat", events, recording.read_spike_times),
    "npy": (".npy", movie_npy, movies.read),
    "npz": (".npz", plain, lambda path: loading.load(path, SPLIT, "v1.data_dir")),
    "npz of populations": (".npz", plain, lambda path: neulvm.read(path, (1, 1), Data(), WINDOW)),
    "pickle 2": ("", pickled(2), lambda path: neulvm.read(path, (1, 1))),
    "pickle 4": ("", pickled(4), lambda path: neulvm.read(path, (1, 1))),
    "hdf5": (".h5", small_sweeps, lambda path: sweeps.read(path, "barrel.recording.train", frames=2)),
    "nwb": (".nwb", nwb, lambda path: loading.load(path, SPLIT, "v1.data_dir")),
    "nwb of populations": (".nwb", nwb, lambda path: neulvm.read(path, (1, 1), Data(column="kind"), WINDOW)),
    "released rules": (".npy", rules, lambda path: released.read(path, "poly")),
    "hidden layers": (".txt", layers, lambda path: mlp.fixed_layers(Wiring(), path)),
    "yaml": (".yaml", config, read_config),
}


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """The file with a part overwritten, cut off, doubled, left out, or a few bytes changed."""
    kind, size = rng.integers(6), len(whole)
    start, length = int(rng.integers(size)), int(rng.integers(1, 64))
    if kind == 0:
        return whole[:start]
    if kind == 1:
        return whole[:start] + rng.bytes(length) + whole[start + length :]
    if kind == 2:
        return whole[:start] + whole[start : start + length] * 2 + whole[start + length :]
    if kind == 3:
        return whole[:start] + whole[start + length :]
    changed = bytearray(whole)
    head = size if kind == 4 else min(size, 600)  # where most formats say what follows
    for place in rng.integers(0, head, rng.integers(1, 6)):
        changed[place] = rng.choice([0, 1, 255, 127, 128, int(rng.integers(256))])
    return bytes(changed)


def try_all(name: str, folder: str, seed: int, said: str) -> None:
    """Read CASES damaged files; what went wrong, and how often it was read or refused, is written to the file `said`."""
    ending, write, read = READERS[name]
    path = Path(folder) / f"case{ending}"
    write(path)
    read(path)  # whole, it is read
    whole, rng = path.read_bytes(), np.random.default_rng(seed)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, resource.RLIM_INFINITY))
    counts, wrong, last = {"read": 0, "refused": 0}, [], Path(said).with_suffix(".last")

    def too_slow(*_):
        raise TimeoutError(f"more than {SECONDS} s")

    signal.signal(signal.SIGALRM, too_slow)
    for case in range(CASES):
        path.write_bytes(damaged(whole, rng))
        last.write_text(str(case))
        signal.alarm(SECONDS)
        try:
            read(path)
            counts["read"] += 1
        except (ValueError, FileNotFoundError, ConfigError) as error:
            counts["refused"] += 1
            if str(path) not in str(error) and not str(error).startswith("config: ") and "v1.data." not in str(error):
                wrong.append(f"case {case}: the message does not name the file: {type(error).__name__}: {error}")
        except BaseException as error:  # noqa: BLE001  (anything else is a fault)
            wrong.append(f"case {case}: {type(error).__name__}: {error}")
        signal.alarm(0)
    Path(said).write_text(json.dumps({**counts, "wrong": wrong}))


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused_with_a_message(tmp_path, name):
    said = tmp_path / "said.json"
    process = multiprocessing.get_context("fork").Process(target=try_all, args=(name, str(tmp_path), 7, str(said)))
    process.start()
    process.join(900)
    if process.is_alive():
        process.kill()
    last = said.with_suffix(".last")
    assert said.exists(), (
        f"ended by signal or still running (exit {process.exitcode}), case {last.exists() and last.read_text()}"
    )
    found = json.loads(said.read_text())
    assert not found["wrong"], "\n".join([f"{len(found['wrong'])} faults", *found["wrong"][:8]])
    assert found["read"] + found["refused"] == CASES
    assert found["refused"] > CASES // 20


def test_announced_sizes_are_not_believed(tmp_path):
    """A header of a terabyte before a few bytes: refused at once, in every array format."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**5)})
    (tmp_path / "a.npy").write_bytes(head.getvalue() + bytes(80))
    with pytest.raises(ValueError, match=r"a\.npy: the array cannot be read .* 80 bytes follow"):
        arrays.read_npy(tmp_path / "a.npy")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("force", "torque"):
            file.create_dataset(name, (10**6, 1, 2, 31, 3, 3), "f4", chunks=(1, 1, 2, 31, 3, 3))
        file["label"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"force announces [\d,]+ bytes, and 0 are there"):
        sweeps.read(tmp_path / "a.h5", "key", frames=2)
    (tmp_path / "idx").write_bytes(np.array([2051, 60000, 2**15, 2**15], ">i4").tobytes() + bytes(40))
    with pytest.raises(ValueError, match=r"announces [\d,]+ bytes, and 56 are there"):
        digits.read_idx(tmp_path / "idx", 3)
