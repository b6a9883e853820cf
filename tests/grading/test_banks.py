"""Every check is tried on typical wrong answers, in process, on fresh draws. The banks are the files bank_NN.py here.

Print them with what the checks say: python -m pytest tests/grading/test_banks.py -s -q -k table
"""

import functools
import importlib.util
from pathlib import Path

import pytest

from cnnlib.grading.grade import try_answers
from cnnlib.grading.sources import questions

SEEDS = (1, 2, 3)


def banks():
    """{exercise: module} of the banks in this folder."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("bank_[0-9][0-9].py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        found[path.stem[-2:]] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return found


BANKS = banks()


def entries(kind):
    """One pytest parameter for each entry of the banks' WRONG or HALF."""
    return [
        pytest.param(exercise, *entry, id=f"{entry[0]} {entry[1]}")
        for exercise, bank in BANKS.items()
        for entry in getattr(bank, kind)
    ]


def tried(exercise, question, cells, seed):
    """The score of one question when these cells replace the source's."""
    return score_of(exercise, question, tuple(cells.items()), seed)


@functools.cache
def score_of(exercise, question, cells, seed):
    """As tried, for cells as pairs: what the table prints has mostly been tried before."""
    return try_answers(exercise, dict(cells), seed, only=question)[0]


@pytest.mark.parametrize(("exercise", "question", "name", "cells", "says"), entries("WRONG"))
def test_a_wrong_answer_loses_points_and_is_told_why(exercise, question, name, cells, says):
    for seed in SEEDS:
        score = tried(exercise, question, cells, seed)
        assert score.score < score.max_score
        assert says.lower() in score.message.lower()


@pytest.mark.parametrize(("exercise", "question", "name", "cells", "points"), entries("HALF"))
def test_a_half_right_answer_gets_the_part_that_is_right(exercise, question, name, cells, points):
    for seed in SEEDS:
        score = tried(exercise, question, cells, seed)
        assert 0 < score.score < score.max_score
        assert score.score == points


@pytest.mark.parametrize("exercise", BANKS)
def test_a_bank_holds_ten_wrong_answers_and_every_question(exercise):
    bank = BANKS[exercise]
    assert len(bank.WRONG) >= 10
    assert {entry[0] for entry in bank.WRONG} == {question.id for question in questions(exercise)}


@pytest.mark.parametrize("exercise", BANKS)
def test_print_the_table_of_wrong_answers(exercise):
    print("\n| question | wrong answer | points | what the check says |\n|---|---|---|---|")
    for question, name, cells, _ in BANKS[exercise].WRONG:
        score = tried(exercise, question, cells, 1)
        print(f"| {question} | {name} | {score.score:g} of {score.max_score:g} | {score.message} |")
