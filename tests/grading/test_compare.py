"""The comparison: what counts as equal, and what is said about what is not."""

import re

import numpy as np
import pytest

from cnnlib.grading.compare import judge
from cnnlib.grading.question import Case, Cause, Question
from cnnlib.grading.sealed import decode, encode, forms, payload

WANT = np.random.default_rng(0).standard_normal((3, 5))
QUESTION = Question(id="99.1", kind="complete", call="f(x)", parts={"all": 2}, draw=list)


def said(got, want=WANT, **changes):
    """The message on a result; None if it is right."""
    question = Question(**{**vars(QUESTION), **changes})
    cases = [Case("all", {"x": WANT})]
    given = {"cases": [{"output": encode(got), "inputs": {"x": encode(WANT)}}]}
    points, message, _ = judge(question, cases, given, {"cases": [{"output": encode(want)}]})
    assert points == (2 if message == "Right." else 0)
    return None if message == "Right." else message


RIGHT = [
    (WANT, WANT),
    (WANT + 1e-12, WANT),
    (WANT.tolist(), WANT),
    (np.float64(2.5), 2.5),
    (3, 3.0),
    ([WANT, 2], (WANT, 2)),
    ({"a": WANT, "more": 1}, {"a": WANT}),
    ("text", "text"),
    (None, None),
    (True, True),
    ((2, 3), [2, 3]),
    (np.array([2, 3]), (2, 3)),
    (np.array([1.0, np.nan]), np.array([1.0, np.nan])),
]


@pytest.mark.parametrize(("got", "want"), RIGHT)
def test_equal_results_are_right(got, want):
    assert said(got, want) is None


WRONG = [
    (WANT.T, "height and width look swapped"),
    (WANT[:, :-1], "off by one"),
    (WANT[None], "3 axes where 2"),
    (WANT + 0.5, "off by the same 0.5"),
    (WANT * 2, "2 times the right one"),
    (-WANT, "sign"),
    (WANT[::-1, ::-1], "back to front"),
    (WANT[::-1], "upside down"),
    (WANT[:, ::-1], "mirrored"),
    (np.roll(WANT, 1, axis=1), "moved by one place along axis 1"),
    (np.trunc(WANT).astype(int), "fractions were cut off"),
    (np.where(WANT > 0, WANT, np.nan), "nan or inf"),
    (WANT * 0, "all zeros"),
    (np.where(np.arange(15).reshape(3, 5) == 7, 9, WANT), "first difference at [1, 2]: got 9, want"),
    (None, "does your function return"),
    (WANT.astype(object), "an object of type"),
    (lambda: 1, "an object of type function"),
    ("text", "got 'text'"),
    (..., "not answered yet"),
    (WANT.astype(str), "text, want numbers"),
]


@pytest.mark.parametrize(("got", "says"), WRONG)
def test_a_difference_is_named_with_its_likely_cause(got, says):
    assert says in said(got).lower()


def test_whole_numbers_for_fractions_are_wrong_even_if_equal():
    assert "whole numbers" in said(np.ones(3, int), np.ones(3))
    assert said(np.ones(3, int), np.ones(3), dtype="any") is None
    assert "float32" in said(np.ones(3, np.float32), np.ones(3), dtype="exact")


def test_predictions_never_show_what_is_wanted():
    for got, want in (
        (3, 41),
        (np.ones(2), np.full(2, 41.0)),
        ("a", "41"),
        ([1, 2], [41, 2]),
        ([1], [41, 41]),
        (np.ones(3), 41),
    ):
        assert "41" not in said(got, want, kind="predict")


def test_a_known_mistake_is_recognized_and_the_first_that_fits_speaks():
    causes = (
        Cause("broken", "never", lambda x: 1 / 0),
        Cause("doubled", "You doubled it.", lambda x: 2 * x),
        Cause("from want", "You added one.", lambda want, **_: want + 1),
        Cause("constant", "Seven it is not.", 7.0),
        Cause("same as right", "never", lambda x: x),
        Cause("shape only", "That shape is for dogs.", lambda x: np.full((4, 4), np.nan)),
    )
    assert "You doubled it." in said(2 * WANT, causes=causes)
    assert "You added one." in said(WANT + 1, causes=causes)
    assert "Seven it is not." in said(7, causes=causes)
    assert "for dogs" in said(np.ones((4, 4)), causes=causes)
    assert "never" not in said(WANT + 3, causes=causes)


