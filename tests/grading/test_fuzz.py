"""A thousand random mutations of submissions: bytes, structure, cells. Each is read, or refused in a sentence."""

import collections
import json
import random

import pytest

from cnnlib.grading import command, report
from cnnlib.grading import grade as grading
from cnnlib.grading.notebook import merge, read_submission, recognize, remarks
from cnnlib.grading.rules import check_rules
from cnnlib.grading.sources import SOURCES, CannotGrade

THINGS = [None, True, -1, 1e308, "", "x" * 50, [], {}, [[]], {"": 0}, "\ud800", "answer-02-2", "\x1b[31m", "import os"]
WORDS = [
    "def",
    "(",
    ")",
    "\n",
    "    ",
    "%%time\n",
    "!ls",
    "lambda",
    "import os",
    "\\",
    '"""',
    "\x00",
    "\u2028",
    "é",
    "{",
    "#",
]


def nodes(value, found=None):
    """Every list and dict in a piece of JSON."""
    found = [] if found is None else found
    if isinstance(value, dict | list):
        found.append(value)
        for entry in value.values() if isinstance(value, dict) else value:
            nodes(entry, found)
    return found


def change_bytes(data, rng):
    """Some bytes changed, removed, doubled or cut off."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at, many = rng.randrange(len(data) + 1), rng.randint(0, 40)
        data[at : at + rng.choice((0, many))] = rng.choice((rng.randbytes(many), data[at : at + many] * 2, b""))
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.1 else data)


def change_structure(data, rng):
    """Some fields replaced, removed or doubled."""
    nb = json.loads(data)
    for _ in range(rng.randint(1, 5)):
        place = rng.choice([node for node in nodes(nb) if node] or [nb])
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if rng.random() < 0.3:
            del place[key]
        elif isinstance(place, list) and rng.random() < 0.5:
            place.insert(key, place[key])
        else:
            place[key] = rng.choice(THINGS)
        if not nb:
            break
    return json.dumps(nb).encode()


def change_cells(data, rng):
    """Words put into cells, cells cut, joined, swapped, doubled."""
    nb = json.loads(data)
    for _ in range(rng.randint(1, 6)):
        cell, other = rng.choice(nb["cells"]), rng.choice(nb["cells"])
        text = "".join(cell["source"])
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            cell["source"] = text[:at] + rng.choice(WORDS) * rng.choice((1, 1, 1, 500)) + text[at:]
        elif kind == 1:
            cell["source"] = text[:at]
        elif kind == 2:
            cell["source"] = text + "\n" + "".join(other["source"])
        elif kind == 3:
            cell["source"], other["source"] = other["source"], cell["source"]
        else:
            nb["cells"].insert(rng.randrange(len(nb["cells"])), json.loads(json.dumps(cell)))
    return json.dumps(nb).encode()


MUTATIONS = (change_bytes, change_structure, change_cells)


@pytest.fixture(scope="module")
def valid(tmp_path_factory, submit):
    """The bytes of submissions: right, untouched, with own cells."""
    folder = tmp_path_factory.mktemp("valid")
    own = [("setup", "%matplotlib inline\nimport os"), ("answer-02-3", "print(correlate2d)")]
    kinds = ({}, {"untouched": True}, {"own": own})
    return [submit(folder / f"{k}.ipynb", **kind).read_bytes() for k, kind in enumerate(kinds)]


def sources():
    """The bytes of every source, by name."""
    return {path.name: path.read_bytes() for path in SOURCES.glob("*.ipynb")}


def test_a_thousand_mutations_are_read_or_refused_in_a_sentence(tmp_path, valid):
    rng, ends, before, path = random.Random(1), collections.Counter(), sources(), tmp_path / "02.ipynb"
    exercise = grading.ready_here("02", 1)
    for number in range(1_000):
        mutate = MUTATIONS[number % 3]
        path.write_bytes(mutate(rng.choice(valid), rng))
        written = path.read_bytes()
        try:
            cells = read_submission(path)
            if recognize(cells, path.name) == "02":
                merged = merge(exercise.source, cells)
                remarks(exercise.source, cells)
                readable, reasons, dropped = grading.read_cells(exercise, merged, check_rules)
                assert {cell for cell, _ in readable} <= {cell for cell, _ in merged}
                told = [*reasons.values(), *dropped.values()]
                ends["read"] += 1
            else:
                told, ends["another"] = [], ends["another"] + 1
        except CannotGrade as error:
            told, ends["refused"] = [str(error)], ends["refused"] + 1
        assert all("Traceback" not in text and len(text) < 1_000 for text in map(report.shown, told))
        assert path.read_bytes() == written
    assert sources() == before
    assert min(ends["read"], ends["refused"]) > 100


def test_some_mutations_go_the_whole_way_into_a_report(tmp_path, valid, monkeypatch, capsys):
    exercise = grading.ready_here("02", 1)
    monkeypatch.setattr(grading, "run_after_reference", lambda exercise, merged, checks: (exercise.want, {}, []))
    rng, files = random.Random(2), {}
    for number in range(30):
        path = tmp_path / f"{number:02}.ipynb"
        path.write_bytes(MUTATIONS[number % 3](rng.choice(valid), rng))
        files[path] = path.read_bytes()
    prepare = grading.prepare
    monkeypatch.setattr(grading, "prepare", lambda name, seed: exercise if name == "02" else prepare(name, seed))
    outputs = {"csv": tmp_path / "a.csv", "html": tmp_path / "a.html", "record": tmp_path / "a.json"}
    code = command.grade_all([tmp_path], 1, jobs=1, **outputs)
    assert code in (0, 1, 2)
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said
    assert "the grader itself failed" not in said
    assert len(json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["notebooks"]) == 30
    assert {path: path.read_bytes() for path in files} == files
