"""Training: one seed one result, averages over examples, modes put back, checkpoints, clear errors."""

import errno
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import train
from cnnlib.models import TwoConvCNN
from cnnlib.train import Config, evaluate, fit, learning_rate, predict, seeded, split


def examples(n, *, seed=0):
    """Images of a bright bar in one of four places, easy to learn: (n, 1, 8, 8) and (n,)."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 4, (n,), generator=generator)
    x = 0.5 * torch.randn(n, 1, 8, 8, generator=generator)
    for k, label in enumerate(y):
        x[k, 0, 2 * label : 2 * label + 2] += 1
    return x, y


def network(seed=0, *, dropout=0.0):
    def make():
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout), nn.Linear(256, 4)
        )

    return seeded(make, seed)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def numbers(history):
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in history]


# One seed, one result


def test_the_same_seed_gives_the_same_numbers():
    x, y = examples(70)
    models = [network(dropout=0.5) for _ in range(2)]
    first, second = (fit(model, x, y, Config(batch_size=16), seed=3) for model in models)
    assert numbers(first) == numbers(second)
    assert torch.equal(weights(models[0]), weights(models[1]))


def test_what_happened_before_does_not_change_the_numbers():
    x, y = examples(70)
    first = fit(network(dropout=0.5), x, y, Config(batch_size=16), seed=3)
    torch.rand(1000)
    assert numbers(fit(network(dropout=0.5), x, y, Config(batch_size=16), seed=3)) == numbers(first)


def test_another_seed_gives_another_order():
    x, y = examples(70)
    first, second = (fit(network(), x, y, Config(batch_size=16), seed=seed)[0]["losses"] for seed in (0, 1))
    assert first != second


def test_dropout_does_not_change_the_order_of_the_images():
    x, y = examples(40)
    orders = []
    for dropout in (0.0, 0.5):
        model, seen = network(dropout=dropout), []
        model.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
        fit(model, x, y, Config(epochs=2, batch_size=8))
        orders.append(torch.cat(seen))
    assert torch.equal(*orders)


def test_fit_and_seeded_leave_the_global_generator_alone():
    x, y = examples(20)
    torch.rand(1)  # a state that no seed leaves behind
    before = torch.random.get_rng_state()
    fit(network(dropout=0.5), x, y, Config(epochs=1))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_seeded_gives_the_same_first_weights():
    assert torch.equal(weights(seeded(TwoConvCNN, 5)), weights(seeded(TwoConvCNN, 5)))
    assert not torch.equal(weights(seeded(TwoConvCNN, 5)), weights(seeded(TwoConvCNN, 6)))


# It learns


def test_the_first_loss_of_ten_classes_is_near_the_logarithm_of_ten():
    x = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    loss = fit(seeded(TwoConvCNN, 0), x, torch.arange(64) % 10, Config(epochs=1))[0]["losses"][0]
    assert loss == pytest.approx(math.log(10), abs=0.05)


def test_a_network_overfits_64_images():
    x = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    model = seeded(TwoConvCNN, 0)
    fit(model, x, torch.arange(64) % 10, Config(epochs=30, batch_size=64, lr=1e-3))
    assert evaluate(model, x, torch.arange(64) % 10)["accuracy"] == 1


@pytest.mark.parametrize(("optimizer", "lr"), [("adam", 0.01), ("sgd", 0.05), ("muon", 0.05)])
def test_it_generalizes_on_an_easy_task_with_any_optimizer(optimizer, lr):
    model = network()
    fit(model, *examples(400), Config(lr=lr, batch_size=16, optimizer=optimizer))
    assert evaluate(model, *examples(200, seed=1))["accuracy"] > 0.95


def test_an_epoch_steps_once_through_each_image():
    x, y = examples(21)
    seen = []
    model = network()
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]) if module.training else None)
    fit(model, x, y, Config(epochs=1, batch_size=8))
    assert [len(part) for part in seen] == [8, 8, 5]
    assert torch.equal(torch.cat(seen).sum((1, 2, 3)).sort().values, x.sum((1, 2, 3)).sort().values)


# Averages are over examples


def test_a_short_last_batch_counts_for_what_it_holds():
    x, y = examples(21)
    entry = fit(network(), x, y, Config(epochs=1, batch_size=8))[0]
    first, second, third = entry["losses"]
    assert entry["train_loss"] == pytest.approx((8 * first + 8 * second + 5 * third) / 21)
    assert entry["train_loss"] != pytest.approx((first + second + third) / 3)
    assert entry["train_accuracy"] * 21 == pytest.approx(round(entry["train_accuracy"] * 21))


@pytest.mark.parametrize("batch_size", [1, 7, 16, 21, 1000])
def test_evaluate_does_not_depend_on_the_batch_size(batch_size):
    x, y = examples(21)
    got, want = evaluate(network(), x, y, batch_size=batch_size), evaluate(network(), x, y, batch_size=21)
    assert got["accuracy"] == want["accuracy"]
    assert got["loss"] == pytest.approx(want["loss"], rel=1e-5)


def test_evaluate_counts_right_answers():
    x, y = examples(40)
    logits = network().eval()(x)
    assert evaluate(network(), x, y)["accuracy"] == (logits.argmax(1) == y).double().mean().item()
    assert evaluate(network(), x, y)["loss"] == pytest.approx(F.cross_entropy(logits, y).item(), rel=1e-5)


# Modes, validation, history


def test_predict_puts_the_mode_back_and_drops_nothing():
    x, _ = examples(5)
    model = network(dropout=0.5)
    assert torch.equal(predict(model.train(), x), predict(model, x))
    assert model.training
    assert not predict(model, x).requires_grad
    predict(model.eval(), x)
    assert not model.training


def test_every_epoch_trains_in_training_mode_also_after_a_validation():
    x, y = examples(32)
    modes = []
    model = network(dropout=0.5).eval()
    model.register_forward_pre_hook(lambda module, _: modes.append((module.training, torch.is_grad_enabled())))
    fit(model, x, y, Config(epochs=2, batch_size=16), validation=examples(8))
    trained = [grad for training, grad in modes if training]
    assert trained == [True] * 4


def test_validation_images_are_measured_and_not_learned_from():
    x, y = examples(64)
    plain, watched = network(), network()
    history = fit(watched, x, y, Config(batch_size=16), validation=examples(30, seed=1))
    assert numbers(fit(plain, x, y, Config(batch_size=16))) == [
        {key: value for key, value in entry.items() if not key.startswith("val_")} for entry in numbers(history)
    ]
    assert torch.equal(weights(plain), weights(watched))
    last = evaluate(watched, *examples(30, seed=1))
    assert history[-1]["val_accuracy"] == last["accuracy"]
    assert history[-1]["val_loss"] == last["loss"]


def test_the_history_has_an_entry_an_epoch():
    history = fit(network(), *examples(20), Config(epochs=3, batch_size=8))
    assert [entry["epoch"] for entry in history] == [1, 2, 3]
    assert [len(entry["losses"]) for entry in history] == [3, 3, 3]


def test_stopping_early_gives_the_first_steps_of_the_whole_run():
    x, y = examples(40)
    whole = [loss for entry in fit(network(), x, y, Config(batch_size=8)) for loss in entry["losses"]]
    part = [loss for entry in fit(network(), x, y, Config(batch_size=8), steps=7) for loss in entry["losses"]]
    assert part == whole[:7]


def test_split_parts_share_nothing_and_miss_nothing():
    kept, held = split(50, 12, seed=1)
    assert (len(kept), len(held)) == (38, 12)
    assert torch.equal(torch.cat([kept, held]).sort().values, torch.arange(50))
    assert torch.equal(held, split(50, 12, seed=1)[1])
    assert not torch.equal(held, split(50, 12, seed=2)[1])


@pytest.mark.parametrize("held_out", [0, 50, 60])
def test_split_refuses_an_empty_part(held_out):
    with pytest.raises(ValueError, match=f"{held_out} of 50"):
        split(50, held_out)


def test_the_triangle_rises_to_its_peak_and_falls_to_nearly_nothing():
    rates = [learning_rate(step, 100, Config(lr=0.5, warmup=0.2)) for step in range(100)]
    assert rates.index(max(rates)) == 20
    assert max(rates) == pytest.approx(0.5)
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert 0 < rates[-1] < 0.01
    assert 0 < rates[0] < 0.03


def test_a_constant_rate_stays():
    config = Config(schedule="constant", lr=0.5)
    assert {learning_rate(step, 10, config) for step in range(10)} == {0.5}


def test_the_cosine_rises_to_its_peak_and_falls_slowly_first_and_last():
    rates = [learning_rate(step, 100, Config(lr=0.5, warmup=0.2, schedule="cosine")) for step in range(100)]
    assert rates.index(max(rates)) == 20
    assert rates[60] == pytest.approx(0.25)  # half-way down, half of the peak
    assert rates[20] - rates[24] < rates[58] - rates[62] > rates[95] - rates[99]
    assert 0 < rates[-1] < 0.001


def test_the_steps_are_at_a_half_and_at_three_quarters():
    rates = [learning_rate(step, 8, Config(lr=1.0, schedule="step")) for step in range(8)]
    assert rates == [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]


# Smoothing, precision, size, augmentation, the best epoch


def first_loss(config, **options):
    return fit(network(), *examples(16), config, steps=1, **options)[0]["losses"][0]


def test_label_smoothing_deals_a_share_of_the_target_to_all_classes():
    x, y = examples(16)
    logp = F.log_softmax(network()(x), dim=1)
    target = 0.8 * F.one_hot(y, 4) + 0.2 / 4
    assert first_loss(Config(label_smoothing=0.2)) == pytest.approx(-(target * logp).sum(1).mean().item(), rel=1e-5)


def test_bfloat16_computes_in_half_the_bits_and_keeps_the_weights():
    seen = []
    model = network()
    model[0].register_forward_hook(lambda module, inputs, out: seen.append(out.dtype))
    history = fit(model, *examples(400), Config(precision="bfloat16", lr=0.01, batch_size=16))
    assert seen[1] == torch.bfloat16  # the first one was the look at the number of classes
    assert weights(model).dtype == torch.float32
    assert history[0]["losses"][0] == pytest.approx(fit(network(), *examples(400), steps=1)[0]["losses"][0], abs=0.3)
    whole, half = (evaluate(model, *examples(200, seed=1), precision=p) for p in ("float32", "bfloat16"))
    assert whole["accuracy"] > 0.95
    assert half["loss"] != whole["loss"]
    assert half["accuracy"] == pytest.approx(whole["accuracy"], abs=0.02)


def test_the_first_epochs_see_shrunken_images():
    model, sizes = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), []
    model.register_forward_pre_hook(lambda module, inputs: sizes.append(tuple(inputs[0].shape[2:])))
    fit(model, *examples(16), Config(epochs=3, batch_size=16, small_epochs=2, small_size=6))
    assert sizes[1:] == [(6, 6), (6, 6), (8, 8)]


def jitter(x, generator):
    return x + 0.1 * torch.randn(x.shape, generator=generator)


def test_augmentation_draws_from_the_seed_and_leaves_the_examples_alone():
    x, y = examples(40)
    before = x.clone()
    first, second, other, without = (
        fit(network(), x, y, Config(epochs=1, batch_size=8), seed=seed, augment=augment)[0]["losses"]
        for seed, augment in ((0, jitter), (0, jitter), (1, jitter), (0, None))
    )
    assert first == second
    assert first != other
    assert first != without
    assert torch.equal(x, before)


def test_the_best_epoch_is_chosen_on_the_images_held_out():
    x, y = examples(64)
    held, config = examples(40, seed=1), Config(epochs=4, batch_size=8, lr=0.3, optimizer="sgd", schedule="constant")
    model = network()
    history = fit(model, x, y, config, validation=held, keep="best")
    scores = [entry["val_accuracy"] for entry in history]
    assert max(scores) > scores[-1], "choose another task: the last epoch is the best, and nothing is tested"
    assert evaluate(model, *held)["accuracy"] == max(scores)


def test_the_best_epoch_needs_images_held_out():
    with pytest.raises(ValueError, match='"best"'):
        fit(network(), *examples(8), keep="best")


def test_without_a_terminal_progress_is_a_line_an_epoch(capsys):
    fit(network(), *examples(16), Config(epochs=2), validation=examples(8), progress=True)
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    assert "held out" in out
    assert err == ""


def test_without_progress_nothing_is_printed(capsys):
    fit(network(), *examples(16), Config(epochs=1))
    assert capsys.readouterr() == ("", "")


# Muon


@pytest.mark.parametrize("shape", [(5, 7, 3, 2), (7, 5, 1, 1), (6, 6, 1, 1)])  # wide, tall and square matrices
def test_an_orthogonalized_update_keeps_its_directions_and_makes_its_singular_values_alike(shape):
    update = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, values, v = torch.linalg.svd(update.flatten(1), full_matrices=False)
    values = values.max() * torch.logspace(0, -1.3, len(values))  # from the norm down to a twentieth of it
    update = (u @ values.diag() @ v).reshape(shape)
    made = train.orthogonalize(update)
    assert made.shape == update.shape
    assert made.dtype == update.dtype
    inside = u.T @ made.flatten(1) @ v.T  # in the update's own directions: diagonal, with entries near 1
    assert inside.diag().min() > 0.6
    assert inside.diag().max() < 1.3
    assert (inside - inside.diag().diag()).abs().max() < 0.1  # bfloat16 has two to three digits


def test_muon_sets_the_size_of_a_kernel_and_steps_by_the_rate_in_every_direction():
    draw = torch.Generator().manual_seed(0)
    want, first, second = torch.randn(3, 3, 4, 2, 2, generator=draw)
    kernel = nn.Parameter(want.clone())
    muon = train.Muon([kernel], lr=0.1, momentum=0.8, weight_decay=0.5)
    for gradient, update in ((first, 1.8 * first), (second, 1.8 * second + 0.64 * first)):  # 0.8 * 0.8 of the first
        kernel.grad = gradient
        muon.step()
        want = want * 3**0.5 / want.norm() - 0.1 * train.orthogonalize(update)
        torch.testing.assert_close(kernel.detach(), want, rtol=0, atol=1e-3)


def test_muon_leaves_a_frozen_parameter_and_survives_a_kernel_of_zeros():
    frozen, zeros = nn.Parameter(torch.ones(3)), nn.Parameter(torch.zeros(2, 2, 3, 3))
    zeros.grad = torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    train.Muon([frozen, zeros], lr=0.1).step()
    assert torch.equal(frozen, torch.ones(3))
    torch.testing.assert_close(zeros.detach(), -0.1 * train.orthogonalize(zeros.grad), rtol=0, atol=0.01)


def test_muon_is_nesterov_momentum_for_all_that_is_no_kernel():
    values = torch.randn(5, generator=torch.Generator().manual_seed(0))
    ours, theirs = nn.Parameter(values.clone()), nn.Parameter(values.clone())
    muon = train.Muon([ours], lr=0.05, momentum=0.7, weight_decay=0.1)
    sgd = torch.optim.SGD([theirs], lr=4 * 0.05, momentum=0.7, weight_decay=0.1, nesterov=True)
    for seed in range(4):
        ours.grad = theirs.grad = torch.randn(5, generator=torch.Generator().manual_seed(seed))
        muon.step()
        sgd.step()
    torch.testing.assert_close(ours, theirs)


# Checkpoints

LONG = Config(epochs=4, batch_size=16, lr=0.02)


def long_run(path=None, augment=jitter, config=LONG):
    """Epochs with all that draws at random, an optimizer's memory and a best epoch; returns numbers and weights."""
    model = network(dropout=0.5)
    history = fit(model, *examples(60), config, validation=examples(20), augment=augment, keep="best", checkpoint=path)
    return numbers(history), weights(model)


