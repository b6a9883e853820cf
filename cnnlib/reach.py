"""Which definitions of cnnlib a piece of code reaches: what must not change if its results are to stay."""

import ast
import io
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).parent
WHOLE = "*"  # in place of a name: all that a module defines
IMPORTS = (ast.Import, ast.ImportFrom)


def file_of(module):
    """The file of a module of cnnlib, for a package its __init__.py; None if there is none.

    module: a dotted name
    Provided.
    """
    top, *parts = module.split(".")
    place = PACKAGE.joinpath(*parts)
    files = [place / "__init__.py", place.with_suffix(".py")]
    return next((path for path in files if top == "cnnlib" and path.exists()), None)


def imports(node):
    """What an import takes from cnnlib: tuples (the name it binds, module, what is taken of it); [] if nothing.

    A name taken from a module is that name, and a module is WHOLE. `import cnnlib.ops` binds no name that would tell
    what is used of it: the name is None.
    Provided.
    """
    if isinstance(node, ast.Import):
        return [(alias.asname, alias.name, WHOLE) for alias in node.names if file_of(alias.name)]
    if not isinstance(node, ast.ImportFrom) or node.level or not file_of(node.module):
        return []
    found = []
    for alias in node.names:
        inner = f"{node.module}.{alias.name}"
        taken = (inner, WHOLE) if file_of(inner) else (node.module, alias.name)
        found.append((alias.asname or alias.name, *taken))
    return found


def uses(tree, outer=()):
    """The pairs (module, name) that a syntax tree uses of cnnlib.

    outer: what imports elsewhere have bound, as tuples of `imports`
    `models.ResNet` uses one name of the module `models`, and `models` by itself all of it.
    Provided.
    """
    bound = {*outer, *(taken for node in ast.walk(tree) for taken in imports(node))}
    by_attribute = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
    pairs = [(n.value.id, n.attr) for n in by_attribute]
    alone = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n not in {a.value for a in by_attribute}}
    found = set()
    for name, module, what in bound:
        if name is None or name in alone:
            found.add((module, what))
        found |= {(module, attribute if what == WHOLE else what) for owner, attribute in pairs if owner == name}
    return found


def names_bound(statement):
    """The names that a statement at the top of a module binds or changes; none for one that always runs. Provided."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return set()


def statements(tree, wanted):
    """The statements of a module, its imports left out, that define what is wanted, and what these need of the module.

    tree: of the module    wanted: names; with WHOLE among them, all statements are returned
    What binds no name always runs, and so it always counts.
    Provided.
    """
    body = [statement for statement in tree.body if not isinstance(statement, IMPORTS)]
    if WHOLE in wanted:
        return body
    kept, names = [], set(wanted)
    while True:
        now = [s for s in body if not names_bound(s) or names_bound(s) & names]
        if len(now) == len(kept):
            return kept
        kept = now
        names |= {node.id for statement in kept for node in ast.walk(statement) if isinstance(node, ast.Name)}


def reached(sources):
    """What pieces of Python use of cnnlib, directly or through one another.

    sources: texts that run one after the other
    Returns {file: the names used of it}, with WHOLE among them where all of it counts.
    Provided.
    """
    trees, found, done = {}, {}, set()
    texts = ast.parse("\n".join(sources))
    todo = uses(texts) | {
        (module, name) for node in ast.walk(texts) for _, module, name in imports(node) if name != WHOLE
    }
    while todo:
        module, name = pair = todo.pop()
        done.add(pair)
        path = file_of(module)
        if path not in trees:
            trees[path] = ast.parse(path.read_text(encoding="utf-8"))
        tree = trees[path]
        outer = [taken for statement in tree.body for taken in imports(statement)]
        whole_package = name == WHOLE and path.name == "__init__.py"
        further = {(origin, what) for bound, origin, what in outer if bound == name or whole_package}
        if file_of(f"{module}.{name}"):  # a module of a package
            further = {(f"{module}.{name}", WHOLE)}
        if not further:
            found.setdefault(path, set()).add(name)
            further = further.union(*(uses(statement, outer) for statement in statements(tree, {name})))
        todo |= further - done
    return found


def text_of(path, wanted):
    """The bare code of a module's statements that define what is wanted, and of what these need. Provided."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    kept = statements(ast.parse(text), wanted)
    starts = [min([s.lineno, *(d.lineno for d in getattr(s, "decorator_list", []))]) for s in kept]
    return "\n".join(bare_code("\n".join(lines[a - 1 : s.end_lineno])) for a, s in zip(starts, kept, strict=True))


def bare_code(source):
    """A module's text without comments, docstrings and blank lines: what can change an output. Provided."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False):
            docstring = node.body[0]
            for row in range(docstring.lineno - 1, docstring.end_lineno):
                lines[row] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())