def test_a_part_is_won_only_if_all_its_cases_are_right():
    question = Question(id="99.1", kind="complete", call="f(x)", parts={"a": 1, "b": 2, "c": 4}, draw=list)
    cases = [Case(part, {"x": WANT}) for part in "aabc"]
    want = payload({"f": lambda x: x}, [{"call": "f(x)", "inputs": {"x": encode(WANT)}}] * 4)
    outcomes = iter([True, False, True, True])
    got = payload(
        {"f": lambda x: x if next(outcomes) else x + 1}, [{"call": "f(x)", "inputs": {"x": encode(WANT)}}] * 4
    )
    points, message, progress = judge(question, cases, got, want)
    assert (points, progress) == (6, "part")
    assert message.startswith("a: first difference")
    assert "Parts right: 2 of 3." in message


def test_a_changed_input_is_noticed_unless_it_is_allowed():
    def f(x):
        x[0] = 0
        return WANT

    cases, forms = [Case("all", {"x": WANT})], [{"call": "f(x)", "inputs": {"x": encode(WANT)}}]
    want = {"cases": [{"output": encode(WANT)}]}
    assert "changed its input x" in judge(QUESTION, cases, payload({"f": f}, forms), want)[1]
    allowed = Question(**{**vars(QUESTION), "changes": ("x",)})
    assert judge(allowed, cases, payload({"f": f}, forms), want)[0] == 2


LOOPS = """
def loops(x):
    return np.array([v + 1 for v in x for _ in range(50)][::50])
"""


def raced(text):
    """What judge says of three races of an answer's text against the loops, after a call outside of them."""
    question = Question(id="99.1", kind="complete", call="f(x)", parts={"values": 1, "speed": 2}, draw=list)
    xs = [np.arange(4000.0) + n for n in range(4)]
    cases = [Case("speed" if n else "values", {"x": x}, against="loops(x)" if n else None) for n, x in enumerate(xs)]
    outcomes = []
    for answer in (text, "def f(x): return x + 1"):
        namespace = {"np": np}
        exec(answer + LOOPS, namespace)
        outcomes.append(payload(namespace, forms(question, cases)))
    return judge(question, cases, *outcomes)


def test_a_race_is_won_by_what_is_right_and_quick():
    assert raced("def f(x): return x + 1") == (3, "Right.", "part")
    points, message, _ = raced("def f(x): return loops(x)")
    assert points == 1
    assert re.search(r"the given loops take [\d.]+ ms, yours [\d.]+ ms, the best of 3 runs. Want 5 times", message)
    points, message, _ = raced("known = []\ndef f(x):\n    known.append(x + 1)\n    return known[0]")
    assert points == 1
    assert "first difference" in message
    assert "too slow" not in message


def test_an_answer_cannot_slow_down_what_it_is_timed_against():
    points, message, _ = raced("""
def f(x):
    global loops, range
    loops = range = lambda _: [0 for _ in np.arange(3_000_000)]
    return np.array([v + 1 for v in x for _ in "." * 50][::50])
""")
    assert points == 1
    assert "right, but too slow" in message


def test_given_functions_find_their_names_whatever_an_answer_rebinds():
    given = "def says(net):\n    return net + 1\n\n\ndef asked(f, x, *, net=3):\n    return f(x) == says(net)\n"
    namespace = {}
    exec(given + "def f(x):\n    global says\n    says = lambda net: x\n    return x\n", namespace)
    cases = [{"call": "asked(f, x)", "inputs": {"x": encode(5)}}] * 2
    assert [decode(case["output"]) for case in payload(namespace, cases, given)["cases"]] == [False, False]
    assert namespace["says"](0) == 5


def test_an_error_in_one_case_leaves_the_others_their_points():
    question = Question(id="99.1", kind="complete", call="f(x)", parts={"small": 1, "large": 1}, draw=list)
    cases = [Case("small", {"x": 1}), Case("large", {"x": 5})]
    forms = [{"call": "f(x)", "inputs": {"x": encode(n)}} for n in (1, 5)]
    got = payload({"f": lambda x: [10, 11][x]}, forms)
    points, message, _ = judge(question, cases, got, {"cases": [{"output": encode(11)}, {"output": encode(15)}]})
    assert points == 1
    assert "large: your code stopped with IndexError" in message


def test_a_question_with_many_right_answers_is_judged_by_its_property():
    def even(got, case, want):
        return None if got % 2 == 0 else "an even number is asked for."

    assert said(np.int64(4), judge=even) is None
    assert said(np.int64(3), judge=even) == "an even number is asked for."
    assert "not of the form asked for" in said({"no": "number"}, judge=even)


def test_payloads_keep_every_kind_of_value():
    values = [
        np.arange(6, dtype=np.int8).reshape(2, 3),
        1.5,
        True,
        "s",
        None,
        (1, "a"),
        {"k": np.zeros((0, 3))},
        1 + 2j,
        list(range(500)),
    ]
    for value in values:
        back = decode(encode(value))
        assert said(back, value) is None


