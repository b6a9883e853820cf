"""Which module may import which: CONTRIBUTING.md holds the table, and this file holds the code to it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "cnnlib"


def arrows():
    """The rows of CONTRIBUTING's arrows table: {module: (ours, third party)}."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.split("<!-- arrows -->")[1].split("<!-- end of arrows -->")[0]
    rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in table.splitlines() if "|" in line]
    words = [[{w.strip("`") for w in cell.replace(",", " ").split()} - {"-"} for cell in row] for row in rows[2:]]
    return {name: (ours, others) for names, ours, others in words for name in names}


def modules():
    """Every module and package directly below cnnlib, with its files."""
    singles = {p.stem: [p] for p in PACKAGE.glob("*.py") if not p.stem.startswith("__init__")}
    packages = {p.name: sorted(p.rglob("*.py")) for p in PACKAGE.iterdir() if (p / "__init__.py").exists()}
    return singles | packages


def imports(path):
    """(ours, third party): the modules of cnnlib and the outside packages that a file imports anywhere."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports of cnnlib in full"
            names = [f"{node.module}.{a.name}" for a in node.names] if node.module == "cnnlib" else [node.module]
        else:
            continue
        for name in names:
            top, *rest = name.split(".")
            if top == "cnnlib":
                ours |= {rest[0]} if rest and rest[0] != "__version__" else set()
            elif top not in sys.stdlib_module_names:
                others.add(top)
    return ours, others


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_imports_only_what_its_row_allows(name):
    table = arrows()
    assert name in table, f"cnnlib.{name} has no row in CONTRIBUTING's arrows table"
    may_ours, may_others = table[name]
    for path in modules()[name]:
        ours, others = imports(path)
        assert "all" in may_ours or ours - {name} <= may_ours, f"{path.name} imports {ours - {name} - may_ours} of ours"
        assert others <= may_others, f"{path.name} imports {others - may_others}"


def test_the_table_names_no_module_that_is_gone():
    assert set(arrows()) <= set(modules())


@pytest.mark.parametrize("name", ["ops", "check", "viz", "data"])
def test_the_numpy_half_never_loads_torch(name):
    code = f"import cnnlib.{name}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
