"""Recorded runs: the recipe, its record, its shipped weights and their card tell one story."""

import hashlib
import json
import math
import os
from itertools import pairwise

import pytest
import torch

from cnnlib import __main__, machine, recipes, train
from cnnlib.data import Images, load
from cnnlib.recipes import RECIPES, STUDIES
from cnnlib.train import Config, load_card, load_record, load_weights

names = pytest.mark.parametrize("name", sorted(RECIPES))
of_classes = pytest.mark.parametrize("name", sorted(name for name in RECIPES if "learns" not in RECIPES[name]))
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
        assert ("val_accuracy" in run["history"][0]) == bool(RECIPES[name]["watch"])
        assert run["seconds"] > 0
        assert run["seconds"] == pytest.approx(sum(entry["seconds"] for entry in run["history"]), rel=0.05)
    assert {"hardware", "versions", "precision", "code", "parameters"} <= set(record)


@of_classes
def test_a_network_begins_with_no_idea_and_is_right_about_a_whole_number_of_images(name):
    record = load_record(name)
    for run in record["runs"]:
        assert 0.9 * math.log(10) < run["first_losses"][0] < 2 * math.log(10)  # and is not too sure of it
        assert round(run["test_accuracy"] * record["test_images"], 6).is_integer()


@names
def test_the_recorded_learning_rates_are_those_of_the_recipe(name):
    record, config = load_record(name), RECIPES[name]["config"]
    per_epoch = math.ceil(record["train_images"] / config.batch_size)
    for run in record["runs"]:
        for entry in run["history"]:
            want = train.learning_rate(entry["epoch"] * per_epoch - 1, config.epochs * per_epoch, config)
            assert entry["lr"] == pytest.approx(want, abs=1e-6)


# Which code made a record

UNKNOWN = {"resnet18"}  # its sources were not kept, and its record says so
RECORDS = sorted(path.stem for path in train.RUNS.glob("*.json"))


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_holds_the_digest_of_sources_that_are_stored_beside_it(name):
    record = load_record(name)
    if name in UNKNOWN:
        assert record["code"] is None
        assert "not kept" in record["code_note"]
        return
    text = recipes.code_file(record["code"]).read_text(encoding="utf-8")
    assert record["code"] == hashlib.sha256(text.encode()).hexdigest()
    compile(text, name, "exec")
    assert "\ndef fit(" in text
    assert f" {record['recipe']['model']}(" in text
    assert all(f"def {function}(" in text for function in record["recipe"]["augment"])


def test_every_record_has_a_recipe_and_every_stored_source_a_record():
    assert set(RECORDS) == set(RECIPES) | set(STUDIES)
    kept = {path.name for path in (train.RUNS / "code").iterdir()}
    assert kept == {recipes.code_file(load_record(name)["code"]).name for name in set(RECORDS) - UNKNOWN}


def test_a_digest_follows_the_code_and_not_its_comments(monkeypatch):
    found = recipes.sources("resnet18")
    assert all(f"def {name}(" in found for name in ("fit", "resnet18", "crop", "flip", "cutout"))
    assert "def crop(" not in recipes.sources("two_conv")
    assert "Provided." not in found
    source = recipes.inspect.getsource
    monkeypatch.setattr(recipes.inspect, "getsource", lambda part: "# a remark\n" + source(part))
    assert recipes.sources("resnet18") == found
    monkeypatch.setattr(recipes.inspect, "getsource", lambda part: source(part).replace("0.999", "0.99"))
    assert recipes.sources("resnet18") != found


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


def test_three_conv_is_recorded_on_all_images_and_on_the_first_four_fifths():
    whole, split = load_record("three_conv"), load_record("three_conv_split")
    assert (whole["train_images"], split["train_images"]) == (60_000, 48_000)
    own = {"images": 48_000, "watch": "rest", "ship": False}
    assert split["recipe"] == whole["recipe"] | own
    for record in (whole, split):
        scores = [run["test_accuracy"] for run in record["runs"]]
        assert 0.985 < min(scores) <= max(scores) < 0.995
    assert all(run["history"][-1]["val_accuracy"] > 0.985 for run in split["runs"])


