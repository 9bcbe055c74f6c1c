"""A trained flow as a file of plain data: weights, settings and names."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from respike.core import files
from respike.fsbi.inference.flow import FlowSettings, Member, architecture


def write(path: Path, member: Member) -> None:
    """Torch file of `member`."""
    content = {
        "state": member.net.state_dict(),
        "settings": asdict(member.settings),
        "metrics": list(member.metrics),
        "box": member.box.tolist(),
        "held_out": torch.as_tensor(member.held_out),
        "losses": list(member.losses),
    }
    files.write_checkpoint(path, content)


def read(path: Path) -> Member:
    """Member in the file `path`."""
    stored = files.read_checkpoint(path)
    settings, box = FlowSettings(**stored["settings"]), np.array(stored["box"])
    with torch.random.fork_rng(devices=[]):
        shape = torch.randn(10, box.shape[1]), torch.randn(10, len(stored["metrics"]))
        net = architecture(settings)(*shape)  # the numbers do not matter: the state replaces what is computed from them
    net.load_state_dict(stored["state"])
    metrics, losses = tuple(stored["metrics"]), tuple(stored["losses"])
    return Member(net.eval(), settings, metrics, box, stored["held_out"].numpy(), losses)
