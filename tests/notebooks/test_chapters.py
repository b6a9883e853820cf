"""The chapters keep the notebook guide, and their stored outputs belong to their code."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest

from cnnlib.notebooks import code_cells, complaints, digest, plain_python, raises

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "chapters").glob("[0-9][0-9]_*.ipynb"))
APPENDICES = sorted((ROOT / "chapters").glob("[a-z]*.ipynb"))
EXERCISES = sorted((ROOT / "exercises").rglob("[0-9]*.ipynb"))
TAGS = {
    "hide-input",
    "remove-cell",
    "raises-exception",
    "nbval-check-output",
    "nbval-ignore-output",
    "nbval-skip",
    "compare",
    "solution",
}
WIDTH = 72  # characters of a line that a page shows at once; ruff.toml in chapters/ and exercises/ says so too
TAUGHT = [
    "ops",
    "check",
    "data",
    "augment",
    "models",
    "train",
    "checks",
    "checkpoints",
    "distributed",
    "machine",
    "ledger",
    "explain",
    "clues",
    "scenes",
    "pictures",
]
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
executed = pytest.mark.parametrize("path", [*CHAPTERS, *APPENDICES], ids=lambda p: p.stem)
exercises = pytest.mark.parametrize("path", EXERCISES, ids=lambda p: f"{p.parent.name}-{p.stem}")
notebooks = pytest.mark.parametrize(
    "path", [*CHAPTERS, *APPENDICES, *EXERCISES], ids=lambda p: f"{p.parent.name}-{p.stem}"
)


def read(path):
    return nbformat.read(path, as_version=4)


def number(path):
    return int(path.name[:2])


def tags(cell):
    return set(cell.metadata.get("tags", []))


def trees(nb):
    """(cell, syntax tree) of each code cell that is Python."""
    return [(cell, ast.parse(plain_python(cell))) for cell in code_cells(nb) if not raises(cell)]


def prose(nb):
    return "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")


def taught():
    """{(module, name): (built in, extended in ...)} from the docstrings of the taught modules; "Provided." gives ()."""
    found = {}
    for module in TAUGHT:
        path = ROOT / "cnnlib" / f"{module}.py"
        if not path.exists():
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                last = (ast.get_docstring(node) or "").rstrip().split("\n\n")[-1].split("\n")
                ending = " ".join(line.strip() for line in last[-2:])
                match = re.search(
                    r"(?:(Provided)|Built in chapter (\d\d))\.((?: Extended in chapter \d\d\.)*)$", ending
                )
                assert match, (
                    f"cnnlib.{module}.{node.name}: its docstring must end with 'Built in chapter NN.' or 'Provided.'"
                )
                chapters = [match[2], *re.findall(r"\d\d", match[3])] if match[2] else []
                found[module, node.name] = tuple(map(int, chapters))
    return found


def imported_names(tree):
    """(module, name) of everything a cell takes from cnnlib, by import or as an attribute of an imported module."""
    found, aliases = set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "cnnlib":
            if node.module == "cnnlib":
                aliases |= {alias.asname or alias.name: alias.name for alias in node.names}
            else:
                found |= {(node.module.split(".")[1], alias.name) for alias in node.names}
    return found, aliases


def used_names(nb):
    """[(cell, module, name)] of cnnlib's names that a notebook uses."""
    used, aliases = [], {}
    for cell, tree in trees(nb):
        names, new = imported_names(tree)
        aliases |= new
        names |= {
            (aliases[node.value.id], node.attr)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases
        }
        used += [(cell, module, name) for module, name in names]
    return used


@executed
def test_stored_outputs_belong_to_the_code(path):
    nb = read(path)
    stored = nb.metadata.get("cnnlib", {}).get("digest")
    assert stored == digest(nb), (
        f"{path.name} or a module it imports has changed: run `make execute NB={path.parent.name}/{path.name}`"
    )


@executed
def test_cells_were_run_once_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in code_cells(read(path))]
    assert counts == list(range(1, len(counts) + 1))


@executed
def test_no_stored_output_warns_or_names_a_machine_or_a_stand_in(path):
    assert complaints(read(path)) == []


@executed
def test_a_checked_cell_has_an_output_to_check(path):
    empty = [cell.id for cell in code_cells(read(path)) if "nbval-check-output" in tags(cell) and not cell.outputs]
    assert empty == []


@executed
def test_errors_are_stored_only_where_they_are_meant(path):
    for cell in code_cells(read(path)):
        errors = [output for output in cell.outputs if output.output_type == "error"]
        assert bool(errors) == raises(cell), cell.id


@executed
def test_tags_ids_and_size_are_in_order(path):
    nb = read(path)
    assert {tag for cell in nb.cells for tag in tags(cell)} <= TAGS
    assert all(
        re.fullmatch(r"[a-z][a-z0-9-]*", cell.id) and not re.fullmatch(r"[0-9a-f]{8}", cell.id) for cell in nb.cells
    )
    assert "widgets" not in nb.metadata
    assert path.stat().st_size < 600_000


@executed
def test_every_figure_has_alt_text_a_caption_and_a_name(path):
    for cell in code_cells(read(path)):
        if any({"image/png", "image/svg+xml"} & set(output.get("data", {})) for output in cell.outputs):
            told = cell.metadata.get("mystnb", {})
            assert len(told.get("image", {}).get("alt", "")) > 20, f"{cell.id} needs an alt text"
            assert len(told.get("figure", {}).get("caption", "")) > 20, f"{cell.id} needs a caption"
            assert told["figure"].get("name", "").startswith("fig-"), f"{cell.id} needs a name"


