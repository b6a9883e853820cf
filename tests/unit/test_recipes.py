"""Recorded runs: the recipe, its record, its shipped weights and their card tell one story."""

import json
import math
import os

import pytest
import torch

from cnnlib import __main__, recipes, train
from cnnlib.data import Images, load
from cnnlib.recipes import RECIPES
from cnnlib.train import Config, load_card, load_record, load_weights

names = pytest.mark.parametrize("name", sorted(RECIPES))
shipped = pytest.mark.parametrize("name", sorted(name for name in RECIPES if RECIPES[name]["ship"]))


def real(name, split="train"):
    """The tensors of a recipe's data set; the test is skipped where only a stand-in can be had."""
    os.environ.setdefault("CNNLIB_OFFLINE", "1")
    source = load(RECIPES[name]["data"], split).source
    if source != RECIPES[name]["data"]:
        pytest.skip(f"needs the real {RECIPES[name]['data']}, and only a {source.split(':')[0]} is here")
    return recipes.tensors(name, split)[:2]


@names
def test_a_record_was_made_with_the_recipe_as_it_stands(name):
    record = load_record(name)
    assert record["recipe"] == json.loads(json.dumps(recipes.describe(name)))
    assert [run["seed"] for run in record["runs"]] == list(RECIPES[name]["seeds"])


@names
def test_a_record_is_complete(name):
    record = load_record(name)
    for run in record["runs"]:
        assert [entry["epoch"] for entry in run["history"]] == list(range(1, RECIPES[name]["config"].epochs + 1))
        assert ("val_accuracy" in run["history"][0]) == RECIPES[name]["watch"]
        assert 0.9 * math.log(10) < run["first_losses"][0] < 2 * math.log(10)  # no idea yet, and not too sure of it
        assert run["seconds"] > 0
        assert round(run["test_accuracy"] * record["test_images"], 6).is_integer()
    assert {"hardware", "versions", "code", "parameters"} <= set(record)


def test_two_conv_reaches_99_percent_from_every_seed():
    record = load_record("two_conv")
    assert len(record["runs"]) >= 5
    assert min(run["test_accuracy"] for run in record["runs"]) >= 0.99


def test_resnet18_reaches_95_percent():
    assert min(run["test_accuracy"] for run in load_record("resnet18")["runs"]) >= 0.95


def test_depth_costs_the_plain_network_and_helps_the_residual_one():
    def last(name, key):
        return load_record(name)["runs"][0]["history"][-1][key]

    for key in ("train_accuracy", "val_accuracy"):
        assert last("plain56", key) < last("plain20", key) - 0.02
        assert last("residual56", key) > last("residual20", key)


def test_plain_and_residual_networks_were_trained_alike():
    first, *others = (load_record(f"{kind}{depth}") for kind in ("plain", "residual") for depth in (20, 56))
    for record in others:
        same = first["recipe"] | {key: record["recipe"][key] for key in ("model", "arguments")}
        assert record["recipe"] == same
        assert (record["hardware"], record["code"]) == (first["hardware"], first["code"])


@shipped
def test_the_card_belongs_to_the_first_seed_of_the_record(name):
    card, record = load_card(name), load_record(name)
    assert card["seed"] == record["runs"][0]["seed"] == RECIPES[name]["seeds"][0]
    assert card["test_accuracy"] == pytest.approx(record["runs"][0]["test_accuracy"], abs=0.001)
    assert card["parameters"] == record["parameters"]


@shipped
def test_shipped_weights_score_what_their_card_says(name):
    x, y = real(name, "test")
    model = load_weights(recipes.build(name), name)
    got = train.evaluate(model, x, y)["accuracy"]
    assert got == pytest.approx(load_card(name)["test_accuracy"], abs=0.001)


@names
def test_the_first_steps_of_a_recipe_give_the_recorded_losses(name):
    x, y = real(name)
    run, half = load_record(name)["runs"][0], RECIPES[name]["config"].precision == "bfloat16"
    steps = 5 if half else 20  # other processors round in another order, and in half precision that soon adds up
    _, history = recipes.start(name, run["seed"], x=x, y=y, steps=steps)
    got, want = torch.tensor(history[0]["losses"]), torch.tensor(run["first_losses"][:steps])
    torch.testing.assert_close(got, want, rtol=0.02 if half else 0.01, atol=0.001)


# The machinery, on a recipe of four steps


