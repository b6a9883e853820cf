"""Networks that answer with a picture: one seed gives one result, every example counts once, scores are per pixel."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import pictures
from cnnlib.models import DigitAutoencoder, UNet
from cnnlib.scenes import near_borders
from cnnlib.train import Config, seeded


def pairs(n=10, *, seed=0):
    """Images of 16x16, and as labels which pixels are bright."""
    x = torch.randn(n, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, 0] > 0).long()


def test_a_u_net_overfits_eight_images_and_starts_near_the_loss_of_a_guess():
    x, y = pairs(8)
    model = seeded(lambda: UNet(1, 2, width=4), 0)
    history = pictures.fit(model, x, y, Config(epochs=40, batch_size=4, lr=0.02))
    assert 0.5 < history[0]["losses"][0] < 1.2  # ln 2 is 0.69
    assert history[-1]["train_loss"] < 0.1
    assert pictures.evaluate(model, x, y)["accuracy"] > 0.95


def test_an_autoencoder_learns_its_images_by_squared_error():
    x = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0)).round()
    model = seeded(DigitAutoencoder, 0)
    before = pictures.evaluate(model, x, x)
    pictures.fit(model, x, x, Config(epochs=30, batch_size=6, lr=0.01))
    after = pictures.evaluate(model, x, x)
    assert after.keys() == {"loss"}
    assert after["loss"] < 0.8 * before["loss"]
    assert after["loss"] == pytest.approx(F.mse_loss(pictures.predict(model, x), x).item())


def test_one_seed_gives_one_result_and_another_seed_another():
    x, y = pairs()
    ends = []
    for seed in (3, 3, 4):
        model = seeded(lambda: UNet(1, 2, width=2), 0)
        ends.append(pictures.fit(model, x, y, Config(epochs=2, batch_size=4), seed=seed)[-1]["losses"])
    assert ends[0] == ends[1] != ends[2]


def test_a_run_stops_after_the_steps_that_are_asked_for_at_the_rates_of_the_whole_run():
    x, y = pairs()
    config, model = Config(epochs=3, batch_size=4, schedule="triangle"), nn.Conv2d(1, 2, 3, padding=1)
    history = pictures.fit(model, x, y, config, steps=4)
    assert [len(entry["losses"]) for entry in history] == [3, 1]
    whole = pictures.fit(nn.Conv2d(1, 2, 3, padding=1), x, y, config)
    assert history[0]["lr"] == whole[0]["lr"]
    assert pictures.fit(model, x, y, config, steps=0) == []


def test_a_short_last_batch_counts_for_less_and_look_joins_the_history():
    x, y = pairs(5)
    model, seen = nn.Conv2d(1, 2, 1), []

    def look(net):
        seen.append(net)
        return {"scored": len(seen)}

    first, second = pictures.fit(model, x, y, Config(epochs=2, batch_size=4, lr=0.0), look=look)
    want = F.cross_entropy(model(x), y).item()
    assert first["train_loss"] == pytest.approx(want, rel=1e-5)
    assert seen == [model, model]
    assert second["scored"] == 2


def test_scores_are_over_all_pixels_in_evaluation_mode_and_the_mode_is_put_back():
    x, y = pairs(260)  # more than one batch
    model = seeded(lambda: UNet(1, 2, width=2), 1).train()
    scores = pictures.evaluate(model, x, y, within=1)
    assert model.training
    labels = pictures.predict(model, x).argmax(1)
    right = labels == y
    assert scores["accuracy"] == pytest.approx(right.double().mean().item())
    near = torch.from_numpy(near_borders(y.numpy(), 1))
    assert scores["near_accuracy"] == pytest.approx(right[near].double().mean().item())
    for k in (0, 1):
        for key, where in (("iou", torch.ones_like(near)), ("near_iou", near)):
            mine, true = (labels == k) & where, (y == k) & where
            assert scores[key][k] == pytest.approx(((mine & true).sum() / (mine | true).sum()).item())
        assert scores["dice"][k] == pytest.approx(2 * scores["iou"][k] / (1 + scores["iou"][k]))


@pytest.mark.parametrize(("images", "labels"), [(3, 2), (0, 0)])
@pytest.mark.parametrize("ask", [pictures.fit, pictures.evaluate])
def test_no_examples_or_not_equally_many_are_refused(ask, images, labels):
    with pytest.raises(ValueError, match=f"{images} examples and y has {labels}"):
        ask(nn.Conv2d(1, 2, 1), torch.zeros(images, 1, 16, 16), torch.zeros(labels, 16, 16).long())


def test_a_loss_that_is_not_finite_stops_the_run():
    x, y = pairs(4)
    x[1] = np.nan
    with pytest.raises(FloatingPointError, match="1 of 4 images hold nan"):
        pictures.fit(nn.Conv2d(1, 2, 1), x, y)