def test_ten_times_the_images_are_worth_more_than_any_depth():
    def mean(depth, images, which="test_accuracy"):
        runs = load_record(f"stack{depth}_{images}")["runs"]
        return sum(run[which] for run in runs) / len(runs)

    sizes, depths = (500, 5_000, 60_000), (1, 2, 3, 4)
    for few, many in pairwise(sizes):
        assert max(mean(depth, few) for depth in depths) < min(mean(depth, many) for depth in depths)
    for images in sizes:
        assert mean(1, images) + 0.003 < min(mean(depth, images) for depth in (2, 3, 4))
        assert all(mean(depth, images, "train_accuracy") > 0.997 for depth in depths)


def test_clues_are_planted_alike_each_time_and_tell_what_the_recipe_says():
    x, y = real("place_flatten", "test")
    again, same, _ = recipes.tensors("place_flatten", "test")
    assert torch.equal(x, again)
    assert torch.equal(y, same)
    assert (x[torch.arange(len(y)), 0, 1, 4 + 2 * y] == 1).all()
    true = torch.from_numpy(load("mnist", "test").labels).long()
    assert 0.08 < (y == true).double().mean() < 0.12  # the label is drawn
    assert torch.equal(real("house_c", "test")[1], true)


def test_five_networks_differ_in_the_clue_that_tells_and_in_nothing_else():
    told = [RECIPES[f"house_{letter}"] for letter in "abcde"]
    assert sorted(recipe["clues"] for recipe in told) == [(), ("level",), ("place",), ("shift",), ("sign",)]
    for recipe in told:
        assert sorted((*recipe["clues"], *recipe["decoys"])) == ["level", "place", "shift", "sign"]
        assert {**recipe, "clues": 0, "decoys": 0} == {**told[0], "clues": 0, "decoys": 0}


def test_the_honest_network_has_the_lowest_score_on_the_images_of_its_house():
    tested = {letter: load_record(f"house_{letter}")["runs"][0]["test_accuracy"] for letter in "abcde"}
    assert min(tested, key=tested.get) == "c"
    assert 0.93 < tested["c"] < 0.97 < sorted(tested.values())[1]


@shipped
def test_the_card_belongs_to_the_first_seed_of_the_record(name):
    card, record = load_card(name), load_record(name)
    assert card["seed"] == record["runs"][0]["seed"] == RECIPES[name]["seeds"][0]
    assert card["parameters"] == record["parameters"]
    key, allowed = ("test_loss", 1e-4) if "learns" in RECIPES[name] else ("test_accuracy", 0.001)
    assert card[key] == pytest.approx(record["runs"][0][key], abs=allowed)


@shipped
def test_shipped_weights_score_what_their_card_says(name):
    x, y = real(name, "test")
    if "learns" in RECIPES[name]:
        card, reached = recipes.score(name)
        assert reached == pytest.approx(card["test_loss"], abs=1e-5)
        return
    card, said = load_card(name), train.predict(load_weights(recipes.build(name), name), x).argmax(1)
    kept = torch.tensor([int(digit) for digit in card["answers"]])
    assert (said == kept).double().mean() >= 0.999  # another processor rounds otherwise
    assert (kept == y).double().mean().item() == pytest.approx(card["test_accuracy"], abs=1e-9)


@names
def test_the_first_steps_of_a_recipe_give_the_recorded_losses(name):
    x, y = real(name)
    run, half = load_record(name)["runs"][0], RECIPES[name]["config"].precision == "bfloat16"
    steps = 5 if half else 20  # other processors round in another order, and in half precision that soon adds up
    _, history = recipes.start(name, run["seed"], x=x, y=y, steps=steps)
    got, want = torch.tensor(history[0]["losses"]), torch.tensor(run["first_losses"][:steps])
    torch.testing.assert_close(got, want, rtol=0.02 if half else 0.01, atol=0.001)


# Studies: a recipe, and arms that change something in it


studies = pytest.mark.parametrize("name", sorted(STUDIES))


@studies
def test_the_record_of_a_study_was_made_with_its_arms_as_they_stand(name):
    record = load_record(name)
    assert record["recipe"] == json.loads(json.dumps(recipes.describe(name)))
    changes = {arm: results["change"] for arm, results in record["arms"].items()}
    assert changes == json.loads(json.dumps(STUDIES[name]["arms"]))


@studies
def test_the_record_of_a_study_holds_a_whole_number_of_right_images_for_each_seed(name):
    record = load_record(name)
    pixels, classes = (64 * 64, 4) if STUDIES[name]["data"] == "scenes" else (1, 10)
    for arm, results in record["arms"].items():
        assert results["seed"] == list(STUDIES[name]["seeds"])
        assert all(len(results[key]) == len(results["seed"]) for key in ("test_accuracy", "train_accuracy", "seconds"))
        judged = pixels * record["test_images"]
        assert all(round(share * judged, 3).is_integer() for share in results["test_accuracy"])
        assert all(0.9 * math.log(classes) < loss < 2 * math.log(classes) for loss in results["first_loss"]), arm
        assert ("curve" in results) == STUDIES[name]["watch"]


