"""Training of barrel networks: what is learnt from which samples, seeds, interruptions, and the files of networks."""

import pickle
import shlex
from dataclasses import replace

import numpy as np
import pytest
import torch

from respike.__main__ import main
from respike.barrel import anatomy, fitted, learning, model, params, responses
from respike.barrel.samples import held_out, in_fold
from respike.barrel.stages import fit
from respike.core import files, partial, seeds, training
from respike.core.config import build
from respike.stage import command_line
from tests.barrel_small import CODING, SMALL, kept, network, samples

QUICK = params.Fit(CODING, SMALL, params.Training(epochs=10, batch=5, validation_share=0.34, learning_rate=0.02))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short training on 12 samples: trainer, course, samples."""
    some = samples(np.random.default_rng(1), 12)
    is_test = np.arange(12) >= 9
    out = tmp_path_factory.mktemp("fit") / "net.pt"
    trainer, course = learning.fit(out, some, is_test, QUICK, 0, "cpu")
    partial.forget(out)
    return trainer, course, some


@pytest.mark.parametrize(("share", "is_test"), [(0.95, np.arange(12) >= 9), (0.2, np.arange(12) >= 3)])
def test_a_training_needs_samples(tmp_path, share, is_test):
    """Of each class one sample at least is for validation, which may be all that the test leaves."""
    settings = replace(QUICK, training=replace(QUICK.training, validation_share=share))
    told = rf"no sample is left .*barrel.spiking.training.validation_share, {share}, or barrel.sweeps.test_share"
    with pytest.raises(ValueError, match=told):
        learning.fit(tmp_path / "net.pt", samples(np.random.default_rng(1), 12), is_test, settings, 0, "cpu")


def test_dale_and_time_constants_after_training(trained):
    trainer, course, _ = trained
    built = trainer.network
    assert len(course) * 2 == 20  # updates
    assert ((built.weight >= 0) & (built.weight <= 1)).all()
    assert (built.tau_membrane >= 0.5).all()
    assert (built.tau_adaptation >= 0.5).all()
    matrix = built.dense_weights(built.weight * built.sign).detach().numpy()
    column = replace(anatomy.load(), sizes=np.diff(built.bounds.numpy()))
    assert (matrix[:, ~column.excitatory[column.population]] <= 0).all()
    assert (matrix[:, column.excitatory[column.population]] >= 0).all()
    assert np.count_nonzero(matrix) <= len(built.weight), "masked-out entries stay exactly 0"


def test_training_learns_and_picks_its_epoch_by_validation(trained):
    """Classes that differ in their channels are told apart, also in samples that the training has not seen."""
    trainer, course, some = trained
    assert course["train"].iloc[0] < 0.7
    assert course["train"].iloc[-1] == 1
    assert course["test"].iloc[-1] == 1
    assert (course["loss"] > np.log(np.e + 2) - 1).all()
    assert trainer.best.score == course["validation"].max()
    assert trainer.best.step == course["validation"].idxmax()
    at_best = course.iloc[trainer.best.step]
    best = kept(trainer)._replace(trained=trainer.best.weights).network("trained")
    assert learning.accuracy(best, some.part(np.arange(12) >= 9), 0) == at_best["test"]


def test_training_validation_and_test_share_no_sample(trained):
    trainer, course, some = trained
    parts = [set(part.number.tolist()) for part in (trainer.train, trainer.validation, trainer.test)]
    assert sum(map(len, parts)) == len(some)
    assert set.union(*parts) == set(some.number.tolist())
    assert parts[2] == {9, 10, 11}
    assert (course["n_train"] == len(parts[0])).all()
    assert (course["n_test"] == 3).all()


def test_weights_do_not_depend_on_the_test_samples(tmp_path, trained):
    """Other values and labels of the test samples change no weight: nothing is learnt or chosen from them."""
    trainer, course, some = trained
    is_test = np.arange(12) >= 9
    values, label = some.values.copy(), some.label.copy()
    values[is_test], label[is_test] = values[is_test][:, ::-1, ::-1] ** 3, (label[is_test] + 1) % 3
    other, of_other = learning.fit(tmp_path / "net.pt", replace(some, values=values, label=label), is_test, QUICK, 0, "cpu")
    assert not of_other["test"].equals(course["test"])
    for name, value in trainer.best.weights.items():
        assert torch.equal(other.best.weights[name], value), name


def test_every_epoch_has_each_training_sample_once_in_an_order_of_its_own(monkeypatch, trained):
    trainer, _, some = trained
    again = learning.Trainer(network(), QUICK.training, 0, (some, some.part([]), some))
    seen = []
    monkeypatch.setattr(again.schedule, "step", lambda: None)
    monkeypatch.setattr(again, "_update", lambda x, part: (seen.append((x, part)), (1.0, 0, 0.0))[1])
    for number in range(3):
        again.epoch(number)
    orders = [np.concatenate([part.number for _, part in seen[k : k + 3]]).tolist() for k in (0, 3, 6)]
    assert [len(part) for _, part in seen[:3]] == [4, 4, 4]
    for order in orders:
        assert sorted(order) == list(range(12))
    assert orders[0] != orders[1] != orders[2] != orders[0]
    for x, part in seen:
        assert np.array_equal(x, part.inputs(0)), "the input of a sample goes with its label"


def test_the_course_tells_the_steepest_gradient_of_an_epoch(monkeypatch, rng):
    """Before the update, over all parameters, of the batch that has the largest."""
    some = samples(rng, 9)
    trainer = learning.Trainer(network(), params.Training(batch=9, learning_rate=1e-9), 0, (some, some.part([]), some))
    built = trainer.network
    found = trainer.epoch(0)["gradient"]

    order = seeds.generator(0, "barrel", "batch", 0).permutation(9)
    part = some.part(order)
    output = built(part.inputs(0), built.initial_state(0, part.number))
    value = learning.loss(output, torch.from_numpy(part.label), "reference")
    slopes = torch.autograd.grad(value, list(built.parameters()))
    assert found == pytest.approx(np.linalg.norm(np.concatenate([slope.numpy().ravel() for slope in slopes])), rel=1e-4)

    norms = iter([1.0, 3.0, 2.0])
    several = learning.Trainer(network(), params.Training(batch=3), 0, (some, some.part([]), some))
    monkeypatch.setattr(several.schedule, "step", lambda: None)
    monkeypatch.setattr(several, "_update", lambda x, part: (1.0, 0, next(norms)))
    assert several.epoch(0)["gradient"] == 3


@pytest.mark.parametrize("redraw", [False, True])
def test_input_spikes_are_drawn_anew_in_each_epoch_only_if_asked_for(monkeypatch, rng, redraw):
    some = samples(rng, 3)
    trainer = learning.Trainer(network(), params.Training(redraw=redraw), 0, (some, some.part([]), some))
    drawn = []
    monkeypatch.setattr(trainer.schedule, "step", lambda: None)
    monkeypatch.setattr(trainer, "_update", lambda x, part: (drawn.append(x[np.argsort(part.number)]), (1.0, 0, 0.0))[1])
    for number in range(2):
        trainer.epoch(number)
    assert np.array_equal(*drawn) is not redraw


@pytest.mark.parametrize("form", ["spiking", "real"])
def test_a_loss_that_is_no_number_names_the_step_size_of_its_form(rng, form):
    some = samples(rng, 6, form)
    trainer = learning.Trainer(network(form), params.Training(), 0, (some, some.part([]), some))
    torch.nn.init.constant_(trainer.network.classes.bias, np.nan)
    with pytest.raises(ValueError, match=rf"the loss is nan; lower barrel\.{form}\.training\.learning_rate in config.yaml"):
        trainer.epoch(0)


def test_weights_and_time_constants_are_brought_back_into_their_range_after_each_update(rng):
    some = samples(rng, 6)
    trainer = learning.Trainer(network(), params.Training(learning_rate=0.3), 0, (some, some.part([]), some))
    built = trainer.network
    with torch.no_grad():
        built.tau_membrane.fill_(0.6)
        built.tau_adaptation.fill_(0.6)
    trainer.epoch(0)
    for values, low in ((built.weight, 0), (built.tau_membrane, 0.5), (built.tau_adaptation, 0.5)):
        assert values.min() == low, "the update went below"
    assert built.weight.max() == 1


def test_time_constants_learn_faster_and_all_rates_fall_together(trained):
    trainer, _, some = trained
    settings = params.Training(learning_rate=0.01, decay_every=2, decay=0.5)
    again = learning.Trainer(network(), settings, 0, (some, some.part([]), some))
    groups = again.optimiser.param_groups
    assert [group["lr"] for group in groups] == pytest.approx([0.01, 0.05, 0.02])
    assert groups[1]["params"] == [again.network.tau_adaptation]
    assert groups[2]["params"] == [again.network.tau_membrane]
    assert sum(len(group["params"]) for group in groups) == len(list(again.network.parameters()))
    again.optimiser.step()
    for _ in range(2):
        again.schedule.step()
    assert [group["lr"] for group in groups] == pytest.approx([0.005, 0.025, 0.01])


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, monkeypatch, trained):
    trainer, course, some = trained
    is_test, out = np.arange(12) >= 9, tmp_path / "net.pt"
    cut_off(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        learning.fit(out, some, is_test, QUICK, 0, "cpu")
    monkeypatch.undo()
    again, resumed = learning.fit(out, some, is_test, QUICK, 0, "cpu")
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value), name
    assert resumed.equals(course)
    for name, found in (("one", trainer), ("other", again)):
        fitted.write(tmp_path / name, kept(found)._replace(trained=found.best.weights))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def cut_off(monkeypatch, at=4):
    """Make every training stop before epoch `at` with its state saved; ends with `monkeypatch.undo()`."""
    epoch = learning.Trainer.epoch

    def stop(self, number):
        if number == at:
            raise KeyboardInterrupt
        return epoch(self, number)

    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)
    monkeypatch.setattr(learning.Trainer, "epoch", stop)


def test_replicates_of_two_runs_share_no_random_number(tmp_path):
    """Replicate 1 of the run with seed 0 and replicate 0 of that with seed 1, which once were the same network."""
    some, networks = samples(np.random.default_rng(1), 12), {}
    is_test = np.arange(12) >= 9
    files.write_arrays(tmp_path / "i.npz", values=some.values, label=some.label, is_test=is_test, dataset=np.array("test"))
    for root, replicate in ((0, 0), (0, 1), (1, 0), (1, 1)):
        settings = params.Fit(CODING, SMALL, params.Training(epochs=1))
        history, out = tmp_path / f"{root}_{replicate}.parquet", tmp_path / f"{root}_{replicate}.pt"
        variant = params.Variant("spiking", replicate=replicate)
        fit.run(
            inputs=tmp_path / "i.npz", variant=variant, settings=settings, seed=root, device="cpu", history=history, fit=out
        )
        networks[root, replicate] = fitted.read(out)
        assert networks[root, replicate].replicate == replicate
        assert (files.read_table(history)["replicate"] == replicate).all()
    assert len({one.seed for one in networks.values()}) == 4
    weights = [one.initial["hidden.weight"] for one in networks.values()]
    assert not any(torch.equal(weights[a], weights[b]) for a in range(4) for b in range(a))


def test_a_saved_training_is_not_continued_on_other_sweeps(tmp_path, monkeypatch, capsys):
    """A kill, then other sweeps (barrel.sweeps.* or a file of the user): the training must start anew."""
    coding = {"encoding": {"frame_stride": 22, "repeats": 1}, "network": {"divide_by": 60}, "training": {"epochs": 5}}
    options = {"variant": {"form": "spiking"}, "settings": coding, "seed": 0, "device": "cpu"}

    def train(scale, name):
        some, is_test = samples(np.random.default_rng(1), 12), np.arange(12) >= 9
        inputs, history = tmp_path / "inputs.npz", tmp_path / name / "course.parquet"
        files.write_arrays(inputs, values=scale * some.values, label=some.label, is_test=is_test, dataset=np.array("test"))
        words = shlex.split(command_line({"inputs": inputs, "history": history, **options}))
        assert main(["barrel.fit", *words]) == 0
        return files.read_table(history)

    cut_off(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(1.0, "killed")
    monkeypatch.undo()
    wanted = train(0.5, "undisturbed")
    assert train(0.5, "killed").equals(wanted)
    assert "unfinished work discarded" in capsys.readouterr().out


def test_a_saved_training_is_not_continued_with_other_test_samples(tmp_path, monkeypatch, capsys):
    """As when barrel.crossval.folds changes: fold 0 keeps its name, but not its samples."""
    some = samples(np.random.default_rng(1), 12)
    cut_off(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        learning.fit(tmp_path / "net.pt", some, np.arange(12) >= 9, QUICK, 0, "cpu")
    monkeypatch.undo()
    _, wanted = learning.fit(tmp_path / "undisturbed.pt", some, np.arange(12) < 3, QUICK, 0, "cpu")
    _, course = learning.fit(tmp_path / "net.pt", some, np.arange(12) < 3, QUICK, 0, "cpu")
    assert course.equals(wanted)
    assert "unfinished work discarded" in capsys.readouterr().out


def test_a_checkpoint_gives_the_same_network(tmp_path, trained):
    trainer, _, some = trained
    stored = kept(trainer)
    assert "start" not in stored.trained, "what follows from the synapses is not kept"
    older = {**stored.trained, "start": torch.zeros(3)}  # it was once
    fitted.write(tmp_path / "net.pt", stored._replace(trained=older))
    again = fitted.read(tmp_path / "net.pt").network("trained")
    before, after = (learning.play(built, some, 0) for built in (trainer.network, again))
    assert torch.equal(before.votes, after.votes)
    for name in ("tau_membrane", "baseline", "sender", "start"):
        assert torch.equal(getattr(again, name), getattr(trainer.network, name))


def test_shuffled_senders_keep_projections(trained):
    trainer, _, _ = trained
    built = kept(trainer).network("trained")
    responses.shuffle(built, np.random.default_rng(0))
    assert not torch.equal(built.sender, trainer.network.sender)
    bounds = built.bounds.numpy()

    def by_projection(net):
        to, origin = (np.searchsorted(bounds, part.numpy(), side="right") for part in (net.receiver, net.sender))
        return {
            (a, b): sorted(net.weight.detach().numpy()[(to == a) & (origin == b)])
            for a, b in set(zip(to, origin, strict=True))
        }

    assert by_projection(built) == by_projection(trainer.network)


def test_losses():
    votes = torch.tensor([[9.0, 0, 0], [0, 9.0, 0]])
    output = model.Output(votes, torch.zeros(2, 10, 3), torch.zeros(0))
    label = torch.tensor([0, 1])
    perfect = learning.loss(model.Output(votes * 10 / 9, output.logits, output.spikes), label, "reference")
    assert perfect.item() == pytest.approx(np.log(np.e + 2) - 1)
    assert learning.loss(output, label, "logits").item() == pytest.approx(np.log(3))
    output.logits[:, 0] = torch.tensor([50.0, -50.0, 0.0])  # the first step has no vote here, either
    output.logits[:, 1:, 0] = float(np.log(2))
    wanted = -np.log([2 / 4, 1 / 4]).mean()
    assert learning.loss(output, label, "logits").item() == pytest.approx(wanted)
    with pytest.raises(ValueError, match=r"Training\.loss = 'mse': expected one of 'reference', 'logits'"):
        build(params.Training, {"loss": "mse"})


def test_folds_are_stratified_and_cover_everything_once():
    label = np.arange(30) % 3
    repeats = []
    for repeat in range(2):
        tests = np.stack([in_fold(label, params.Fold(repeat, number, 5), 0) for number in range(5)])
        assert (tests.sum(0) == 1).all()
        assert (np.stack([np.bincount(label[test]) for test in tests]) == 2).all()
        repeats.append(tests)
    assert not np.array_equal(*repeats)
    with pytest.raises(ValueError, match=r"barrel\.crossval\.folds is 20, expected 2 to 10"):
        in_fold(label, params.Fold(0, 0, 20), 0)


def test_held_out_samples_keep_the_share_of_each_class():
    label = np.arange(60) % 3
    chosen = held_out(label, 0.2, np.random.default_rng(0))
    assert np.bincount(label[chosen]).tolist() == [4, 4, 4]
    assert held_out(label, 0.001, np.random.default_rng(0)).sum() == 3, "at least one of each"
    assert not held_out(label, 0.0, np.random.default_rng(0)).any()


def test_an_old_pickled_network_is_refused(tmp_path, capsys):
    class Old:
        pass

    globals()["Old"] = Old
    Old.__qualname__ = "Old"
    path = tmp_path / "old.pth"
    torch.save(Old(), path)
    arguments = f"--fit {path} --inputs {path} --out {tmp_path}/o.npz --coding {{}}".split()
    assert main(["barrel.simulate", *arguments]) == 2
    assert "not a checkpoint of respike" in capsys.readouterr().err
    path.write_bytes(pickle.dumps([1]))
    assert main(["barrel.simulate", *arguments]) == 2
    capsys.readouterr()
    files.write_checkpoint(path, {"weights": 1})
    assert main(["barrel.simulate", *arguments]) == 2
    assert (
        "old.pth is not a network of barrel.fit: it lacks initial, trained, form, seed, replicate, dataset"
        in capsys.readouterr().err
    )
