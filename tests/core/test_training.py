"""A training that is cut off and resumed gives the bytes of an undisturbed one."""

import re
import sys
from pathlib import Path

import pytest
import torch

from respike.core import files, partial, seeds, training


def make(tmp_path, n_steps, stop_at=None):
    weight = torch.nn.Linear(4, 1)
    with torch.no_grad():
        weight.weight.fill_(0.1)
        weight.bias.fill_(0)
    optimiser = training.Adam(weight.parameters(), 0.05)

    def step(number):
        if number == stop_at:
            raise KeyboardInterrupt
        x = torch.from_numpy(seeds.generator(3, "test", number).normal(size=(16, 4))).float()
        loss = ((weight(x)[:, 0] - x.sum(1)) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return {"loss": loss.item()}

    parts = {"weight": weight, "optimiser": optimiser}
    table = training.train(parts, step, n_steps, tmp_path / "out.pt", {"lr": 0.05})
    return weight.weight.detach().clone(), table


def test_resume_is_bit_for_bit(tmp_path, monkeypatch, capsys):
    straight, log = make(tmp_path / "a", 40)
    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "b", 40, stop_at=17)
    resumed, log_again = make(tmp_path / "b", 40)
    assert "going on after step 17" in capsys.readouterr().out
    assert torch.equal(straight, resumed)
    assert log.equals(log_again)


def updates(make_adam, start, **options):
    """Parameters after eight updates at two falling rates, the optimiser's state handed to a second one in between."""
    parameters = [torch.nn.Parameter(part.clone()) for part in start]
    groups = [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.3}]
    adam = make_adam(groups, 0.1, **options)
    schedule = torch.optim.lr_scheduler.StepLR(adam, 2, 0.5)
    for number in range(8):
        if number == 4:
            adam, held = make_adam(groups, 0.1, **options), adam.state_dict()
            adam.load_state_dict(held)
        adam.zero_grad()
        sum((part**4 + number * part).sum() for part in parameters).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        adam.step()
        if number < 4:
            schedule.step()
    return parameters


@pytest.mark.parametrize("options", [{}, {"fused": True, "betas": (0.8, 0.9)}, {"weight_decay": 1e-2}], ids=str)
def test_adam_is_that_of_torch_to_the_bit(options):
    start = torch.randn(40, generator=torch.Generator().manual_seed(1)).split([30, 10])
    for one, other in zip(updates(training.Adam, start, **options), updates(torch.optim.Adam, start, **options), strict=True):
        assert torch.equal(one, other)


def test_adam_does_not_import_the_compiler(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # an import of it now fails
    with pytest.raises(ImportError):
        updates(torch.optim.Adam, [torch.ones(2), torch.ones(3)])
    updates(training.Adam, [torch.ones(2), torch.ones(3)])


def test_other_settings_start_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)
    training.train({}, lambda _: {"loss": 1.0}, 3, tmp_path / "out.pt", {"lr": 1})
    training.train({}, lambda _: {"loss": 2.0}, 3, tmp_path / "out.pt", {"lr": 2})
    assert "other settings" in capsys.readouterr().out


OUTPUT = "fits/out.pt"