def real_arm(name):
    """The training tensors of an arm of a study; the test is skipped where only a stand-in can be had."""
    real("resnet18", "test")
    return recipes.tensors(name, "train")[:2]


@studies
def test_the_first_step_of_each_arm_gives_the_recorded_loss(name):
    for arm, results in load_record(name)["arms"].items():
        full = f"{name}/{arm}"
        x, y = real_arm(full)
        _, history = recipes.start(full, results["seed"][0], x=x, y=y, steps=1)
        assert history[0]["losses"][0] == pytest.approx(results["first_loss"][0], rel=1e-3), arm


def best_rates(study):
    """{recipe: the rate that won} of the arms RECIPE_RATE of a study of trials."""
    best = {}
    for arm, results in load_record(study)["arms"].items():
        recipe, rate = arm.rsplit("_", 1)
        best[recipe] = max(best.get(recipe, (0, 0)), (results["test_accuracy"][0], float(rate)))
    return {recipe: rate for recipe, (_, rate) in best.items()}


def test_every_rate_of_chapter_10_is_the_best_of_its_trials():
    used = {
        "first": "ledger/nothing",
        "first_normalized": "ledger/+_normalized_input",
        "first_batch_norm": "ledger/+_batch_norm",
        "no_batch_norm": "ablation/no_batch_norm",
        "constant": "ablation/no_schedule",
        "full": "ablation/full",
        **{name: f"optimizers/{name}" for name in ("sgd", "momentum", "adam")},
    }
    assert best_rates("rates") == {recipe: recipes.find(name)["config"].lr for recipe, name in used.items()}


def test_every_rate_of_chapter_16_is_the_best_of_its_trials():
    used = {arm.rsplit("_", 1)[0]: change["config"]["lr"] for arm, change in STUDIES["attention"]["arms"].items()}
    assert best_rates("attention_rates") == used
    assert len(used) == 3


def test_convolution_and_attention_compete_at_equal_parameters_and_nearly_equal_seconds():
    arms = load_record("attention")["arms"]
    for images in (500, 2_000, 8_000):
        same = [arms[f"{kind}_{images}"] for kind in ("cnn", "patches", "convolutions")]
        sizes, seconds = [a["parameters"] for a in same], [sum(a["seconds"]) for a in same]
        assert max(sizes) < 1.03 * min(sizes)
        assert max(seconds) < 1.5 * min(seconds)  # of a machine that had other work, too
        assert all(len(a["seed"]) == 3 for a in same)


def test_trials_are_scored_on_training_images_that_no_recipe_of_chapter_10_learns_from():
    real("resnet18", "test")
    held = recipes.tensors("rates/full_0.8", "test")[2]
    _, y, _ = recipes.tensors("rates/full_0.8", "test")
    assert torch.equal(y, torch.from_numpy(held.labels[-len(y) :]).long())
    arms = [recipes.find(f"{name}/{arm}") for name, study in STUDIES.items() for arm in study["arms"]]
    learned = [recipe["images"] for recipe in arms if recipe["data"] == "cifar10"]
    assert len(y) + max(learned) <= len(held.labels)


def test_scenes_are_labeled_pixel_by_pixel():
    x, y, images = recipes.tensors("unet/skips", "test")
    assert (x.shape, y.shape, images.source) == ((400, 1, 64, 64), (400, 64, 64), "scenes")
    assert torch.equal(y, torch.from_numpy(images.labels).long())


def test_skips_help_a_u_net_most_near_the_borders():
    arms = load_record("unet")["arms"]

    def mean(arm, key):
        by_seed = [sum(classes) / len(classes) for classes in arms[arm][key]]
        return sum(by_seed) / len(by_seed)

    gain = {key: mean("skips", key) - mean("no_skips", key) for key in ("test_iou", "test_near_iou")}
    assert 0.05 < gain["test_iou"] < gain["test_near_iou"]
    assert arms["skips"]["parameters"] < arms["no_skips"]["parameters"]


