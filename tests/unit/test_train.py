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

from cnnlib import machine, train
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


@pytest.mark.parametrize(("optimizer", "lr"), [("adam", 0.01), ("sgd", 0.05), ("rmsprop", 0.005), ("muon", 0.05)])
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


def normed():
    """A network with two batch normalizations."""

    def make():
        layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 4)]
        return nn.Sequential(*layers)

    return seeded(make, 0)


def modes(model):
    return [module.training for module in model.modules()]


def statistics(layer):
    return torch.cat([value.flatten().double() for value in layer.buffers()])


USES = {
    "predict": lambda model, x, y: predict(model, x),
    "evaluate": evaluate,
    "fit": lambda model, x, y: fit(model, x, y, Config(epochs=2, batch_size=8), validation=(x, y)),
    "train_epoch": lambda model, x, y: train.train_epoch(
        model, x, y, [torch.arange(8)], train.make_optimizer(model, Config()), [1e-3]
    ),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("asleep", [[], [1], [1, 3], list(range(6))])
@pytest.mark.parametrize("whole", [True, False])
def test_every_module_is_in_the_mode_it_was_in_afterwards(use, asleep, whole):
    model = normed().train(whole)
    for k in asleep:
        model[k].train(not whole)
    before = modes(model)
    use(model, *examples(24))
    assert modes(model) == before


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("training", [True, False])
def test_every_module_is_in_the_mode_it_was_in_after_an_error(use, training):
    class Fails(nn.Module):
        def forward(self, x):
            raise ArithmeticError("it fails")

    model = nn.Sequential(normed().train(), nn.Sequential(nn.Dropout()).eval(), Fails()).train(training)
    model[0][1].eval()
    before = modes(model)
    with pytest.raises(ArithmeticError, match="it fails"):
        use(model, *examples(24))
    assert modes(model) == before


@pytest.mark.parametrize("use", [USES["fit"], USES["train_epoch"]])
def test_frozen_statistics_stay_while_the_others_learn(use):
    model = normed()
    model[1].eval()
    frozen, free = statistics(model[1]), statistics(model[3])
    use(model, *examples(24))
    assert torch.equal(statistics(model[1]), frozen)
    assert not torch.equal(statistics(model[3]), free)


@pytest.mark.parametrize("use", [USES["fit"], USES["train_epoch"]])
def test_a_network_that_is_in_evaluation_mode_as_a_whole_trains_as_a_whole(use):
    model = normed().eval()
    before = [statistics(model[k]) for k in (1, 3)]
    use(model, *examples(24))
    assert not any(torch.equal(statistics(model[k]), old) for k, old in zip((1, 3), before, strict=True))


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


def test_no_steps_train_nothing(tmp_path):
    x, y = examples(40)
    model, path = network(), tmp_path / "run.pt"
    before = weights(model)
    assert fit(model, x, y, steps=0, checkpoint=path, validation=(x, y), keep="best", progress=True) == []
    assert torch.equal(weights(model), before)
    assert not path.exists()


def test_split_parts_share_nothing_and_miss_nothing():
    kept, held = split(50, 12, seed=1)
    assert (len(kept), len(held)) == (38, 12)
    assert torch.equal(torch.cat([kept, held]).sort().values, torch.arange(50))
    assert torch.equal(held, split(50, 12, seed=1)[1])
    assert not torch.equal(held, split(50, 12, seed=2)[1])


@pytest.mark.parametrize("held_out", [0, 50, 60, -1])
def test_split_refuses_an_empty_part(held_out):
    with pytest.raises(ValueError, match=f"{held_out} of 50"):
        split(50, held_out)


def test_split_refuses_a_share_instead_of_a_number():
    with pytest.raises(ValueError, match=r"held_out is 0\.2: .* whole number"):
        split(50, 0.2)


def test_the_triangle_rises_to_its_peak_and_falls_to_nearly_nothing():
    rates = [learning_rate(step, 100, Config(lr=0.5, warmup=0.2)) for step in range(100)]
    assert rates.index(max(rates)) == 20
    assert max(rates) == pytest.approx(0.5)
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert 0 < rates[-1] < 0.01
    assert 0 < rates[0] < 0.03


@pytest.mark.parametrize("schedule", ["triangle", "cosine"])
def test_a_warmup_of_all_steps_only_rises_and_one_of_none_only_falls(schedule):
    for warmup, order in ((1.0, 1), (0.0, -1)):
        config = Config(lr=0.5, warmup=warmup, schedule=schedule)
        rates = [learning_rate(step, 50, config) for step in range(50)]
        assert rates[::order] == sorted(rates)
        assert 0 < min(rates) < 0.02
        assert 0.48 < max(rates) <= 0.5


@pytest.mark.parametrize("warmup", [-0.1, 1.5, math.nan])
def test_a_warmup_outside_of_the_run_is_refused(warmup):
    with pytest.raises(ValueError, match=r"warmup is .* from 0 to 1"):
        learning_rate(0, 10, Config(warmup=warmup))


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


def test_sgd_without_momentum_is_plain_gradient_descent():
    model, x, y = network(), *examples(8)
    rates = Config(optimizer="sgd", momentum=0, lr=0.1, schedule="constant", epochs=1)
    F.cross_entropy(model(x), y).backward()
    want = [p.detach() - 0.1 * p.grad for p in model.parameters()]
    fit(model, x, y, rates)
    for got, expected in zip(model.parameters(), want, strict=True):
        torch.testing.assert_close(got.detach(), expected)


def test_label_smoothing_deals_a_share_of_the_target_to_all_classes():
    x, y = examples(16)
    logp = F.log_softmax(network()(x), dim=1)
    target = 0.8 * F.one_hot(y, 4) + 0.2 / 4
    assert first_loss(Config(label_smoothing=0.2)) == pytest.approx(-(target * logp).sum(1).mean().item(), rel=1e-5)


def instructions(monkeypatch, there):
    """Let the processor have instructions for bfloat16, or none."""
    for module in (machine, train):
        monkeypatch.setattr(module, "bfloat16_pays", lambda device="cpu": there)


def watched_network():
    """A network, and a list that grows by the dtype of each output of its convolution."""
    model, seen = network(), []
    model[0].register_forward_hook(lambda module, inputs, out: seen.append(out.dtype))
    return model, seen


def test_bfloat16_computes_in_half_the_bits_and_keeps_the_weights(monkeypatch):
    instructions(monkeypatch, True)
    model, seen = watched_network()
    history = fit(model, *examples(400), Config(precision="bfloat16", lr=0.01, batch_size=16))
    assert seen[1] == torch.bfloat16  # the first one was the look at the number of classes
    assert weights(model).dtype == torch.float32
    assert history[0]["losses"][0] == pytest.approx(fit(network(), *examples(400), steps=1)[0]["losses"][0], abs=0.3)
    whole, half = (evaluate(model, *examples(200, seed=1), precision=p) for p in ("float32", "bfloat16"))
    assert whole["accuracy"] > 0.95
    assert half["loss"] != whole["loss"]
    assert half["accuracy"] == pytest.approx(whole["accuracy"], abs=0.02)


def test_where_bfloat16_does_not_pay_a_run_is_in_float32_and_says_so_once(monkeypatch, capsys):
    instructions(monkeypatch, False)
    model, seen = watched_network()
    half, options = Config(precision="bfloat16", epochs=3, batch_size=8), {"validation": examples(8, seed=1)}
    got = fit(model, *examples(32), half, **options)
    out, err = capsys.readouterr()
    assert (out.count("\n"), err) == (1, "")
    assert "computing in float32" in out
    assert set(seen) == {torch.float32}
    assert numbers(got) == numbers(fit(network(), *examples(32), replace(half, precision="float32"), **options))


@pytest.mark.parametrize("use", [train.forward, predict, lambda model, x, **p: evaluate(model, x, examples(8)[1], **p)])
def test_predictions_fall_back_to_float32_too(monkeypatch, use):
    instructions(monkeypatch, False)
    model, seen = watched_network()
    use(model, examples(8)[0], precision="bfloat16")
    assert set(seen) == {torch.float32}


@pytest.mark.parametrize("use", [predict, lambda model, x, **p: evaluate(model, x, examples(8)[1], **p)])
def test_predictions_say_once_that_they_fall_back(monkeypatch, capsys, use):
    instructions(monkeypatch, False)
    monkeypatch.setattr(machine, "TOLD", set())
    use(network(), examples(8)[0], precision="bfloat16", batch_size=2)
    assert capsys.readouterr().out.count("computing in float32") == 1


def test_the_first_epochs_see_shrunken_images():
    model, sizes = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), []
    model.register_forward_pre_hook(lambda module, inputs: sizes.append(tuple(inputs[0].shape[2:])))
    fit(model, *examples(16), Config(epochs=3, batch_size=16, small_epochs=2, small_size=6))
    assert sizes[1:] == [(6, 6), (6, 6), (8, 8)]


