"""What reads a submission does so in a process of its own: neither its time nor its memory is without end."""

import os
import sys
import time

import psutil
import pytest

from cnnlib.grading import grade as grading
from cnnlib.grading import sources
from cnnlib.grading.apart import TooMuch, apart
from cnnlib.grading.notebook import merge
from cnnlib.grading.rules import check_rules
from cnnlib.grading.sealed import encode
from cnnlib.grading.sources import CannotGrade, Cell

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux is a submission read apart")


def test_what_is_returned_and_raised_comes_back():
    assert apart(lambda x: [x, os.getpid()], 5)[0] == 5
    assert apart(os.getpid) != os.getpid()

    def refuse():
        raise CannotGrade("no")

    with pytest.raises(CannotGrade, match="no"):
        apart(refuse)


def test_time_memory_and_a_sudden_end_are_told_and_leave_no_process():
    before = psutil.Process().children()
    begin = time.monotonic()
    with pytest.raises(TooMuch, match=r"longer than 0\.5 seconds"):
        apart(time.sleep, 60, seconds=0.5)
    assert time.monotonic() - begin < 30
    with pytest.raises(TooMuch, match=r"more than 0\.1 GB of memory"):
        apart(lambda: len(bytearray(6_000_000_000)), memory=100_000_000)  # more than was left free
    with pytest.raises(TooMuch, match="ended the process"):
        apart(os.abort)
    assert psutil.Process().children() == before


NAMED = {
    "a line of blanks": ["x = 1" + 19_000 * " " + "+ 1"],
    "a longer line of blanks": [5_000_000 * " " + "x"],
    "ten thousand own cells": 10_000 * ["x = [1, 2, 3]"],
    "350 terms": ["x = " + " + ".join(350 * ["1"])],
    "3,000 terms": ["x = " + " + ".join(3_000 * ["1"])],
    "brackets in brackets": ["x = " + 9_000 * "[" + 9_000 * "]"],
}


@pytest.mark.parametrize("name", NAMED)
def test_cells_that_took_minutes_or_gigabytes_are_read_or_left_out_and_cost_nothing(name):
    exercise = grading.ready_here("02", 1)
    own = [Cell("", "code", text) for text in NAMED[name]]
    merged = merge(exercise.source, [*exercise.source, *own])
    before = psutil.Process().memory_info().rss
    readable, reasons, _ = apart(grading.read_cells, exercise, merged, check_rules)
    assert psutil.Process().memory_info().rss - before < 100_000_000
    assert reasons == {}
    assert {f"answer-{question.key}" for question in exercise.asked} <= dict(readable).keys()


def test_own_cells_that_cannot_be_read_in_time_are_left_out_with_a_note(monkeypatch):
    exercise = grading.ready_here("02", 1)
    merged = merge(exercise.source, [*exercise.source, Cell("", "code", "x = 1")])

    def limited(function, *args):
        if any(cell == "own-1" for cell, _ in args[1]):
            raise TooMuch("it took longer than 60 seconds")
        return function(*args)

    monkeypatch.setattr(grading, "apart", lambda f, *args: limited(f, *args) if f is grading.read_cells else f(*args))
    scores, notes = grading.grade_merged(exercise, merged, grading.run_here)
    assert sum(score.score for score in scores) == 10
    assert notes == ["Your own cells were left out: when they were read, it took longer than 60 seconds."]


def test_a_payload_that_blows_up_costs_its_question_alone(monkeypatch):
    exercise = grading.ready_here("02", 1)
    large = {"output": {"list": 16 * [encode([0] * 7_900_000)]}, "inputs": {}}

    def runner(exercise, merged, checks):
        return exercise.want | {"02.2": {"cases": 4 * [large]}}, {}, []

    before = psutil.Process().memory_info().rss
    scores, _ = grading.grade_merged(exercise, merge(exercise.source, exercise.source), runner)
    assert [score.score for score in scores] == [2, 0, 3, 1, 2]
    assert psutil.Process().memory_info().rss - before < 300_000_000


def test_a_comparison_that_never_ends_costs_its_question_alone(monkeypatch):
    exercise, scored = grading.ready_here("02", 1), grading.score

    def slow(exercise, question, got, reasons):
        if question.id == "02.3" and not reasons:
            time.sleep(60)
        return scored(exercise, question, got, reasons)

    monkeypatch.setattr(grading, "score", slow)
    monkeypatch.setattr(grading, "apart", lambda f, *args: apart(f, *args, seconds=3 if f is slow else 60))
    scores, _ = grading.grade_merged(exercise, merge(exercise.source, exercise.source), grading.run_here)
    assert [score.score for score in scores] == [2, 2, 0, 1, 2]
    assert "could not be compared: it took longer than 3 seconds" in scores[2].message


def test_a_file_that_is_too_much_to_read_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "apart", lambda *_: apart(time.sleep, 60, seconds=0.2))
    (tmp_path / "02.ipynb").write_text("{}")
    assert "could not be read: it took longer" in grading.grade(tmp_path / "02.ipynb").error
    assert sources.sources()