@chapters
def test_code_cells_are_short(path):
    lengths = sorted(
        len([line for line in cell.source.splitlines() if line.strip()]) for cell in code_cells(read(path))
    )
    assert lengths[-1] <= 30
    assert lengths[int(0.9 * (len(lengths) - 1))] <= 20
    assert lengths[len(lengths) // 2] <= 6


@executed
def test_imports_stand_in_the_first_code_cell_or_in_a_compare_cell(path):
    first = code_cells(read(path))[0]
    for cell, tree in trees(read(path)):
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not imports or cell.id == first.id or "compare" in tags(cell), (
            f"{cell.id} imports in the middle of the chapter"
        )
        assert not any(alias.name == "*" for node in imports for alias in node.names)


HEADER = r"^Needs: .*Reading (\d+) minutes, with the code (\d+); running (\d+) seconds\.$"


@executed
def test_a_page_opens_as_the_guide_asks_and_cites_its_sources(path):
    text = prose(read(path))
    assert len(re.findall(r"^# ", re.sub(r"```.*?```", "", text, flags=re.S), flags=re.M)) == 1
    assert len(re.findall(HEADER, text, flags=re.M)) == 1
    assert "](bibliography.md#" in text


@chapters
def test_a_chapter_closes_as_the_guide_asks(path):
    for heading in ("What we built", "Take away", "Quiz", "Further reading"):
        assert f"## {heading}" in prose(read(path)), f"no section '{heading}'"


@chapters
def test_a_chapter_calls_its_own_quiz_once_below_the_heading(path):
    cells = read(path).cells
    calls = [k for k, cell in enumerate(cells) if cell.cell_type == "code" and "quiz(" in cell.source]
    assert [cells[k].source for k in calls] == [f'quiz("{path.name[:2]}")']
    assert cells[calls[0] - 1].source.endswith("## Quiz")
    assert ("quiz", "quiz") in imported_names(ast.parse(plain_python(code_cells(read(path))[0])))[0]


def minutes(nb):
    """(reading, with the code): 200 words a minute, one for each box that asks, 15 s a figure; 10 s a line of code."""
    text = re.sub(r"\]\([^)]*\)|\$\$.*?\$\$", " ", prose(nb), flags=re.S)  # addresses and formulas are no words
    words = len(re.findall(r"[\w'-]+", text))
    boxes = len(re.findall(r"^> \*\*(?:Predict|Spot the mistake)\.", text, flags=re.M))
    figures = sum("figure" in cell.metadata.get("mystnb", {}) for cell in nb.cells)
    lines = sum(bool(line.strip()) for cell in code_cells(nb) for line in cell.source.splitlines())
    reading = words / 200 + boxes + figures / 4
    return reading, reading + lines / 6


@executed
def test_the_announced_minutes_are_those_of_the_rule(path):
    """To the next five, with a little room, so that a mended sentence need not change them."""
    nb = read(path)
    reading, coding, _ = map(int, re.search(HEADER, prose(nb), flags=re.M).groups())
    want = minutes(nb)
    rounded = [5 * round(number / 5) for number in want]
    assert reading % 5 == coding % 5 == 0
    assert abs(reading - want[0]) <= 4, f"write: Reading {rounded[0]} minutes, with the code {rounded[1]}"
    assert abs(coding - want[1]) <= 4, f"write: Reading {rounded[0]} minutes, with the code {rounded[1]}"


@executed
def test_the_announced_running_time_is_the_measured_one(path):
    nb = read(path)
    announced = int(re.search(HEADER, prose(nb), flags=re.M)[3])
    measured = nb.metadata["cnnlib"]["seconds"]
    assert measured / 2 - 5 <= announced <= 2 * measured + 5


@chapters
def test_from_chapter_02_on_an_exercise_follows(path):
    if number(path) >= 2:
        assert (ROOT / "exercises" / path.name).exists()
        assert f"../exercises/{path.stem}" in prose(read(path))


@chapters
def test_a_chapter_builds_the_names_that_are_built_in_it(path):
    defined = {
        node.name
        for _, tree in trees(read(path))
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    missing = [name for (_, name), where in taught().items() if where[:1] == (number(path),) and name not in defined]
    assert missing == []


@chapters
def test_a_chapter_imports_only_what_was_built_before(path):
    known = taught()
    for cell, module, name in used_names(read(path)):
        built = known.get((module, name), ())[:1]
        if built and "compare" in tags(cell):
            assert built[0] <= number(path), f"{cell.id}: {module}.{name} is built in chapter {built[0]:02d}"
        elif built:
            assert built[0] < number(path), f"{cell.id}: {module}.{name} is built in chapter {built[0]:02d}"


@exercises
def test_an_exercise_is_stored_without_outputs(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@notebooks
def test_no_line_of_code_is_cut_off_in_the_page(path):
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    wide = [(cell.id, line) for cell in cells for line in cell.source.splitlines() if len(line) > WIDTH]
    assert wide == []


@notebooks
def test_a_notebook_says_all_that_jupyterlab_would_write_into_it(path):
    """On opening, JupyterLab writes what the kernel says of itself: only the version of Python can still differ."""
    text = path.read_text(encoding="utf-8")
    stored = json.loads(text)
    assert (stored["nbformat"], stored["nbformat_minor"]) == (4, 5)
    assert stored["metadata"]["kernelspec"] == KERNEL
    version = stored["metadata"]["language_info"]["version"]
    assert re.fullmatch(r"3\.\d+\.\d+", version)
    assert stored["metadata"]["language_info"] == LANGUAGE | {"version": version}
    assert text == json.dumps(stored, indent=1, ensure_ascii=False) + "\n"