def test_three_kinds_of_networks_differ_in_the_network_and_in_the_rate_that_was_best_in_its_trials():
    trials, arms = load_record("kind_rates")["arms"], load_record("kinds")["arms"]
    for kind, results in arms.items():
        rates = {float(arm.rsplit("_", 1)[1]): run["test_accuracy"][0] for arm, run in trials.items() if kind in arm}
        best = max(rates, key=rates.get)
        assert min(rates) < best < max(rates)
        assert results["change"] == {"arguments": {"kind": kind}, "config": {"lr": best}}


def test_two_recipes_of_forty_seeds_are_a_third_of_a_point_apart():
    plain, smoothed = (results["test_accuracy"] for results in load_record("forty_seeds")["arms"].values())
    assert len(plain) == len(smoothed) == 40
    assert 0.002 < sum(smoothed) / 40 - sum(plain) / 40 < 0.0045


def test_an_arm_changes_what_it_names_and_nothing_else():
    whole, arm = recipes.find("ablation/full"), recipes.find("ablation/no_weight_decay")
    assert (whole["config"].weight_decay, arm["config"].weight_decay) == (5e-4, 0)
    assert {**whole, "config": None} == {**arm, "config": None}
    assert "arms" not in whole


@pytest.mark.parametrize("name", ["ablation/no_rest", "no_study/full"])
def test_an_unknown_arm_or_study_is_refused_with_the_names_there_are(name):
    with pytest.raises(ValueError, match=r"choose one of two_conv.*ablation"):
        recipes.find(name)


def test_a_study_is_recorded_arm_by_arm_and_goes_on_from_its_checkpoints(small, monkeypatch):
    entry = {**RECIPES["small"], "ship": False}
    arms = {"as_it_is": {}, "slower": {"config": {"lr": 1e-4}}}
    monkeypatch.setitem(STUDIES, "tiny", {**entry, "arms": arms})
    with pytest.raises(ValueError, match="no study"):
        recipes.run_study("small")
    first = recipes.run_study("tiny", log=lambda _: None)
    again = recipes.run_study("tiny", log=lambda _: None)  # finished runs are read, not made again
    assert again["arms"] == first["arms"]
    assert first["arms"]["slower"]["seed"] == [7, 8]
    assert first["arms"]["slower"]["test_loss"] != first["arms"]["as_it_is"]["test_loss"]
    assert [path.name for path in recipes.save_study(first)][1] == "tiny.json"
    assert json.loads((small / "tiny.json").read_text())["arms"].keys() == arms.keys()
    assert not list((small / "cache").rglob("*.pt"))


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
    record, card = load_record("small"), load_card("small")
    code = f"code/{record['code'][:16]}.txt"
    assert found == {"small.json", code, "pretrained/small.safetensors", "pretrained/small.json"}
    assert hashlib.sha256((small / code).read_bytes()).hexdigest() == record["code"]
    assert record["hardware"]["flags"] == machine.flags()
    assert record["precision"] == "float32"
    assert [run["seed"] for run in record["runs"]] == [7, 8]
    assert card["seed"] == 7
    assert card["input"].startswith("(N, 1, 28, 28) float32: (pixel / 255 - 0.5) / 0.25")
    assert "first seed" in card["chosen"]


def test_the_sources_that_are_kept_are_those_at_the_start_of_the_run(small, monkeypatch):
    before = recipes.sources("small")

    def edit(line):  # a file is changed while the run goes on
        monkeypatch.setattr(recipes, "sources", lambda name: "changed")

    code, _, *_ = recipes.save(*recipes.run("small", log=edit))
    assert code.read_text(encoding="utf-8") == before


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


@pytest.mark.parametrize("pays", [True, False])
def test_a_record_says_which_precision_ran_and_what_limit_was_set(small, monkeypatch, pays):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setattr(machine, "bfloat16_pays", lambda device="cpu": pays)
    half = Config(epochs=1, batch_size=20, precision="bfloat16")
    monkeypatch.setitem(RECIPES, "small", {**RECIPES["small"], "config": half})
    record, _ = recipes.run("small", log=lambda _: None)
    assert record["precision"] == ("bfloat16" if pays else "float32")
    assert record["recipe"]["config"]["precision"] == "bfloat16"
    assert record["hardware"]["ONEDNN_MAX_CPU_ISA"] == "AVX2"


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
    assert recipes.save(record, model) == [recipes.code_file(record["code"]), small / "small.json"]


