"""The capstone's report card and leaderboard, on made numbers whose answer is known; then one recipe graded whole."""

import importlib.util
import json
import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

from cnnlib import capstone
from cnnlib.__main__ import main
from cnnlib.data import load
from cnnlib.grading import card, compare, grade, page, report, sources
from cnnlib.grading.grade import Result, Score
from cnnlib.grading.question import Case
from cnnlib.grading.runner import Limits
from cnnlib.grading.sealed import encode, forms, payload

LOW = [0.60, 0.61, 0.62, 0.63, 0.64]
HIGH = [0.65, 0.66, 0.67, 0.68, 0.69]
QUESTION = sources.questions("17")[-1]
TINY = """
CONFIG = Config(epochs=2, batch_size=100, lr=0.01)


def build():
    return nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))


def augment(x, draw):
    return x
"""


def made(runs, images=4_000, **more):
    """A card whose runs are right on the first images, as far as their accuracy reaches."""
    right = np.sum([np.arange(images) < share * images for share in runs], axis=0)
    output = {"labels": np.zeros((len(runs), images), int), "curve": [[0.3, 0.5]] * len(runs), "seconds": [9.0] * 5}
    output |= {"parameters": 1000, "macs": 10**6, "work": [10**10] * len(runs)} | more
    case = Case("", {"seeds": np.arange(len(runs))}, secret=np.zeros(images, int), source="cifar10")
    whole = card.report_card(output, case) | {"runs": list(runs), "accuracy": float(np.mean(runs))}
    return whole | {"right": "".join(map(str, right))}


def test_a_card_holds_the_accuracy_its_uncertainties_and_the_costs():
    secret = np.arange(1_000) % 10
    labels = np.stack([np.where(np.arange(1_000) < n, secret, 11) for n in (600, 620, 640)])
    output = {"labels": labels, "curve": [[0.2, 0.4], [0.4, 0.6], [0.3, 0.5]], "seconds": [8.0, 9.0, 10.0]}
    output |= {"parameters": 5_418, "macs": 1_622_336, "work": [7, 9, 8]}
    found = card.report_card(output, Case("", {"seeds": np.arange(3)}, secret=secret, source="cifar10"))
    assert found["runs"] == [0.6, 0.62, 0.64]
    assert found["accuracy"] == pytest.approx(0.62)
    assert found["over_images"] == pytest.approx(math.sqrt(0.62 * 0.38 / 1_000))
    assert found["over_seeds"] == pytest.approx(0.02)  # of 60, 62, 64
    assert found["curve"] == pytest.approx([0.3, 0.5])
    assert (found["parameters"], found["macs"], found["work"], found["seconds"]) == (5_418, 1_622_336, 9, 9)
    assert (found["right"][0], found["right"][610], found["right"][630], found["right"][999]) == ("3", "2", "1", "0")
    said = dict(card.described(found))
    assert said["Accuracy"].startswith("62.0 % of 1,000 test images")
    assert said["Uncertainty"].startswith("standard error over images 1.5; standard deviation over seeds 2.0")


def test_p_over_runs_is_the_share_of_all_ways_to_deal_out_the_names():
    assert card.p_of_runs(LOW, HIGH) == pytest.approx(2 / 252)
    assert card.p_of_runs(LOW, [0.635, *HIGH[1:]]) > 0.01  # one run lies among the others: at least four ways
    assert card.p_of_runs(LOW, LOW) == 1
    assert card.p_of_runs(LOW[:3], [share + 10 for share in HIGH[:3]]) == pytest.approx(2 / 20)
    assert card.p_of_runs(LOW, HIGH) == card.p_of_runs(HIGH, LOW)


def test_p_over_images_is_nearly_mcnemars_for_one_run_each():
    one, other = np.zeros(10_000), np.zeros(10_000)
    one[:90], other[90:150] = 1, 1  # 90 images only the one has right, 60 only the other
    z = (90 - 60) / math.sqrt(90 + 60)
    assert card.p_of_images(one, other) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.01)
    assert card.p_of_images(one, one) == 1
    assert card.p_of_images(one, other) == card.p_of_images(other, one)


def test_of_a_hundred_equal_recipes_about_one_differs_in_the_images_by_chance():
    rng = np.random.default_rng(0)
    draws = (rng.random((2, 1_000, 500)) < 0.6).astype(float)
    small = np.mean([card.p_of_images(a, b) < 0.01 for a, b in zip(*draws, strict=True)])
    assert 0.002 < small < 0.022


