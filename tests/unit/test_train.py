"""Training: one seed one result, averages over examples, modes put back, clear errors."""

import math

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


@pytest.mark.parametrize("config", [Config(lr=0.01, batch_size=16), Config(lr=0.05, batch_size=16, optimizer="sgd")])
def test_it_generalizes_on_an_easy_task_with_either_optimizer(config):
    model = network()
    fit(model, *examples(400), config)
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


@pytest.mark.parametrize("wrong", [Config(optimizer="adagrad"), Config(schedule="steps")])
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