def sides_seen(**settings):
    """The sides of the images that a network sees, step by step, in four epochs of one step."""
    model, sizes = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), []
    model.register_forward_pre_hook(lambda module, inputs: sizes.append(tuple(inputs[0].shape[2:])))
    fit(model, *examples(16), Config(epochs=4, batch_size=16, **settings))
    return sizes[1:]  # the first one is the look at the number of classes


def test_each_of_the_small_epochs_may_have_a_side_of_its_own():
    assert sides_seen(small_epochs=3, small_size=(5, 6, 7)) == [(5, 5), (6, 6), (7, 7), (8, 8)]
    assert sides_seen(small_epochs=2, small_size=6) == [(6, 6), (6, 6), (8, 8), (8, 8)]
    assert sides_seen(small_epochs=6, small_size=(4, 4, 4, 5, 5, 5)) == [(4, 4), (4, 4), (4, 4), (5, 5)]


def test_alternating_flips_show_each_image_as_it_is_and_mirrored_in_turn():
    x, y = examples(40)
    x += torch.arange(8.0)  # no image is its own mirror image
    seen = []

    def watch(images, generator):
        for image in images:
            same, mirrored = ((x == version).flatten(1).all(1) for version in (image, image.flip(2)))
            seen.append((int((same | mirrored).nonzero()), bool(mirrored.any())))
        return images

    fit(network(), x, y, Config(epochs=4, batch_size=16), augment=watch, alternate=True)
    seen = seen[16:]  # the first batch is the trial before the run
    turned = [dict(seen[first : first + 40]) for first in range(0, 160, 40)]
    assert turned[0] == turned[2]
    assert turned[1] == turned[3] == {k: not mirrored for k, mirrored in turned[0].items()}
    assert sorted(turned[0]) == list(range(40))
    assert 8 < sum(turned[0].values()) < 32  # whether in the first epoch is drawn for each image