def test_both_tests_must_be_sure():
    clear = made(HIGH)
    assert card.p_value(clear, made(LOW)) == pytest.approx(2 / 252)
    few = [made(runs, images=40) for runs in (HIGH, LOW)]  # the same runs, but two images decide
    assert card.p_value(*few) > 0.01
    assert card.p_value(clear, made([0.60, 0.61, 0.62, 0.63, 0.66])) > 0.01  # the images are sure, the runs are not


def test_a_rank_opens_only_where_the_first_of_the_rank_above_is_significantly_better():
    steps = [made([share - 0.02 * k for share in HIGH]) for k in range(4)]  # neighbors overlap, the ends do not
    assert all(card.p_value(a, b) > 0.01 for a, b in pairwise(steps))
    board = card.leaderboard([(f"{k}.ipynb", steps[k]) for k in (2, 0, 3, 1)])
    assert [(rank, name) for rank, name, _ in board] == [(1, "0.ipynb"), (1, "1.ipynb"), (1, "2.ipynb"), (4, "3.ipynb")]


def results():
    """A class of three, one of them without points."""

    def scored(name, found, points):
        return Result(name, "17", [Score("17.3", points, 6, "says", card=found)])

    return [scored("a.ipynb", made(LOW), 4), scored("<b>.ipynb", made(HIGH), 6), scored("c.ipynb", made(HIGH), 0)]


def test_record_leaderboard_and_page_show_the_cards(tmp_path, capsys):
    report.write_record(results(), tmp_path / "class.json", 7)
    whole = json.loads((tmp_path / "class.json").read_text(encoding="utf-8"))
    assert whole["schema"] == 1
    told = whole["notebooks"][0]["questions"][0]["card"]
    assert told == json.loads(json.dumps(made(LOW)))
    teachers = (sources.ROOT / "chapters" / "teachers.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in teachers for key in told)
    command = ["grades", "leaderboard", str(tmp_path / "class.json"), "--csv", str(tmp_path / "board.csv")]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert said.index("<b>.ipynb") < said.index("a.ipynb")
    assert "c.ipynb" not in said
    rows = (tmp_path / "board.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [["1", "<b>.ipynb"], ["2", "a.ipynb"]]
    page.write(results(), tmp_path / "class.html")
    text = (tmp_path / "class.html").read_text(encoding="utf-8")
    assert "Leaderboard" in text
    assert "<td>1<td>&lt;b&gt;.ipynb<td>67.0 %" in text
    assert text.count("Learning curve: 30, 50 %") == 2
    assert "p &lt; 0.01 in two tests" in text


@pytest.mark.parametrize("wrong", ["{}", "[1]", '{"seed": 1, "notebooks": []}', "no"])
def test_what_is_no_record_with_cards_is_refused(wrong, tmp_path, capsys):
    (tmp_path / "a.json").write_text(wrong)
    assert main(["grades", "leaderboard", str(tmp_path / "a.json")]) == 2
    assert "no re" in capsys.readouterr().err


def test_records_of_two_seeds_are_not_ranked_together(tmp_path, capsys):
    for seed in (1, 2):
        report.write_record(results(), tmp_path / f"{seed}.json", seed)
    assert main(["grades", "leaderboard", *(str(tmp_path / f"{seed}.json") for seed in (1, 2))]) == 2
    assert "have different seeds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"parameters": 200_001}, "over budget: 200,001 parameters"),
        ({"macs": 5_000_001}, "over budget: 5,000,001 MACs for one image"),
        ({"work": [1, 61 * 10**9]}, "over budget: 61,000,000,000 MACs in the forward passes of a run"),
        ({"macs": float("nan")}, "over budget"),
        ({"labels": np.zeros((2, 49), int)}, "want a class index for each run and image"),
        ({"labels": np.zeros((1, 50), int)}, "want a class index for each run and image"),
        ({"labels": np.zeros((2, 50))}, "want a class index for each run and image"),
        ({"curve": None}, "not what `retrain` gives"),
    ],
)
def test_a_forged_payload_is_judged_by_its_numbers(change, says):
    case = Case("", {"seeds": np.arange(2)}, secret=np.zeros(50, int), source="cifar10")
    output = {"labels": np.zeros((2, 50), int), "curve": [[0.5]] * 2, "seconds": [1, 1], "parameters": 1}
    output |= {"macs": 1, "work": [1, 1]}
    good = compare.judge(QUESTION, [case], {"cases": [{"output": encode(output), "inputs": {}}]}, None)
    assert good[0] == 6
    output = {key: value for key, value in {**output, **change}.items() if value is not None}
    points, message, _ = compare.judge(QUESTION, [case], {"cases": [{"output": encode(output), "inputs": {}}]}, None)
    assert points == 0
    assert says in message


