"""A training that is cut off and resumed gives the bytes of an undisturbed one."""

import pytest
import torch

from respike.core import seeds, training


def make(tmp_path, n_steps, stop_at=None):
    weight = torch.nn.Linear(4, 1)
    with torch.no_grad():
        weight.weight.fill_(0.1)
        weight.bias.fill_(0)
    optimiser = torch.optim.Adam(weight.parameters(), 0.05)

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


def test_other_settings_start_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)
    training.train({}, lambda _: {"loss": 1.0}, 3, tmp_path / "out.pt", {"lr": 1})
    training.train({}, lambda _: {"loss": 2.0}, 3, tmp_path / "out.pt", {"lr": 2})
    assert "other settings" in capsys.readouterr().out


def test_a_broken_unfinished_state_is_discarded_aloud(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)
    training.train({}, lambda _: {"loss": 1.0}, 3, tmp_path / "out.pt", {})
    path = training.partial_path(tmp_path / "out.pt")
    path.write_bytes(path.read_bytes()[:-20])
    table = training.train({}, lambda n: {"loss": float(n)}, 3, tmp_path / "out.pt", {})
    assert "discarded" in capsys.readouterr().out
    assert table["loss"].tolist() == [0, 1, 2]


def test_forget_removes_the_unfinished_state(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)
    training.train({}, lambda _: {"loss": 1.0}, 3, tmp_path / "out.pt", {})
    training.forget(tmp_path / "out.pt")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_told():
    with pytest.raises(ValueError, match="no usable GPU"):
        training.device("cuda")
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