def tiny(classes):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, classes))


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A recipe called small, on 40 made-up images that pass for MNIST, writing into an empty folder."""
    entry = {"model": tiny, "arguments": {"classes": 10}, "data": "mnist", "mean": 0.5, "std": 0.25}
    entry |= {"augment": {"crop": {"padding": 2}}, "config": Config(epochs=2, batch_size=20), "seeds": (7, 8)}
    monkeypatch.setitem(RECIPES, "small", {**entry, "watch": False, "ship": True})
    monkeypatch.setattr(recipes.data, "cache_dir", lambda: tmp_path / "cache")
    pixels = torch.randint(0, 256, (40, 28, 28), generator=torch.Generator().manual_seed(0)).to(torch.uint8).numpy()
    labels = (torch.arange(40) % 10).to(torch.uint8).numpy()
    monkeypatch.setattr(recipes, "load", lambda *_: Images(pixels, labels, tuple("0123456789"), "mnist"))
    monkeypatch.setattr(train, "RUNS", tmp_path)
    monkeypatch.setattr(train, "PRETRAINED", tmp_path / "pretrained")
    (tmp_path / "pretrained").mkdir()
    return tmp_path


def test_training_a_recipe_leaves_record_weights_and_card(small, capsys):
    assert __main__.main(["train", "small"]) == 0
    assert "seed 7" in capsys.readouterr().out
    found = {str(path.relative_to(small)).replace("\\", "/") for path in small.rglob("*") if path.is_file()}
    assert found == {"small.json", "pretrained/small.safetensors", "pretrained/small.json"}
    record, card = load_record("small"), load_card("small")
    assert [run["seed"] for run in record["runs"]] == [7, 8]
    assert card["seed"] == 7
    assert card["input"].startswith("(N, 1, 28, 28) float32: (pixel / 255 - 0.5) / 0.25")
    assert "first seed" in card["chosen"]


def test_a_recipe_trained_twice_gives_the_same_record(small):
    records = []
    for _ in range(2):
        records.append(recipes.run("small", log=lambda _: None)[0])
        for path in (small / "cache").rglob("*.pt"):
            path.unlink()
    for record in records:
        for run in record["runs"]:
            run.pop("seconds")
            for entry in run["history"]:
                entry.pop("seconds")
    assert records[0] == records[1]


def test_an_interrupted_recipe_goes_on_from_its_checkpoints(small, monkeypatch):
    whole, _ = recipes.run("small", log=lambda _: None)
    for path in (small / "cache").rglob("*.pt"):
        path.unlink()

    def stop(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipes.run("small", log=stop)  # after the first seed
    monkeypatch.setattr(train, "train_epoch", None)  # which is not trained again
    monkeypatch.setitem(RECIPES["small"], "seeds", (7,))
    again, model = recipes.run("small", log=lambda _: None)
    assert again["runs"] == [
        {**whole["runs"][0], "seconds": again["runs"][0]["seconds"], "history": again["runs"][0]["history"]}
    ]
    recipes.save(again, model)
    assert not list((small / "cache").rglob("*.pt"))


def test_a_watched_recipe_measures_the_test_images_after_each_epoch_and_ships_no_weights(small, monkeypatch):
    monkeypatch.setitem(RECIPES, "small", {**RECIPES["small"], "watch": True, "ship": False})
    record, model = recipes.run("small", log=lambda _: None)
    for run in record["runs"]:
        assert run["history"][-1]["val_accuracy"] == pytest.approx(run["test_accuracy"], abs=1e-6)
    assert recipes.save(record, model) == [small / "small.json"]


def test_the_shipped_weights_are_those_of_the_first_seed(small):
    record, model = recipes.run("small", log=lambda _: None)
    recipes.save(record, model)
    x, y, _ = recipes.tensors("small", "train")
    again, _ = recipes.start("small", 7, x=x, y=y)
    got, want = load_weights(tiny(10), "small").state_dict(), again.state_dict()
    assert all(torch.equal(got[key], want[key].half().float()) for key in want)


def test_a_stand_in_is_never_recorded(small, monkeypatch, capsys):
    images = recipes.load("mnist", "train")
    false = Images(images.images, images.labels, images.classes, "stand-in: digits")
    monkeypatch.setattr(recipes, "load", lambda *_: false)
    assert __main__.main(["train", "small"]) == 2
    assert "only stand-in" in capsys.readouterr().err
    assert not (small / "small.json").exists()


def test_shipped_weights_are_scored_from_the_command_line(small, monkeypatch, capsys):
    recipes.save(*recipes.run("small", log=lambda _: None))
    assert __main__.main(["evaluate", "small"]) == 0
    assert "of 40 test images; its card says" in capsys.readouterr().out
    card = load_card("small")
    monkeypatch.setattr(train, "load_card", lambda _: {**card, "test_accuracy": card["test_accuracy"] + 0.01})
    assert __main__.main(["evaluate", "small"]) == 1


def test_weights_that_are_not_shipped_cannot_be_scored(small, capsys):
    assert __main__.main(["evaluate", "small"]) == 2
    assert "small.safetensors" in capsys.readouterr().err


def test_an_unknown_recipe_is_answered_with_the_known_ones(capsys):
    assert __main__.main(["train", "three_conv"]) == 2
    assert "two_conv" in capsys.readouterr().err