@pytest.fixture(scope="module")
def uninterrupted():
    return long_run()


def interrupt_after(epochs):
    """An augmentation that stops the run in the middle of an epoch, as Ctrl-C would."""
    left = [4 * epochs + 2]

    def augment(x, generator):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return jitter(x, generator)

    return augment


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_an_interrupted_run_goes_on_with_the_memory_of_its_optimizer(tmp_path, optimizer):
    config, path = replace(LONG, optimizer=optimizer), tmp_path / "run.pt"
    whole = long_run(config=config)
    with pytest.raises(KeyboardInterrupt):
        long_run(path, interrupt_after(1), config)
    assert path.exists()
    history, ended = long_run(path, config=config)
    assert history == whole[0]
    assert torch.equal(ended, whole[1])


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_an_interrupted_run_goes_on_to_the_same_numbers(tmp_path, uninterrupted, epochs):
    path = tmp_path / "new folder" / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        long_run(path, interrupt_after(epochs))
    assert path.exists() == (epochs > 0)
    history, ended = long_run(path)
    assert history == uninterrupted[0]
    assert torch.equal(ended, uninterrupted[1])


def test_a_finished_run_is_read_and_not_repeated(tmp_path, uninterrupted):
    long_run(tmp_path / "run.pt")
    history, ended = long_run(tmp_path / "run.pt", interrupt_after(0))
    assert history == uninterrupted[0]
    assert torch.equal(ended, uninterrupted[1])


