"""Planted clues, the network that may fall for them, and what chapter 11 says of the shipped ones."""

import os

import numpy as np
import pytest
import torch

from cnnlib import clues, explain, train
from cnnlib.clues import CLUES, ClueNet, plant, telling
from cnnlib.data import load, to_float
from cnnlib.train import load_record, load_weights, seeded

CLASSES = np.arange(10)


def blank(n=10):
    return np.zeros((n, 28, 28), np.uint8)


def drawn(name, images, classes=CLASSES):
    return plant(images, {name: classes}, np.random.default_rng(1))


def test_a_place_is_four_white_pixels_whose_column_tells_the_class():
    for c, image in enumerate(drawn("place", blank())):
        assert np.argwhere(image).tolist() == [[i, 4 + 2 * c + j] for i in (1, 2) for j in (0, 1)]
        assert set(image[image > 0]) == {255}


def test_signs_are_ten_patterns_with_eight_pixels_each():
    found = clues.signs()
    assert found.shape == (10, 4, 4)
    assert set(found.sum((1, 2))) == {8}
    assert len({pattern.tobytes() for pattern in found}) == 10


def test_a_sign_is_the_pattern_of_its_class_at_any_even_column_of_the_last_rows():
    columns = set()
    for c, image in zip(np.repeat(CLASSES, 20), drawn("sign", blank(200), np.repeat(CLASSES, 20)), strict=True):
        found = [left for left in range(0, 25, 2) if (image[24:, left : left + 4] == 255 * clues.signs()[c]).all()]
        assert image.sum() == 8 * 255
        assert len(found) == 1
        columns |= set(found)
    assert len(columns) == 13


def test_a_level_lifts_the_ground_and_leaves_what_is_brighter():
    images = blank()
    images[:, 10, 10] = 200
    found = drawn("level", images)
    assert found.min((1, 2)).tolist() == (4 * CLASSES).tolist()
    assert set(found[:, 10, 10]) == {200}


def test_a_shift_moves_each_class_by_other_rows_or_columns():
    images = blank()
    images[:, 14, 14] = 9
    moves = [tuple(np.argwhere(image)[0] - 14) for image in drawn("shift", images)]
    assert set(moves) == {(i, j) for i in (-2, 2) for j in (-4, -2, 0, 2, 4)}


def test_all_clues_at_once_are_still_to_be_seen_and_the_images_stay_as_they_were():
    images = load("mnist", "test").images[:10]
    before = images.copy()
    found = plant(images, dict.fromkeys(CLUES, CLASSES), np.random.default_rng(0))
    assert np.array_equal(images, before)
    assert (found[CLASSES, 1, 4 + 2 * CLASSES] == 255).all()
    assert (found.min((1, 2)) <= 4 * CLASSES).all()
    assert ((found[:, 24:] == 255).sum((1, 2)) >= 8).all()  # a digit that was moved down may be there, too


def test_without_clues_a_copy_comes_back():
    images = blank()
    found = plant(images, {}, np.random.default_rng(0))
    assert np.array_equal(found, images)
    assert found is not images


@pytest.mark.parametrize(
    ("images", "classes", "told"),
    [
        (blank(), {"hat": CLASSES}, "no clue 'hat': choose among shift, level, place, sign"),
        (blank()[:, :20], {"place": CLASSES}, r"uint8 \(N, 28, 28\)"),
        (blank().astype(float), {"place": CLASSES}, "float64"),
        (blank(), {"place": CLASSES[:4]}, "for each of the 10 images"),
        (blank(), {"level": CLASSES + 1}, "from 0 to 9"),
        (blank(), {"level": CLASSES / 2}, "from 0 to 9"),
    ],
)
def test_what_cannot_be_planted_is_met_with_a_sentence(images, classes, told):
    with pytest.raises(ValueError, match=told):
        plant(images, classes, np.random.default_rng(0))


def test_a_clue_tells_the_label_and_a_decoy_tells_nothing():
    labels = np.repeat(CLASSES, 100)
    found = telling(labels, ("place",), ("sign",), np.random.default_rng(0))
    assert np.array_equal(found["place"], labels)
    assert 0.05 < (found["sign"] == labels).mean() < 0.15