def test_alternating_flips_want_images_that_can_be_mirrored():
    with pytest.raises(ValueError, match=r"x is \(8, 4\): with alternate, images \(N, C, H, W\) are wanted"):
        fit(nn.Linear(4, 3), torch.zeros(8, 4), torch.arange(8) % 3, alternate=True)


def test_a_run_with_alternating_flips_goes_on_as_if_it_had_not_been_stopped(tmp_path):
    x, y = examples(40)
    config, options = Config(epochs=4, batch_size=16), {"alternate": True, "seed": 5}
    whole = fit(network(), x, y, config, **options)
    fit(network(), x, y, config, steps=3, checkpoint=tmp_path / "run.pt", **options)
    assert numbers(fit(network(), x, y, config, checkpoint=tmp_path / "run.pt", **options)) == numbers(whole)
    with pytest.raises(ValueError, match="its alternate is True, this one's is False"):
        fit(network(), x, y, config, checkpoint=tmp_path / "run.pt", seed=5)


def test_test_time_augmentation_is_the_mean_of_six_views():
    x, _ = examples(5)
    x += torch.arange(8.0)
    model = network(1)
    around = F.pad(x, (1, 1, 1, 1), mode="reflect")
    shares = [(x, 0.5), (around[:, :, :8, :8], 0.25), (around[:, :, 2:, 2:], 0.25)]
    with torch.no_grad():
        want = sum(share * 0.5 * (model(v) + model(v.flip(3))) for v, share in shares)
    got = train.predict_averaged(model, x, batch_size=2)
    assert torch.allclose(got, want, atol=1e-5)
    with pytest.raises(ValueError, match=r"x is \(5, 8\): images \(N, C, H, W\) of 2 pixels"):
        train.predict_averaged(nn.Linear(8, 3), torch.zeros(5, 8))


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


def test_an_augmentation_that_writes_into_its_batch_leaves_the_examples_alone():
    x, y = examples(16)
    before = x.clone()
    fit(network(), x, y, Config(epochs=1, batch_size=8), augment=lambda images, generator: images.mul_(2))
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