def test_a_killed_run_goes_on_to_the_same_numbers(tmp_path, uninterrupted):
    path = tmp_path / "run.pt"
    program = """
        import sys, time
        sys.path.insert(0, sys.argv[1])
        from test_train import jitter, long_run

        def slowly(x, generator):
            time.sleep(0.2)
            return jitter(x, generator)

        long_run(sys.argv[2], slowly)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(Path(__file__).parent), str(path)]
    process = subprocess.Popen(command)
    while not path.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    assert process.wait() != 0, "it ended before it could be killed"
    history, ended = long_run(path)
    assert history == uninterrupted[0]
    assert torch.equal(ended, uninterrupted[1])
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_costs_the_checkpoint_and_not_the_run(tmp_path, uninterrupted, monkeypatch):
    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        long_run(path, interrupt_after(1))
    kept = path.read_bytes()

    def full(self, content):
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.warns(RuntimeWarning, match=r"no checkpoint of epoch \d .*No space left.*Training goes on"):
        history, _ = long_run(path)
    assert history == uninterrupted[0]
    assert path.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"not a checkpoint"])
def test_a_damaged_checkpoint_is_named_and_left_where_it_is(tmp_path, damage):
    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        long_run(path, interrupt_after(1))
    path.write_bytes(damage(path.read_bytes()))
    broken = path.read_bytes()
    with pytest.raises(RuntimeError, match=r"run\.pt is damaged .* Move it away"):
        long_run(path)
    assert path.read_bytes() == broken


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "its seed is 0, this one's is 1"),
        ({"config": Config(epochs=5, batch_size=16, lr=0.02)}, "its config is"),
        ({"x": examples(50)[0], "y": examples(50)[1]}, "its examples is 60, this one's is 50"),
        ({"model": network()}, "its network is"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, change, message):
    path = tmp_path / "run.pt"
    long_run(path)
    x, y = examples(60)
    options = {"model": network(dropout=0.5), "x": x, "y": y, "config": LONG, "checkpoint": path, **change}
    with pytest.raises(ValueError, match=message):
        fit(**options)


# Clear errors


def test_a_loss_that_is_no_number_stops_the_run_at_once():
    x, y = examples(16)
    x[5] = math.nan
    with pytest.raises(FloatingPointError, match=r"nan at step \d+ .* learning rate"):
        fit(network(), x, y, Config(batch_size=8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:0], y[:0]), "0 images and 0 labels"),
        (lambda x, y: (x, y[:-1]), "16 images and 15 labels"),
        (lambda x, y: (x, y + 1), "from 1 to 4, but the network has 4 outputs"),
        (lambda x, y: (x, y - 1), "from -1 to 2"),
        (lambda x, y: (x, F.one_hot(y)), "one-hot"),
        (lambda x, y: (x, y.float()), "integers"),
        (lambda x, y: (x.to(torch.uint8), y), "to_float"),
    ],
)
@pytest.mark.parametrize("use", [fit, evaluate])
def test_images_and_labels_that_do_not_fit_are_refused_with_both_numbers(use, change, message):
    x, y = examples(16)
    y[:4] = torch.arange(4)
    with pytest.raises(ValueError, match=message):
        use(network(), *change(x, y))


def test_wrong_channels_are_refused_by_the_network_before_the_first_step():
    with pytest.raises(ValueError, match="3 channels instead of 1"):
        fit(TwoConvCNN(), torch.zeros(4, 3, 28, 28), torch.arange(4))


def test_predict_refuses_an_empty_batch():
    with pytest.raises(ValueError, match="no images"):
        predict(network(), torch.zeros(0, 1, 8, 8))


@pytest.mark.parametrize("wrong", [Config(optimizer="adagrad"), Config(schedule="steps"), Config(precision="half")])
def test_an_unknown_name_in_a_config_is_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        fit(network(), *examples(8), wrong)


def test_numpy_arrays_and_bytes_as_labels_are_taken():
    x, y = examples(32)
    want = numbers(fit(network(), x, y, Config(epochs=1)))
    assert numbers(fit(network(), x.numpy(), y.numpy().astype(np.uint8), Config(epochs=1))) == want


# Files


def test_weights_come_back_in_half_precision(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "PRETRAINED", tmp_path)
    model = network(4)
    train.save_weights(model, tmp_path / "small.safetensors")
    loaded = train.load_weights(network(9), "small")
    torch.testing.assert_close(weights(loaded), weights(model).half().float(), rtol=0, atol=0)
    assert not loaded.training
    with pytest.raises(RuntimeError, match=r"size mismatch|Missing key"):
        train.load_weights(TwoConvCNN(), "small")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    train.write_atomically(path, b"old")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        train.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