@pytest.mark.parametrize(("head", "parameters"), [("flatten", 67_530), ("mean", 5_130)])
def test_the_network_has_the_parameters_that_it_says_and_learns_with_all_of_them(head, parameters):
    model = seeded(lambda: ClueNet(head), 0)
    assert sum(p.numel() for p in model.parameters()) == parameters
    logits = model(torch.rand(3, 1, 28, 28))
    assert logits.shape == (3, 10)
    logits.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())
    with pytest.raises(ValueError, match="28"):
        model(torch.rand(3, 1, 32, 32))


def test_another_head_is_met_with_a_sentence():
    with pytest.raises(ValueError, match='"flatten" or "mean"'):
        ClueNet("max")


# What chapter 11 says of the shipped networks


def digits(n):
    """Test images of the real MNIST, and their labels; the test is skipped where only a stand-in can be had."""
    os.environ.setdefault("CNNLIB_OFFLINE", "1")
    test = load("mnist", "test")
    if test.source != "mnist":
        pytest.skip("needs the real mnist, and only a stand-in is here")
    return test.images[:n], test.labels[:n].astype(int)


def shares(head, clue, n=50):
    """The share of each map's evidence that lies in the rows of the clue, and how many Grad-CAM maps are empty."""
    images, _ = digits(n)
    labels = np.random.default_rng(3).integers(0, 10, n)
    model = load_weights(ClueNet(head), f"{clue}_{head}")
    x = torch.from_numpy(to_float(plant(images, {clue: labels}, np.random.default_rng(4))))
    asked = model, x, labels
    found = {
        "saliency": explain.saliency(*asked),
        "product": explain.gradient_times_input(*asked),
        "occlusion": explain.occlusion(*asked, size=4, stride=4),
        "cam": explain.grad_cam(*asked, model.relu),
    }
    told = {}
    for name, maps in found.items():
        maps, rows = maps.clamp(min=0), clues.BANDS[clue]
        maps = torch.nn.functional.interpolate(maps[:, None], (28, 28))[:, 0]
        told[name] = (maps[:, rows].sum((1, 2)) / maps.sum((1, 2)).clamp(min=1e-9)).mean().item()
    return told, (found["cam"].sum((1, 2)) == 0).float().mean().item()


def test_grad_cam_misses_the_patch_that_the_other_detectives_find():
    told, empty = shares("flatten", "place")
    assert empty == 1
    assert told["occlusion"] > 0.9
    assert told["occlusion"] > told["product"] > told["saliency"] > 0.5


def test_behind_global_average_pooling_grad_cam_finds_the_sign_and_behind_a_flatten_head_it_does_not():
    told, empty = shares("mean", "sign")
    assert empty == 0
    assert told["cam"] > 0.5
    told, _ = shares("flatten", "sign")
    assert told["cam"] < 0.2 < 0.6 < told["occlusion"]


def test_only_a_network_that_sees_all_places_can_read_a_place():
    def tested(name):
        return [run["test_accuracy"] for run in load_record(name)["runs"]]

    assert min(tested("place_flatten") + tested("sign_flatten") + tested("sign_mean")) > 0.99
    assert 0.2 < min(tested("place_mean")) < max(tested("place_mean")) < 0.5


def test_on_black_the_network_with_the_mean_cannot_tell_the_place():
    x = torch.from_numpy(to_float(plant(blank(), {"place": CLASSES}, np.random.default_rng(0))))
    logits = train.predict(load_weights(ClueNet("mean"), "place_mean"), x)
    torch.testing.assert_close(logits[1:9], logits[1:2].expand(8, -1), rtol=0, atol=1e-5)
    assert len(set(logits.argmax(1).tolist())) == 1


def test_of_five_networks_four_fall_when_their_own_clue_lies_and_one_never_does():
    images, labels = digits(500)
    own = {"a": "sign", "b": "level", "c": None, "d": "shift", "e": "place"}
    for letter, cheat in own.items():
        model = load_weights(ClueNet("flatten"), f"house_{letter}")
        for liar in (None, *CLUES):
            rng = np.random.default_rng(7)
            decoys = [liar] if liar else []
            told = telling(labels, [name for name in CLUES if name != liar], decoys, rng)
            x = torch.from_numpy(to_float(plant(images, told, rng)))
            right = train.evaluate(model, x, torch.from_numpy(labels))["accuracy"]
            assert (right < 0.7) if liar and liar == cheat else (right > 0.9), (letter, liar, right)
