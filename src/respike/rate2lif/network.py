"""A trained network: what the published program keeps of it, and the MATLAB file it keeps it in.

Our own trainings write the same fields, so a file of the authors (OSF jd4b6) takes the place of a trained one.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from scipy.special import expit

from respike.core import files, mat
from respike.rate2lif.params import RATE_STEP

NEEDED = ("w", "w0", "w_in", "w_out", "b_out", "m", "som_m", "inh", "exc", "taus", "taus_gaus")


@dataclass(frozen=True)
class Network:
    """Weights are (receiver, sender). `extra` holds the fields of the file that no computation needs."""

    w: Float[np.ndarray, "cell cell"]  # trained weights, not negative under Dale's law
    w0: Float[np.ndarray, "cell cell"]  # weights before training
    w_in: Float[np.ndarray, "cell channel"]
    w_out: Float[np.ndarray, " cell"]
    b_out: float
    signs: Float[np.ndarray, " cell"]  # 1 or -1 by sender
    mask: Float[np.ndarray, "cell cell"]  # 0 where the SST motif forbids a connection
    inhibitory: Bool[np.ndarray, " cell"]
    taus: tuple[float, ...]  # smallest and largest decay constant in steps, or one value
    taus_gaus: Float[np.ndarray, " cell"]  # trained; the sigmoid puts it between the two
    activation: str = "sigmoid"
    sst_cells: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.w)

    def decay(self) -> Float[np.ndarray, " cell"]:
        """Synaptic decay constant of each cell, s."""
        return decay(self.taus_gaus, self.taus)

    def recurrent(self, initial: bool = False) -> Float[np.ndarray, "cell cell"]:
        """Signed weights after the SST mask; with `initial` those before training."""
        return (self.w0 if initial else self.w) * self.signs * self.mask

    def sst(self) -> Bool[np.ndarray, " cell"]:
        """The inhibitory cells that receive nothing from inhibitory cells."""
        return self.inhibitory & (np.cumsum(self.inhibitory) <= self.sst_cells)


def decay(taus_gaus: Float[np.ndarray, " cell"], taus: tuple[float, ...]) -> Float[np.ndarray, " cell"]:
    """Decay constants (s) between the smallest and the largest of `taus` (steps), by the sigmoid of `taus_gaus`."""
    return (expit(taus_gaus) * (taus[-1] - taus[0]) + taus[0]) * RATE_STEP


def read(path: str | Path) -> Network:
    """The network in a MATLAB v5 file.

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
        activation=_text(other.get("activation", "sigmoid")),
        sst_cells=int(np.ravel(other.get("som_N", 0))[0]),
        extra=other,
    )


def _load(path: Path) -> dict[str, Any]:
    with files.checked(path).open("rb") as file:
        start = file.read(mat.HEADER)
    if b"MATLAB 7.3" in start or start.startswith(b"\x89HDF"):
        raise ValueError(f"{path} is a MATLAB version 7.3 (HDF5) file, expected version 5; save it again in MATLAB with -v7")
    try:
        return {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    except (ValueError, TypeError, OSError, NotImplementedError, MatReadError) as error:
        raise ValueError(f"{path} cannot be read as a MATLAB version 5 file ({error})") from error


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
            place = tuple(int(i) for i in wrong[0])
            raise ValueError(f"{path}: field {name}{list(place)} is {fields[name][place]}, expected finite numbers")
    taus = fields["taus"].ravel()
    if not 1 <= len(taus) <= 2 or taus[0] < 1 or taus[-1] < taus[0]:
        raise ValueError(f"{path}: field taus is {taus.tolist()}, expected [smallest, largest] or one value, at least 1 step")


def _text(value: Any) -> str:
    return str(np.ravel(value)[0])


def write(path: str | Path, network: Network) -> None:
    """MATLAB v5 file with the published fields. Equal networks give equal bytes."""
    column = {name: np.asarray(value, dtype=float)[:, None] for name, value in _by_cell(network).items()}
    fields = {
        **network.extra,
        **column,
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


def _by_cell(network: Network) -> dict[str, np.ndarray]:
    return {"inh": network.inhibitory, "exc": ~network.inhibitory, "taus_gaus": network.taus_gaus}