def test_a_payload_cannot_blow_up():
    form = encode(np.zeros(1000))
    assert "too large" in decode(form | {"shape": [10**6, 10**6]}, limit=10**6).name
    for size in (999, 1001):
        with pytest.raises(ValueError, match=r"reshape|buffer"):
            decode(form | {"shape": [size]})


def test_all_arrays_of_a_payload_share_one_limit():
    form = encode([np.zeros(1000)] * 16)
    got = decode(form, limit=5 * 8000)
    assert [type(value).__name__ for value in got] == 5 * ["ndarray"] + 11 * ["Other"]


PARTS = Question(id="99.1", kind="complete", call="f(x)", parts={"a": 1, "b": 1, "c": 1}, draw=list)
TRIPLED = Cause("tripled", "You tripled it.", lambda x: 3 * x)


def judged(results, question=PARTS, wanted=WANT, given=frozenset(), calls=(None, None, None)):
    """(points, message, progress) of three cases, one in each part."""
    cases = [Case(part, {"x": WANT}, call=call) for part, call in zip("abc", calls, strict=True)]
    entries = [r if isinstance(r, dict) else {"output": encode(r), "inputs": {}} for r in results]
    return judge(question, cases, {"cases": entries}, {"cases": [{"output": encode(wanted)}] * 3}, given)


def test_each_part_that_lost_points_shows_its_first_difference_and_a_cause_once():
    question = Question(**{**vars(PARTS), "causes": (TRIPLED,)})
    other = np.where(WANT[1, 2] == WANT, 9, WANT)
    points, message, progress = judged([3 * WANT, other, 3 * WANT], question)
    assert (points, progress) == (0, "known")
    assert message.startswith("a: first difference at [0, 0]")
    assert "b: first difference at [1, 2]: got 9" in message
    assert "c: first difference at [0, 0]" in message
    assert message.count("You tripled it.") == 1
    assert "Parts right: 0 of 3." in message


def test_what_is_the_same_for_several_parts_is_said_once():
    stopped = {"error": "NameError", "message": "no y", "line": "y"}
    assert judged([stopped] * 3)[1] == "a, b, c: your code stopped with NameError in `y`: no y. Parts right: 0 of 3."
    assert judged([..., WANT, ...])[1] == "a, c: not answered yet. Parts right: 1 of 3."
    assert judged([...] * 3)[1:] == ("Not answered yet.", "nothing")


def test_progress_says_who_has_nothing_who_has_a_part_and_whose_mistake_is_known():
    assert judged([WANT + 1] * 3)[2] == "something"
    assert judged([WANT, WANT + 1, WANT])[2] == "part"
    assert judged([WANT, 3 * WANT, WANT], Question(**{**vars(PARTS), "causes": (TRIPLED,)}))[2] == "known"


def test_a_line_of_the_given_code_is_not_called_the_learners():
    line = "raise ValueError(told)"
    stopped = {"error": "ValueError", "message": "fc.weight is missing", "line": line}
    assert judged([stopped] * 3, given={line})[1].startswith("a, b, c: fc.weight is missing.")
    called = {"error": "TypeError", "message": "no", "line": "y = float(f(x))"}
    says = judged([called] * 3, given={called["line"]})[1]
    assert "the given code, working with yours, stopped with TypeError" in says


def test_one_of_several_predictions_of_a_part_is_named():
    question = Question(**{**vars(PARTS), "kind": "predict", "parts": {"a": 1}})
    cases = [Case("a", call="rows"), Case("a", call="columns")]
    got = {"cases": [{"output": encode(4), "inputs": {}}, {"output": encode(7), "inputs": {}}]}
    want = {"cases": [{"output": encode(4)}, {"output": encode(5)}]}
    assert judge(question, cases, got, want)[1] == "`columns`: 7 is not it."


def test_an_empty_slice_is_recognized():
    assert "`[p:-p]` is empty" in said(WANT[:0])
    assert "off by the same 0.5" in said({"k": WANT + 0.5}, {"k": WANT})


def test_a_cause_may_look_at_the_result_itself():
    nearly = Cause(
        "nearly", "Near, but not exact.", lambda got, want, **_: got if np.abs(got - want).max() < 1 else None
    )
    assert "Near" in said(WANT + np.linspace(0, 0.5, 15).reshape(3, 5), causes=(nearly,))
    assert "Near" not in said(WANT + np.linspace(0, 5, 15).reshape(3, 5), causes=(nearly,))