@pytest.mark.parametrize(
    ("inputs", "code", "resumes"),
    [
        ({"digits.npz": "1a"}, "c0de", True),
        ({"digits.npz": "1a", OUTPUT: "99"}, "c0de", True),  # what an earlier training of the same network left there
        ({"digits.npz": "2b"}, "c0de", False),
        ({"mnist.npz": "1a"}, "c0de", False),
        ({"digits.npz": "1a", "start.pt": "3c"}, "c0de", False),
        ({"digits.npz": "1a"}, "0dd", False),
    ],
)
def test_a_training_resumes_only_with_the_inputs_and_the_code_it_began_with(tmp_path, monkeypatch, inputs, code, resumes):
    """`files.maker` holds what the command line says of the running stage: its code, and the digest of every input."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)
    monkeypatch.setattr(files, "maker", {"code": "c0de", "inputs": {"digits.npz": "1a"}})
    training.train({}, lambda _: {"loss": 1.0}, 3, Path(OUTPUT), {"lr": 1})
    monkeypatch.setattr(files, "maker", {"code": code, "inputs": inputs})
    table = training.train({}, lambda _: {"loss": 2.0}, 4, Path(OUTPUT), {"lr": 1})
    assert table["loss"].tolist() == ([1, 1, 1, 2] if resumes else [2, 2, 2, 2])


def test_the_speed_after_a_resume_counts_the_steps_of_this_process(tmp_path, monkeypatch, capsys):
    """Steps of 2 s by a clock of ours: 0.5 steps/s in every line of the log, and 2 s left for each step to do."""
    clock = [100.0]
    monkeypatch.setattr(training.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)

    def train(stop_at=None):
        def step(number):
            if number == stop_at:
                raise KeyboardInterrupt
            clock[0] += 2.0
            return {"loss": 1.0}

        training.train({}, step, 40, tmp_path / "out.pt", {}, report_every=10)

    with pytest.raises(KeyboardInterrupt):
        train(stop_at=25)
    clock[0] = 5000.0
    train()
    lines = re.findall(r"step (\d+)/40 .* ([\d.]+) steps/s  (\d+) s left", capsys.readouterr().out)
    assert lines == [("10", "0.5", "60"), ("20", "0.5", "40"), ("30", "0.5", "20"), ("40", "0.5", "0")]


def test_a_broken_unfinished_state_is_discarded_aloud(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)
    training.train({}, lambda _: {"loss": 1.0}, 3, tmp_path / "out.pt", {})
    for path in partial.paths(tmp_path / "out.pt"):
        path.write_bytes(path.read_bytes()[:-20])
    table = training.train({}, lambda n: {"loss": float(n)}, 3, tmp_path / "out.pt", {})
    assert "discarded" in capsys.readouterr().out
    assert table["loss"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("moment", ["the record is new, the file old", "the file is cut off"])
def test_a_state_spoilt_while_it_was_saved_costs_one_state(tmp_path, monkeypatch, capsys, moment):
    straight, log = make(tmp_path / "a", 40)
    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "b", 40, stop_at=17)
    latest = max(partial.paths(tmp_path / "b/out.pt"), key=lambda path: path.stat().st_mtime_ns)
    if moment == "the file is cut off":
        latest.write_bytes(latest.read_bytes()[:-20])
    else:
        record = files.record_path(latest)
        record.write_text(record.read_text().replace(files.read_record(latest)["sha256"], "0" * 64))
    resumed, log_again = make(tmp_path / "b", 40)
    said = capsys.readouterr().out
    assert "discarded" in said
    assert "going on after step 16" in said
    assert torch.equal(straight, resumed)
    assert log.equals(log_again)


def test_forget_removes_the_unfinished_state(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)
    training.train({}, lambda _: {"loss": 1.0}, 3, tmp_path / "out.pt", {})
    partial.forget(tmp_path / "out.pt")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_told():
    with pytest.raises(ValueError, match="run.device = 'cuda': expected auto, cpu, or cuda, which needs a usable GPU"):
        training.device("cuda")
    with pytest.raises(ValueError, match="run.device = 'gpu': expected auto, cpu, or cuda"):
        training.device("gpu")
    assert training.device("auto").type == "cpu"


def test_ends_after_the_first_row_that_satisfies_until_also_when_resumed(tmp_path, monkeypatch):
    def walk(stop_at=None):
        layer = torch.nn.Linear(1, 1, bias=False)
        layer.weight.data.zero_()

        def step(number):
            if number == stop_at:
                raise KeyboardInterrupt
            layer.weight.data += number
            return {"total": layer.weight.item()}

        return training.train({"layer": layer}, step, 10, tmp_path / "out.pt", {}, until=lambda row: row["total"] >= 6)

    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        walk(stop_at=2)
    assert walk()["total"].tolist() == [0, 1, 3, 6]
    assert walk()["total"].tolist() == [0, 1, 3, 6]


def test_best_weights_are_a_copy_and_the_first_of_equals():
    layer = torch.nn.Linear(1, 1, bias=False)
    best = training.Best(layer)
    for step, (score, value) in enumerate([(-2.0, 1.0), (-1.0, 2.0), (-1.0, 3.0), (float("nan"), 4.0), (-1.5, 5.0)]):
        with torch.no_grad():
            layer.weight.fill_(value)
        best.offer(score, step)
    assert (best.score, best.step, best.weights["weight"].item()) == (-1.0, 1, 2.0)
    again = training.Best(layer)
    assert again.weights["weight"].item() == 5.0  # before any score: the weights it started with
    again.load_state_dict(best.state_dict())
    again.offer(-1.0, 9)
    assert (again.step, again.weights["weight"].item()) == (1, 2.0)