def frozen_network():
    model = network(dropout=0.5)
    model[0].weight.requires_grad_(False)
    return model


def sleeping_network():
    model = network(dropout=0.5)
    model[3].eval()
    return model


X, Y = examples(60)
CHANGES = {
    "seed": ({"seed": 1}, "its seed is 0, this one's is 1"),
    "config": ({"config": replace(LONG, epochs=5)}, "its config is"),
    "examples": ({"x": X[:50], "y": Y[:50]}, "its examples is 60, this one's is 50"),
    "network": ({"model": network()}, "its network is"),
    "dtype": (
        {"model": network(dropout=0.5).double(), "x": X.double(), "validation": (X[:20].double(), Y[:20])},
        "its list of weights is",
    ),
    "frozen": ({"model": frozen_network()}, r"its list of frozen parts is \[\], this one's is \['0.weight'\]"),
    "sleeping": ({"model": sleeping_network()}, r"its list of frozen parts is \[\], this one's is \['3'\]"),
    "images": ({"x": X + 1}, "its digest of the images is"),
    "order": ({"x": X.flip(0)}, "its digest of the images is"),
    "one pixel": ({"x": X + F.one_hot(torch.tensor(5), 8)}, "its digest of the images is"),
    "labels": ({"y": Y.flip(0)}, "its digest of the labels is"),
    "no augmentation": ({"augment": None}, "its digest of augmented images is .* this one's is none"),
    "augmentation": ({"augment": lambda x, g: -jitter(x, g)}, "its digest of augmented images is"),
    "keep": ({"keep": "last"}, "its keep is best, this one's is last"),
    "held out": ({"validation": examples(20, seed=1)}, "its digest of the images held out is"),
    "labels held out": (
        {"validation": (examples(20)[0], examples(20)[1].flip(0))},
        "its digest of the images held out",
    ),
    "none held out": ({"validation": None, "keep": "last"}, "its keep is"),
    "steps": ({"steps": 9}, r"holds 4 epochs, and steps ends this run after 2 of them"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "run.pt"
    long_run(path)
    return path


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_the_checkpoint_of_another_run_is_refused_before_anything_is_touched(finished, change, message):
    options = {"model": network(dropout=0.5), "x": X, "y": Y, "config": LONG, "augment": jitter, "keep": "best"}
    options |= {"validation": examples(20), "checkpoint": finished, **change}
    weights_before, file_before = weights(options["model"]), finished.read_bytes()
    with pytest.raises(ValueError, match=message):
        fit(**options)
    assert torch.equal(weights(options["model"]), weights_before)
    assert finished.read_bytes() == file_before


def test_a_checkpoint_is_at_home_with_the_same_run_in_another_form(finished, uninterrupted):
    model = network(9, dropout=0.5).to(memory_format=torch.channels_last)  # other first weights: it brings its own
    x, y = X.to(memory_format=torch.channels_last).numpy(), Y.numpy().astype(np.int32)
    options = {"validation": tuple(np.asarray(part) for part in examples(20)), "augment": jitter, "keep": "best"}
    config = replace(LONG, epochs=np.int64(4), lr=np.float64(0.02))
    history = fit(model, x, y, config, checkpoint=finished, seed=np.int64(0), **options)
    assert numbers(history) == uninterrupted[0]
    assert torch.equal(weights(model), uninterrupted[1])


def test_settings_that_are_numpy_numbers_can_be_stored_and_read_again(tmp_path):
    numbers = {"epochs": np.int8(2), "batch_size": np.int8(16), "lr": np.float32(0.02), "small_epochs": np.int8(2)}
    config = replace(LONG, **numbers, small_size=(np.int16(8), np.int16(8)))
    first, again = (fit(network(), X, Y, config, checkpoint=tmp_path / "run.pt", seed=np.int16(3)) for _ in range(2))
    assert first == again


def test_a_stopped_run_goes_on_in_the_same_notebook_with_the_weights_it_has(tmp_path, uninterrupted):
    model, path = network(dropout=0.5), tmp_path / "run.pt"
    options = {"validation": examples(20), "keep": "best", "checkpoint": path}
    with pytest.raises(KeyboardInterrupt):
        fit(model, X, Y, LONG, augment=interrupt_after(2), **options)
    assert numbers(fit(model, X, Y, LONG, augment=jitter, **options)) == uninterrupted[0]
    assert torch.equal(weights(model), uninterrupted[1])


def test_a_run_of_some_steps_is_the_first_part_of_a_longer_one(tmp_path):
    path = tmp_path / "run.pt"
    fit(network(), X, Y, LONG, steps=9, checkpoint=path)  # two epochs, and a step that is not kept
    assert numbers(fit(network(), X, Y, LONG, checkpoint=path)) == numbers(fit(network(), X, Y, LONG))


def test_a_checkpoint_disturbs_neither_the_run_nor_the_global_generators(tmp_path):
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    plain, kept = (
        fit(network(dropout=0.5), X, Y, LONG, augment=jitter, checkpoint=path) for path in (None, tmp_path / "run.pt")
    )
    assert numbers(plain) == numbers(kept)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


def test_a_checkpoint_that_is_a_folder_is_said_to_be_unreadable_and_not_damaged(tmp_path):
    with pytest.raises(RuntimeError, match="cannot be read"):
        fit(network(), X, Y, LONG, checkpoint=tmp_path)


def test_a_checkpoint_of_an_older_version_is_refused_in_a_sentence(tmp_path, finished):
    path, state = tmp_path / "run.pt", torch.load(finished)
    del state["run"]["digest of the images"]
    torch.save(state, path)
    with pytest.raises(ValueError, match="belongs to another run: its digest of the images is not told"):
        long_run(path)


# Clear errors


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(model, before):
    return all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
def test_a_bad_image_stops_the_run_before_the_step_that_would_spoil_the_network(optimizer, bad):
    x, y = examples(32)
    config = Config(batch_size=8, optimizer=optimizer, schedule="constant", lr=0.01)
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0))
    want, model = normed(), normed()
    fit(want, x, y, config, steps=2)
    x[order[20]] = bad  # in the third batch
    with pytest.raises(FloatingPointError, match=r"at step 2 .* learning rate .*: 1 of 8 images hold nan or inf"):
        fit(model, x, y, config)
    assert same(model, state(want))


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
@pytest.mark.parametrize("lr", [1e20, 1e29])
def test_a_rate_that_is_far_too_high_leaves_finite_weights(optimizer, lr):
    model = normed()
    with pytest.raises(FloatingPointError, match=r"at step \d+ .* lower (the )?rate"):
        fit(model, *examples(64), Config(epochs=20, batch_size=8, optimizer=optimizer, lr=lr, schedule="constant"))
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_a_step_that_would_make_weights_infinite_from_a_finite_loss_is_not_taken():
    x, y = examples(16)
    model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), 0)
    before, config = state(model), Config(batch_size=8, optimizer="sgd", lr=1e29, schedule="constant")
    with pytest.raises(FloatingPointError, match=r"weights are nan or inf at step 0 .* lower the rate"):
        fit(model, 1e12 * x, y, config)
    assert same(model, before)