def test_a_recipe_is_trained_in_the_graded_kernel_from_five_seeds(tmp_path, monkeypatch):
    for name, value in (("CNNLIB_OFFLINE", "1"), ("XDG_CACHE_HOME", str(tmp_path)), ("HOME", str(tmp_path))):
        monkeypatch.setenv(name, value)
    for name in ("CNNLIB_DATA", "CNNLIB_DATA_STRICT"):
        monkeypatch.delenv(name, raising=False)
    source = nbformat.read(sources.sources()["17"], 4)
    for cell in source.cells:
        cell.source = TINY if cell.id == "answer-17-3" else cell.source
    nbformat.write(source, tmp_path / "17.ipynb")
    result = grade.grade(tmp_path / "17.ipynb", seed=3, only="17.3")
    (score,) = result.questions
    assert "trained from 5 seeds" in score.message.lower()
    assert "of 500 images it has not seen are right (stand-in" in score.message
    assert len(set(score.card["runs"])) > 1
    assert len(score.card["right"]) == 500
    assert score.card["work"] == 2 * 1_818 * score.card["macs"]
    assert score.score == sum(score.card["accuracy"] >= least for least in QUESTION.standin_thresholds.values())


def test_the_graded_kernel_gets_the_first_training_images_and_no_more(monkeypatch):
    whole = load("cifar10", "train")
    with grade.data_folder([replace(QUESTION, images=7)]) as folder:
        monkeypatch.setenv("CNNLIB_DATA", folder)
        found = load("cifar10", "train")
        with pytest.raises(RuntimeError, match="has no test split"):
            load("cifar10", "test")
    assert found.source.startswith("stand-in: the first 7 images of ")
    assert (found.images == whole.images[:7]).all()
    assert (found.labels == whole.labels[:7]).all()


def test_what_comes_back_of_four_thousand_images_is_small():
    images = np.random.default_rng(0).integers(0, 256, (4_000, 32, 32, 3)).astype(np.uint8)
    told = {"labels": np.random.default_rng(1).integers(0, 10, (5, 4_000)), "curve": np.zeros((5, 30))}
    namespace = {"capstone": SimpleNamespace(retrain=lambda *_: told), "build": 0, "CONFIG": 0, "augment": 0}
    case = Case("", {"images": images, "seeds": np.arange(5)})
    assert len(json.dumps(payload(namespace, forms(QUESTION, [case])))) < Limits.payload / 10


def test_exercise_and_teachers_page_quote_the_three_recorded_recipes():
    path = sources.ROOT / "benchmarks" / "capstone.json"
    cards = card.read_cards([path])
    assert [rank for rank, _, _ in card.leaderboard(cards)] == [1, 2, 3]
    assert [name for _, name, _ in card.leaderboard(cards)] == ["reference.ipynb", "dense.ipynb", "plain.ipynb"]
    task = next(cell.source for cell in sources.read_source("17") if cell.id == "task-17-3")
    teachers = (sources.ROOT / "chapters" / "teachers.md").read_text(encoding="utf-8")
    for _, found in cards:
        assert len(found["runs"]) == 5
        costs = f"| {found['parameters']:,.0f} | {found['macs']:,.0f} | {found['work'] / 1e9:.1f} billion "
        numbers = f"{costs}| {100 * found['accuracy']:.1f} % | {100 * found['over_seeds']:.1f} |"
        assert numbers in task
        assert numbers in teachers
    assert dict(cards)["reference.ipynb"]["accuracy"] > max(QUESTION.thresholds.values()) + 0.01


def test_the_recorded_recipes_are_those_of_the_source_and_the_benchmark():
    spec = importlib.util.spec_from_file_location("capstone_benchmark", sources.ROOT / "benchmarks" / "capstone.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    cells = {cell.id: cell.source for cell in sources.read_source("17")}
    cards = dict(card.read_cards([sources.ROOT / "benchmarks" / "capstone.json"]))
    for name, recipe in benchmark.RECIPES.items():
        names = {}
        exec(cells["setup"] + "\n" + (recipe or cells["answer-17-3"]), names)
        found = capstone.costs(names["build"], names["CONFIG"])
        was = cards[f"{name}.ipynb"]
        assert (found["parameters"], found["macs"]) == (was["parameters"], was["macs"])
        assert found["work"] <= was["work"] <= capstone.SLACK * found["work"]