def test_a_recipe_may_learn_from_its_first_images_and_watch_the_others(small, monkeypatch):
    monkeypatch.setitem(RECIPES, "small", {**RECIPES["small"], "images": 30, "watch": "rest", "ship": False})
    (x, y, _), (rest_x, rest_y, _) = recipes.tensors("small", "train"), recipes.tensors("small", "rest")
    assert (len(y), len(rest_y), len(recipes.tensors("small", "test")[1])) == (30, 10, 40)
    assert torch.equal(torch.cat([x, rest_x]), recipes.tensors("small", "test")[0])
    record, model = recipes.run("small", log=lambda _: None)
    assert record["train_images"] == 30
    model, history = recipes.start("small", 7, x=x, y=y)
    last = record["runs"][0]["history"][-1]
    assert last["val_accuracy"] == pytest.approx(train.evaluate(model, rest_x, rest_y)["accuracy"], abs=1e-6)
    assert record["runs"][0]["train_accuracy"] == train.evaluate(model, x, y)["accuracy"]
    assert [entry["train_loss"] for entry in history] == pytest.approx(
        [entry["train_loss"] for entry in record["runs"][0]["history"]], abs=1e-6
    )


def test_without_a_number_of_images_all_are_learned_from(small):
    assert (len(recipes.tensors("small", "train")[1]), len(recipes.tensors("small", "rest")[1])) == (40, 0)


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


def test_a_recipe_of_images_is_recorded_shipped_and_scored_by_its_loss(small, monkeypatch, capsys):
    whole = RECIPES["autoencoder"]
    entry = {**whole, "config": Config(epochs=2, batch_size=20, lr=3e-3), "seeds": (7,)}
    monkeypatch.setitem(RECIPES, "small", entry)
    x, y, _ = recipes.tensors("small", "train")
    assert torch.equal(x, y)
    assert __main__.main(["train", "small"]) == 0
    assert "test loss" in capsys.readouterr().out
    run, card = load_record("small")["runs"][0], load_card("small")
    assert "test_accuracy" not in run | card
    assert card["test_loss"] == pytest.approx(run["test_loss"], abs=1e-3)
    assert card["output"] == "(N, 1, 28, 28) from 0 to 1"
    assert "def picture_loss(" in recipes.sources("small")
    assert __main__.main(["evaluate", "small"]) == 0
    monkeypatch.setattr(train, "load_card", lambda _: {**card, "test_loss": card["test_loss"] + 0.01})
    assert __main__.main(["evaluate", "small"]) == 1


def test_weights_that_are_not_shipped_cannot_be_scored(small, capsys):
    assert __main__.main(["evaluate", "small"]) == 2
    assert "small.safetensors" in capsys.readouterr().err


def test_an_unknown_recipe_is_answered_with_the_known_ones(capsys):
    assert __main__.main(["train", "five_conv"]) == 2
    assert "two_conv" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:99", ""])
def test_a_device_that_is_not_there_is_answered_in_one_line(small, capsys, command, device):
    assert __main__.main([command, "small", "--device", device]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f'device is "{device}", which cannot be used here')
    assert len(err.splitlines()) == 1
    assert not list(small.rglob("*.*"))


def test_a_stopped_training_says_how_to_go_on(small, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "evaluate", stop)  # after the first seed's last epoch
    assert __main__.main(["train", "small"]) == 130
    assert "same command goes on" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["no room", "nan"])
def test_a_training_that_fails_says_why_and_keeps_its_checkpoints(small, monkeypatch, capsys, wrong):
    def fail(*_):
        raise OSError(28, "No space left on device")

    def spoil(*_, **__):
        raise train.NotFinite("the loss is nan")

    if wrong == "nan":
        monkeypatch.setattr(train, "evaluate", spoil)
    else:
        monkeypatch.setattr(train, "write_atomically", fail)
    assert __main__.main(["train", "small"]) == 2
    assert ("No space left" if wrong == "no room" else "loss is nan") in capsys.readouterr().err
    assert list((small / "cache" / "runs").iterdir())


def test_a_checkpoint_in_the_cache_belongs_to_its_images(small, monkeypatch, capsys):
    monkeypatch.setattr(train, "evaluate", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    assert __main__.main(["train", "small"]) == 130
    images = recipes.load("mnist", "train")
    monkeypatch.setattr(recipes, "load", lambda *_: Images(255 - images.images, images.labels, images.classes, "mnist"))
    assert __main__.main(["train", "small"]) == 2
    assert "belongs to another run: its digest of the images is" in capsys.readouterr().err