def test_masks_of_infinity_are_no_reason_to_stop():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mask", torch.tensor([0, -math.inf, 0]))
            self.linear = nn.Linear(64, 4)

        def forward(self, x):
            return self.linear(x.flatten(1)) + self.mask.exp().sum()

    assert len(fit(Masked(), *examples(16), Config(epochs=2))) == 2


def test_an_interrupted_step_is_not_taken(monkeypatch):
    model, x, y = normed(), *examples(16)
    before = state(model)

    def spoil(self, closure=None):
        for p in model.parameters():
            p.data.fill_(7)
        raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.AdamW, "step", spoil)
    with pytest.raises(KeyboardInterrupt):
        fit(model, x, y)
    assert same(model, before)


def test_nan_among_the_images_held_out_is_noticed_before_the_first_step():
    x, y = examples(16)
    held, model = examples(8, seed=1), normed()
    held[0][3, 0, 1, 1] = math.nan
    before = state(model)
    with pytest.raises(FloatingPointError, match="1 of the 8 images held out hold nan or inf"):
        fit(model, x, y, validation=held)
    assert same(model, before)


def test_evaluate_does_not_pass_over_nan():
    x, y = examples(8)
    x[2] = math.nan
    with pytest.raises(FloatingPointError, match=r"loss is nan .* 1 of 8 images hold nan or inf"):
        evaluate(network(), x, y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:0], y[:0]), "0 images and 0 labels"),
        (lambda x, y: (x, y[:-1]), "16 images and 15 labels"),
        (lambda x, y: (x, y + 1), "from 1 to 4, but the network has 4 outputs"),
        (lambda x, y: (x, y - 1), "from -1 to 2"),
        (lambda x, y: (x, F.one_hot(y)), r"one-hot, try y\.argmax\(1\)"),
        (lambda x, y: (x, y[:, None]), r"column: try y\[:, 0\]\.$"),
        (lambda x, y: (x, y[:, None].numpy().astype(np.uint8)), r"column: try y\[:, 0\]\.$"),
        (lambda x, y: (x, y[:, None].double()), r"column: try y\[:, 0\]\.long\(\)"),
        (lambda x, y: (x, y[:, None, None]), r"try y\.flatten\(\)"),
        (lambda x, y: (x, y[None]), r"16 images and 1 labels.* Try y\[0\]"),
        (lambda x, y: (x, y[:, None].expand(-1, 4)[..., None].expand(-1, -1, 4)), "not one for each pixel"),
        (lambda x, y: (x, y.float()), r"integers .* y\.long\(\)"),
        (lambda x, y: (x, ["cat"] * 16), "y is a list"),
        (lambda x, y: (x.double(), y), r"float64, but .*float32: try x\.float\(\)"),
        (lambda x, y: (x.half(), y), r"float16, but .*float32: try x\.float\(\)"),
        (lambda x, y: (x.double().numpy(), y), r'float64, but .*float32: try x\.astype\("float32"\)'),
        (lambda x, y: (x[:, :, :5, :5], y), r"cannot read an image \(1, 5, 5\)"),
        (lambda x, y: (x.int(), y), "to_float"),
        (lambda x, y: (x[0, 0, 0, 0], y), "0 images and 16 labels"),
        (lambda x, y: (x.to(torch.uint8), y), "to_float"),
    ],
)
@pytest.mark.parametrize("use", [fit, evaluate])
def test_images_and_labels_that_do_not_fit_are_refused_with_both_numbers(use, change, message):
    x, y = examples(16)
    y[:4] = torch.arange(4)
    with pytest.raises(ValueError, match=message):
        use(network(), *change(x, y))


