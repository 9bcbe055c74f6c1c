"""Ten steps of a training on a GPU beside the CPU: the same losses. `make gpu` does the same and tells the time."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device; `make gpu DEVICE=plain` needs none")


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("training", ["modes_contextual", "modes_digits", "v1", "barrel"])
def test_losses_on_a_gpu_are_those_of_the_cpu(training):
    ended = subprocess.run([sys.executable, SCRIPT, "--only", training], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_what_a_gpu_would_run_gives_the_losses_of_the_cpu():
    command = [sys.executable, SCRIPT, "--device", "plain", "--only", "v1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[1].startswith("v1 ")
