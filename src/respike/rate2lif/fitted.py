"""A trained network as a file: MATLAB v5 with the fields of the published program.

Our own trainings write the same fields, so a file of the authors (OSF jd4b6) takes the place of a trained one.
"""

from pathlib import Path
from typing import Any

import numpy as np

from respike.core import files
from respike.formats import mat, matlab
from respike.rate2lif.network import Network

NEEDED = ("w", "w0", "w_in", "w_out", "b_out", "m", "som_m", "inh", "exc", "taus", "taus_gaus")


def read(path: str | Path, activation: str = "sigmoid") -> Network:
    """The network in a MATLAB v5 file, with `activation` where the file names none.

    Raises ValueError that names file and field for a version 7.3 file, a missing or misshaped field, a number that is
    not finite, or decay constants in the wrong order.
    """
    fields = _load(Path(path))
    missing = [name for name in NEEDED if name not in fields]
    if missing:
        raise ValueError(
            f"{path}: no field {missing}; it has {sorted(fields)}. A trained network needs all of {list(NEEDED)}."
        )
    fields = _numbers(path, fields)
    _check(path, fields)
    other = {name: value for name, value in fields.items() if name not in NEEDED}
    return Network(
        w=fields["w"],
        w0=fields["w0"],
        w_in=fields["w_in"],
        w_out=fields["w_out"].ravel(),
        b_out=float(fields["b_out"].ravel()[0]),
        signs=np.diag(fields["m"]).copy(),
        mask=fields["som_m"],
        inhibitory=fields["inh"].ravel() != 0,
        taus=tuple(float(value) for value in fields["taus"].ravel()),
        taus_gaus=fields["taus_gaus"].ravel(),
        activation=str(one(path, fields, "activation", activation)),
        sst_cells=int(one(path, fields, "som_N", 0)),
        extra=other,
    )


def one(path: str | Path, fields: dict[str, Any], name: str, default: float | str) -> Any:
    """The value of an optional field; ValueError when it is none, several, or no number or word as the `default` is."""
    values = np.ravel(fields.get(name, default))
    if values.size != 1 or isinstance(default, str) != (values.dtype.kind not in "biuf"):
        kind = "word" if isinstance(default, str) else "number"
        raise ValueError(f"{path}: field {name} is {values.tolist()}, expected one {kind} (or no such field)")
    return values[0]


def read_scaled(path: str | Path) -> tuple[Network, float]:
    """A network and the scale that the search has found for it; ValueError when its file says none."""
    network = read(path)
    if "opt_scaling_factor" not in network.extra:
        raise ValueError(f"{path}: no field opt_scaling_factor; run rate2lif.search on this network first")
    return network, float(np.ravel(network.extra["opt_scaling_factor"])[0])


def _load(path: Path) -> dict[str, Any]:
    with files.checked(path).open("rb") as file:
        start = file.read(mat.HEADER)
    if b"MATLAB 7.3" in start or start.startswith(b"\x89HDF"):
        raise ValueError(f"{path} is a MATLAB version 7.3 (HDF5) file, expected version 5; save it again in MATLAB with -v7")
    return matlab.variables(path)


def _numbers(path: str | Path, fields: dict[str, Any]) -> dict[str, Any]:
    for name in NEEDED:
        if fields[name].dtype.kind not in "biuf":
            raise ValueError(f"{path}: field {name} is {fields[name].dtype}, expected numbers")
    return {**fields, **{name: fields[name].astype(float) for name in NEEDED}}


def _check(path: str | Path, fields: dict[str, Any]) -> None:
    n = len(fields["w"])
    channels = fields["w_in"].shape[1]
    shapes = dict.fromkeys(("w", "w0", "m", "som_m"), (n, n)) | {"w_in": (n, channels), "w_out": (1, n), "b_out": (1, 1)}
    for name, expected in (shapes | dict.fromkeys(("inh", "exc", "taus_gaus"), (n, 1))).items():
        if fields[name].shape != expected:
            raise ValueError(f"{path}: field {name} has shape {fields[name].shape}, expected {expected} (w has {n} rows)")
    for name in NEEDED:
        wrong = np.argwhere(~np.isfinite(fields[name]))
        if len(wrong):
            entry = tuple(int(i) for i in wrong[0])
            raise ValueError(f"{path}: field {name}{list(entry)} is {fields[name][entry]}, expected finite numbers")
    inhibitory, n_sst = fields["inh"].ravel() != 0, one(path, fields, "som_N", 0)
    if (fields["m"] != np.diag(np.where(inhibitory, -1, 1))).any() or (fields["exc"].ravel() != ~inhibitory).any():
        raise ValueError(
            f"{path}: fields inh, exc and m disagree; expected inh or exc 1 for each cell, and m its sign, -1 or 1"
        )
    if n_sst not in range(inhibitory.sum() + 1):
        raise ValueError(f"{path}: field som_N is {n_sst}, expected 0 to {inhibitory.sum()}, the number of inhibitory cells")
    if fields["som_m"][np.ix_(np.flatnonzero(inhibitory)[: int(n_sst)], inhibitory)].any():
        expected = "0 in som_m from inhibitory cells to the first inhibitory ones, as many as som_N"
        raise ValueError(f"{path}: fields som_N, {n_sst}, and som_m disagree; expected {expected}")
    taus = fields["taus"].ravel()
    if not 1 <= len(taus) <= 2 or taus[0] < 1 or taus[-1] < taus[0]:
        raise ValueError(f"{path}: field taus is {taus.tolist()}, expected [smallest, largest] or one value, at least 1 step")


def write(path: str | Path, network: Network) -> None:
    """MATLAB v5 file with the published fields. Equal networks give equal bytes."""
    by_cell = {"inh": network.inhibitory, "exc": ~network.inhibitory, "taus_gaus": network.taus_gaus}
    fields = {
        **network.extra,
        **{name: np.asarray(values, dtype=float)[:, None] for name, values in by_cell.items()},
        "w": network.w,
        "w0": network.w0,
        "w_in": network.w_in,
        "w_out": network.w_out[None],
        "b_out": np.array([[network.b_out]]),
        "m": np.diag(network.signs),
        "som_m": network.mask,
        "som_N": network.sst_cells,
        "N": network.n_cells,
        "taus": np.array([network.taus]),
        "activation": network.activation,
    }
    with files.whole(path) as temporary:
        temporary.write_bytes(mat.content(fields))