def test_following_the_advice_about_labels_and_images_works():
    x, y = examples(16)
    want = numbers(fit(network(), x, y))
    for images, labels in ((x, y[:, None][:, 0]), (x, F.one_hot(y).argmax(1)), (x.double().float(), y.float().long())):
        assert numbers(fit(network(), images, labels)) == want
    assert numbers(fit(network(), x.double().numpy().astype("float32"), y)) == want


def test_wrong_channels_are_refused_by_the_network_before_the_first_step():
    with pytest.raises(ValueError, match="3 channels instead of 1"):
        fit(TwoConvCNN(), torch.zeros(4, 3, 28, 28), torch.arange(4))


def test_predict_refuses_an_empty_batch():
    with pytest.raises(ValueError, match="no images"):
        predict(network(), torch.zeros(0, 1, 8, 8))


IMPOSSIBLE = [
    ({"optimizer": "adagrad"}, r'it must be "adam", "sgd", "rmsprop" or "muon"'),
    ({"schedule": "steps"}, 'must be "triangle"'),
    ({"precision": "half"}, 'must be "float32" or "bfloat16"'),
    ({"epochs": 0}, "epochs is 0: .* whole number, 1 or more"),
    ({"epochs": -3}, "epochs is -3"),
    ({"epochs": 2.0}, r"epochs is 2\.0: it must be a whole number"),
    ({"batch_size": 0}, "batch_size is 0"),
    ({"batch_size": -8}, "batch_size is -8"),
    ({"batch_size": 8.0}, r"batch_size is 8\.0"),
    ({"lr": math.nan}, "lr is nan"),
    ({"lr": math.inf}, "lr is inf"),
    ({"lr": -0.1}, r"lr is -0\.1: it must be a number from 0 to less than 1e\+30"),
    ({"lr": "0.1"}, "lr is '0.1': it must be a number"),
    ({"weight_decay": -1e-4}, "weight_decay is"),
    ({"momentum": 1.0}, "momentum is 1.0: it must be a number from 0 to less than 1"),
    ({"momentum": -0.5}, "momentum is"),
    ({"warmup": 1.5}, r"warmup is 1\.5: it must be a number from 0 to 1"),
    ({"warmup": -0.1}, "warmup is"),
    ({"warmup": math.nan}, "warmup is nan"),
    ({"label_smoothing": 1.1}, "label_smoothing is 1.1: it must be a number from 0 to 1"),
    ({"label_smoothing": -0.1}, "label_smoothing is"),
    ({"small_epochs": 2, "small_size": (5, 6, 7)}, r"small_epochs is 2 and small_size \(5, 6, 7\): .* a tuple needs"),
    ({"small_epochs": 2, "small_size": (5, 0)}, r"small_epochs is 2 and small_size \(5, 0\)"),
    ({"small_epochs": 2, "small_size": (5, 6.5)}, r"small_size is 6\.5"),
    ({"small_size": ()}, r"small_size is \(\)"),
    ({"small_epochs": 2}, "small_epochs is 2 and small_size 0: set both, or neither"),
    ({"small_size": 4}, "small_epochs is 0 and small_size 4"),
    ({"small_epochs": 1, "small_size": 9}, r"\(8, 1, 8, 8\) cannot be shrunk to 9"),
    ({"small_epochs": 1, "small_size": 4}, r"cannot train on images \(1, 4, 4\)"),  # its dense layer wants 8x8
    ({"small_epochs": -1, "small_size": 4}, "small_epochs is -1"),
]
WRONG = [
    ({"steps": -1}, "steps is -1: it must be a whole number, 0 or more"),
    ({"steps": 2.5}, r"steps is 2\.5"),
    ({"seed": 0.5}, r"seed is 0\.5: it must be a whole number"),
    ({"seed": None}, "seed is None"),
    ({"keep": "first"}, 'keep is "first": it must be "last" or "best"'),
    ({"keep": "best"}, 'keep is "best"'),
    ({"augment": "flip"}, "augment is a str"),
    ({"alternate": "yes"}, "alternate is 'yes': it must be True or False"),
    ({"augment": lambda x, g: None}, "augment makes a NoneType"),
    ({"augment": lambda x, g: x.double()}, r"augment makes \(8, 1, 8, 8\) torch\.float64"),
    ({"augment": lambda x, g: x[:3]}, r"augment makes \(3, 1, 8, 8\)"),
    ({"config": {"epochs": 3}}, r"config is a dict: .* Config\("),
    ({"validation": examples(8)[0]}, r"validation is a Tensor: a pair \(x, y\)"),
    ({"validation": (examples(8)[0], examples(7)[1])}, "8 images and 7 labels"),
    ({"validation": (examples(8)[0], examples(8)[1] + 4)}, "labels run from"),
    ({"validation": (examples(8)[0].double(), examples(8)[1])}, r"try x\.float\(\)"),
    *[({"device": name}, f'device is "{name}", which cannot be used here') for name in ("gpu", "meta", "cuda:99", "")],
]


@pytest.mark.parametrize(
    ("options", "message"), [({"config": Config(**settings)}, message) for settings, message in IMPOSSIBLE] + WRONG
)
def test_what_cannot_be_is_refused_in_one_sentence_before_anything_is_touched(options, message, tmp_path):
    model = normed()
    before, kept, layout = state(model), modes(model), model[0].weight.stride()
    with pytest.raises(ValueError, match=message) as error:
        fit(model, *examples(8), checkpoint=tmp_path / "run.pt", **options)
    assert len(str(error.value).splitlines()) == 1
    assert same(model, before)
    assert (modes(model), model[0].weight.stride()) == (kept, layout)
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a graphics card")
def test_a_graphics_card_that_is_not_there_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r'"cuda", which cannot be used here .*try "cpu"'):
        fit(network(), *examples(8), device="cuda")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (TwoConvCNN, r"the class TwoConvCNN: make a network of it, TwoConvCNN\(\)"),
        (lambda x: x, "must be a network"),
        (nn.Flatten(), "no weight of the network can learn"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 4)).requires_grad_(False), "no weight of the network can learn"),
        (nn.Conv2d(1, 4, 3), r"logits \(1, classes\)"),
        (nn.Sequential(nn.Flatten(), nn.LSTM(64, 4)), "makes a tuple"),
    ],
)
def test_what_is_no_network_that_can_learn_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        fit(model, *examples(8))


@pytest.mark.parametrize("value", [1e30, math.nan])
def test_a_network_that_is_spoiled_already_is_told_from_a_rate_too_high(value):
    model = network()
    model[0].weight.data.fill_(value)
    if math.isnan(value):
        with pytest.raises(FloatingPointError, match="weights hold nan or inf already"):
            fit(model, *examples(8))
    else:
        fit(model, *examples(8), Config(epochs=1))  # enormous, but finite


# One image as a batch of its own


def flat(*layers):
    return lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 4), *layers)


ALONE = {
    "BatchNorm1d": flat(nn.BatchNorm1d(4)),
    "BatchNorm2d on maps of 1x1": lambda: nn.Sequential(nn.Conv2d(1, 4, 8), nn.BatchNorm2d(4), nn.Flatten()),
    "BatchNorm2d on shrunken maps of 1x1": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 4), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ),
}


@pytest.mark.parametrize(("n", "size"), [(17, 8), (17, 1), (9, 8), (3, 2), (17, 16)])
@pytest.mark.parametrize("make", ALONE.values(), ids=ALONE)
def test_a_last_batch_of_one_is_refused_where_a_layer_needs_two_and_the_advice_works(make, n, size):
    model, (x, y) = make(), examples(n)
    small = {"small_epochs": 1, "small_size": 4} if isinstance(model[-2], nn.AdaptiveAvgPool2d) else {}
    before, config = state(model), Config(epochs=2, batch_size=size, **small)
    with pytest.raises(
        ValueError, match=rf"one image alone .*{n} images in batches of {size}.* try batch_size=(\d+)"
    ) as e:
        fit(model, x, y, config)
    assert same(model, before)
    better = int(str(e.value).split("batch_size=")[1].split(",")[0].rstrip("."))
    assert len(fit(model, x, y, replace(config, batch_size=better))) == 2
    if "x[:-1]" in str(e.value):
        assert len(fit(model, x[:-1], y[:-1], config)) == 2


def test_one_image_in_all_is_refused_where_a_layer_needs_two():
    with pytest.raises(ValueError, match="There is only one: give it two at least"):
        fit(ALONE["BatchNorm1d"](), *examples(1))


def test_a_batch_of_one_is_no_obstacle_where_it_can_be_learned_from():
    frozen = ALONE["BatchNorm1d"]()
    frozen[2].eval()
    for model in (network(dropout=0.5), frozen, flat()()):
        assert len(fit(model, *examples(17), Config(epochs=2, batch_size=8))) == 2


def test_a_last_batch_of_one_that_is_never_reached_is_no_obstacle():
    assert len(fit(ALONE["BatchNorm1d"](), *examples(17), Config(epochs=2, batch_size=8), steps=2)) == 1


def test_looking_at_a_batch_of_one_leaves_no_trace_in_the_run():
    x, y = examples(17)
    model, seen = normed(), []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])) if module.training else None)
    history = fit(model, x, y, Config(epochs=1, batch_size=8))
    assert seen == [8, 8, 1]
    other = normed()
    assert numbers(fit(other, x, y, Config(epochs=1, batch_size=8))) == numbers(history)
    assert model[1].num_batches_tracked == 3


def test_numpy_arrays_and_bytes_as_labels_are_taken():
    x, y = examples(32)
    want = numbers(fit(network(), x, y, Config(epochs=1)))
    assert numbers(fit(network(), x.numpy(), y.numpy().astype(np.uint8), Config(epochs=1))) == want


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


FORMS = {
    "backwards": lambda a: a[::-1].copy()[::-1],
    "every second of twice as many": lambda a: np.repeat(a, 2, axis=0)[::2],
    "read only": read_only,
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "column by column": np.asfortranarray,
    "nested lists": lambda a: a.tolist(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_arrays_are_taken_in_whatever_order_they_lie_in_memory(form):
    x, y = examples(16)
    want = numbers(fit(network(), x, y, Config(epochs=1)))
    assert numbers(fit(network(), form(x.numpy()), form(y.numpy()), Config(epochs=1))) == want


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, None])
@pytest.mark.parametrize("use", [lambda model, x, y, **o: predict(model, x, **o), evaluate])
def test_a_batch_size_that_cannot_be_is_refused(use, batch_size):
    with pytest.raises(ValueError, match="batch_size is"):
        use(network(), *examples(8), batch_size=batch_size)


def test_predict_takes_a_network_without_weights():
    assert predict(nn.Flatten(), examples(3)[0]).shape == (3, 64)


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
