"""What an answer may use: its syntax tree, read before anything runs, held against the list of what is allowed.

This sees imports, names and attributes through their aliases. It does not see everything that Python can do; what it
cannot read (computed names, code in strings) is refused. Grade real examinations in a container.
"""

import ast
import builtins
import contextlib
import difflib
import string
import symtable
import sys
import warnings

from cnnlib.grading.allowed import (
    ATTRIBUTES,
    BUILTINS,
    CALLED_ONLY,
    NEVER,
    SPECIAL,
    allowed_in,
    is_module,
    refused,
    split,
)
from cnnlib.grading.cells import as_run, is_learners
from cnnlib.grading.sources import question_of

REFUSED = (frozenset(dir(builtins)) | {"exit", "get_ipython", "quit"}) - BUILTINS - CALLED_ONLY - SPECIAL
INSTEAD = {  # what to try in place of a name that is often wanted
    "eval": "a function of your own",
    "exec": "a function of your own",
    "globals": "a dict of your own",
    "locals": "a dict of your own",
    "vars": "a dict of your own",
    "setattr": "`object.name = value`",
    "open": "`cnnlib.data.load` for images",
    "numpy.load": "`cnnlib.data.load` for images",
    "numpy.matrix": "`np.array`",
    "numpy.product": "`np.prod`",
    "numpy.in1d": "`np.isin`",
    "numpy.trapz": "`np.trapezoid`",
    "numpy.float": "`np.float64`",
    "numpy.int": "`np.int64`",
    "time.sleep": "`time.perf_counter` to measure",
    "format": "an f-string",
    "format_map": "an f-string",
}
FRAMES = 12_000  # for the deepest tree that cells.as_run lets through
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
NAMED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler | ast.MatchAs | ast.MatchStar
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Scope(dict):
    """What the names of one scope may stand for: a set of dotted names of modules, "~name" for anything else."""

    def note(self, name, dotted):
        """Note one more thing that a name may stand for. Provided."""
        self.setdefault(name, set()).add(dotted)


class ClassScope(Scope):
    """The same for the body of a class, whose names the functions in it do not see."""


class Reader:
    """Collects from one cell what it uses, what it binds, and what cannot be read.

    A name that stands for a module or a part of one is noted by its dotted name, "numpy.linalg.norm"; any other name
    with a tilde before it, "~signal.size".
    """

    def __init__(self, text, outer):
        self.outer = outer  # the Scope of all cells
        self.used, self.imported, self.binds, self.dark = set(), set(), set(), []
        self.named, self.attributes = set(), set()
        self.visit(text.tree or ast.Module([], []), (outer,))
        self.loads, binds, self.builtins = global_names(symtable.symtable(text.code, "cell", "exec"))
        self.binds |= {name for name in binds if len(outer.get(name, ())) != 1 or outer[name] == {f"~{name}"}}

    def visit(self, node, scopes):
        """Read a node and all below it. Provided."""
        names_of(node, self.named)
        if isinstance(node, FUNCTIONS | COMPREHENSIONS | ast.ClassDef):
            own, passed = bindings(node, lambda name: self.resolve(name, scopes))
            self.dark += [f"`nonlocal {name}`" for name, found in passed.items() if found != {f"~{name}"}]
            scopes = (*scopes, ClassScope(own) if isinstance(node, ast.ClassDef) else own)
        getattr(self, f"visit_{type(node).__name__}", self.visit_below)(node, scopes)

    def visit_below(self, node, scopes):
        """Read what stands below a node. Provided."""
        for child in ast.iter_child_nodes(node):
            self.visit(child, scopes)

    def resolve(self, name, scopes):
        """What a name may stand for where it is used. Provided."""
        seen = [scope for scope in scopes[:-1] if not isinstance(scope, ClassScope)] + [scopes[-1]]
        return next((scope[name] for scope in reversed(seen) if name in scope), {f"~{name}"})

    def dotted(self, node, scopes):
        """The dotted names that an expression such as np.linalg.norm may stand for; "~?" for what is none. Provided."""
        if isinstance(node, ast.Name):
            return self.resolve(node.id, scopes)
        if isinstance(node, ast.Attribute):
            return {f"{name}.{node.attr}" for name in self.dotted(node.value, scopes)}
        return {"~?"}

    def visit_Import(self, node, scopes):
        self.not_in_a_class(scopes)
        self.imported |= {alias.name for alias in node.names}

    def not_in_a_class(self, scopes):
        """Note an import in the body of a class, which would make the module a value. Provided."""
        if isinstance(scopes[-1], ClassScope):
            self.dark.append("an import in a class")

    def visit_ImportFrom(self, node, scopes):
        self.not_in_a_class(scopes)
        module = "." * node.level + (node.module or "")
        self.imported |= {f"{module}.{alias.name}" for alias in node.names}
        if any(alias.name == "*" for alias in node.names):
            self.dark.append(f"`from {module} import *`")

    def visit_Assign(self, node, scopes):
        plain = all(isinstance(target, ast.Name) for target in node.targets)
        alias = plain and not isinstance(scopes[-1], ClassScope)
        self.visit_value(node.value, scopes, may_be_module=alias)
        for target in node.targets:
            self.visit(target, scopes)

    def visit_value(self, node, scopes, may_be_module=False):
        """Read an expression; a module itself is a value only where it gets another name. Provided."""
        if may_be_module and isinstance(node, ast.Name):
            self.visit_Name(node, scopes, may_be_module=True)
        elif may_be_module and isinstance(node, ast.Attribute):
            self.visit_Attribute(node, scopes, may_be_module=True)
        else:
            self.visit(node, scopes)

    def visit_Name(self, node, scopes, may_be_module=False):
        found = self.dotted(node, scopes)
        self.used |= found
        if isinstance(node.ctx, ast.Load):
            if not may_be_module:
                self.dark += [f"`{node.id}` itself, a module" for name in found if is_module(name)]
            if node.id in CALLED_ONLY and f"~{node.id}" in found:
                self.dark.append(f"`{node.id}` as a value")

    def visit_Attribute(self, node, scopes, may_be_module=False):
        found = self.dotted(node, scopes)
        self.used |= found
        if any(name.startswith("~") for name in found):
            self.attributes.add(node.attr)
        if not may_be_module:
            self.dark += [f"`{name}` itself, a module" for name in found if is_module(name)]
        if not isinstance(node.ctx, ast.Load):
            self.dark += [f"`{name} = ...`, a change of a library" for name in found if not name.startswith("~")]
        self.changes(node)
        self.visit_value(node.value, scopes, may_be_module=True)

    def visit_Subscript(self, node, scopes):
        self.changes(node)
        self.visit_below(node, scopes)

    def changes(self, node):
        """Note the names whose objects are written into: `np.sum = f`, `cache[0] = 1`. Provided."""
        if not isinstance(node.ctx, ast.Load):
            self.binds |= {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}

    def visit_Call(self, node, scopes):
        function, rest = node.func, [*node.args, *node.keywords]
        if isinstance(function, ast.Attribute) and any(n.startswith("~") for n in self.dotted(function, scopes)):
            self.binds |= {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}  # cache.append(...)
        if isinstance(function, ast.Name) and function.id in CALLED_ONLY and len(node.args) > 1:
            rest = rest[2:]
            self.visit_named(node.args[0], node.args[1], function.id, scopes)
        elif is_plain_format(function):
            pass  # a text in the cell, whose fields are plain
        else:
            self.visit(function, scopes)
        for part in rest:
            self.visit(part, scopes)

    def visit_named(self, value, name, function, scopes):
        """Read getattr(value, "name") as value.name. Provided."""
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            attribute = ast.Attribute(value, name.value, ast.Load())
            names_of(attribute, self.named)
            self.visit_Attribute(attribute, scopes)
        else:
            self.dark.append(f"`{function}` with a computed name")
            self.visit(value, scopes)

    def visit_MatchClass(self, node, scopes):
        self.dark += [f"`match` on the attribute `{name}`" for name in node.kwd_attrs]
        self.visit_below(node, scopes)


def is_plain_format(function):
    """Whether a call is that of "text {} {name}".format, whose fields name no attributes or items. Provided."""
    if not isinstance(function, ast.Attribute) or function.attr != "format":
        return False
    text = function.value
    if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
        return False
    try:
        fields = list(string.Formatter().parse(text.value))
    except ValueError:
        return False
    return not any(set(".[") & set(name or "") or "{" in (spec or "") for _, name, spec, _ in fields)


def names_of(node, found):
    """Add the names that a node itself writes down. Provided."""
    for field in ("id", "attr", "arg", "name", "asname", "rest"):
        name = getattr(node, field, None)
        if isinstance(name, str):
            found.update(name.split("."))
    if isinstance(node, ast.Global | ast.Nonlocal):
        found.update(node.names)
    if isinstance(node, ast.MatchClass):
        found.update(node.kwd_attrs)


def bindings(top, resolve):
    """What the names bound in a function, a class or a cell may stand for there: (its own names, those of outside).

    The names of outside are those that it declares global or nonlocal. resolve(name): what such a name stands for.
    Provided.
    """
    scope, outside = Scope(), set()
    for _ in range(2):  # an alias of an alias may stand in front of it
        todo = [*ast.iter_child_nodes(top)]
        while todo:
            node = todo.pop()
            if isinstance(node, ast.Global | ast.Nonlocal):
                outside |= set(node.names)
            for name, dotted in bound_by(node, lambda name: scope.get(name) or resolve(name)):
                scope.note(name, dotted)
            if not isinstance(node, FUNCTIONS | COMPREHENSIONS | ast.ClassDef):
                todo += ast.iter_child_nodes(node)
    passed = Scope({name: found for name, found in scope.items() if name in outside})
    return Scope({name: found for name, found in scope.items() if name not in outside}), passed


def bound_by(node, resolve):
    """The (name, what it stands for) that one node binds. Provided."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            first = alias.name.split(".")[0]
            yield alias.asname or first, alias.name if alias.asname else first
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name, f"{'.' * node.level}{node.module or ''}.{alias.name}"
    elif isinstance(node, ast.Assign):
        for name in [target.id for target in node.targets if isinstance(target, ast.Name)]:
            for dotted in dotted_names(node.value, resolve):
                yield name, f"~{name}" if dotted.startswith("~") else dotted
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For | ast.NamedExpr | ast.comprehension | ast.withitem):
        target = node.optional_vars if isinstance(node, ast.withitem) else node.target
        yield from plain_names(target)
    elif isinstance(node, ast.Tuple | ast.List) and isinstance(node.ctx, ast.Store):
        yield from plain_names(node)
    elif isinstance(node, ast.arg):
        yield node.arg, f"~{node.arg}"
    elif isinstance(node, NAMED) and node.name:
        yield node.name, f"~{node.name}"


def plain_names(target):
    """(name, "~name") of each name in the target of a loop or an unpacking. Provided."""
    names = [] if target is None else [node for node in ast.walk(target) if isinstance(node, ast.Name)]
    return [(node.id, f"~{node.id}") for node in names if isinstance(node.ctx, ast.Store)]


def dotted_names(node, resolve):
    """The dotted names that an expression may stand for, {"~?"} if it is no name. Provided."""
    if isinstance(node, ast.Name):
        return resolve(node.id)
    if isinstance(node, ast.Attribute):
        return {f"{name}.{node.attr}" for name in dotted_names(node.value, resolve)}
    return {"~?"}


def scope_of(trees):
    """The Scope that all cells of a notebook share. Provided."""
    scope = Scope()
    for _ in range(2):
        for tree in trees:
            tops = [tree, *(node for node in ast.walk(tree) if isinstance(node, FUNCTIONS | ast.ClassDef))]
            for top in tops:
                own, passed = bindings(top, lambda name: scope.get(name, {f"~{name}"}))
                for name, found in (own if top is tree else passed).items():
                    scope.setdefault(name, set()).update(found)
    return scope


def global_names(table):
    """(loaded, bound) global names of a piece of code, its functions included, and those that may be Python's own.

    Provided.
    """
    loads, binds, open_to_builtins = set(), set(), set()
    kind = str(table.get_type())
    for symbol in table.get_symbols():
        name = symbol.get_name()
        if symbol.is_referenced() and (kind == "module" or symbol.is_global()):
            loads.add(name)
        if symbol.is_referenced() and (kind in ("module", "class") or symbol.is_global()):
            open_to_builtins.add(name)
        if (symbol.is_assigned() or symbol.is_imported()) and (kind == "module" or symbol.is_declared_global()):
            binds.add(name)
    for child in table.get_children():
        more = global_names(child)
        loads, binds, open_to_builtins = loads | more[0], binds | more[1], open_to_builtins | more[2]
    return loads, binds, open_to_builtins


def defined(trees):
    """The attributes that the cells themselves define: names in classes, targets, words in texts. Provided."""
    found = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            found.add(node.attr)
        elif isinstance(node, ast.ClassDef):
            found |= set(bindings(node, lambda name: {f"~{name}"})[0])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.update(word for word in node.value.replace(",", " ").split() if word.isidentifier())
        elif isinstance(node, ast.keyword) and node.arg:
            found.add(node.arg)
    return found - NEVER


def tricks(reader, own_attributes=frozenset()):
    """What a cell uses that no cell may use, as text for a message, or None. Provided."""
    for name in sorted(reader.imported | {name for name in reader.used if not name.startswith("~")}):
        if found := refused(name):
            return told(found)
    for name in sorted(reader.named - SPECIAL):
        if name.startswith("_"):
            return f"`{name}` (a name with an underscore in front: try `{name.strip('_') or 'another'}`)"
    for name in sorted(reader.builtins & REFUSED):
        return told(name)
    for name in sorted(reader.attributes - own_attributes - ATTRIBUTES - SPECIAL):
        return told(name, dot=".")
    return reader.dark[0] if reader.dark else None


def told(name, dot=""):
    """A refused name, with the name of one that is allowed in its place, if there is one. Provided."""
    module, last, _ = split(name)
    instead = INSTEAD.get(name)
    if not instead and (dot or module):
        known = ATTRIBUTES if dot else allowed_in(module) or ()
        near = difflib.get_close_matches(last or name, sorted(known), 1, cutoff=0.75)
        instead = f"`{f'{module}.' if module else dot}{near[0]}`" if near else ""
    return f"`{dot}{name}`" + (f" (try {instead})" if instead else "")


def within(name, modules):
    """Whether a dotted name is one of these or lies inside one. Provided."""
    return any(name == module or name.startswith(module + ".") for module in modules)


def forbidden(reader, forbid):
    """What a cell uses of a question's forbidden list, as text for a message, or None.

    "numpy.dot" forbids x.dot as well, "sum" the function of that name.
    Provided.
    """
    last = tuple(f".{name.rsplit('.', 1)[1]}" for name in forbid if "." in name and not name.startswith("cnnlib"))
    for name in sorted(reader.used | reader.imported):
        if name.startswith("~"):
            if name[1:] in forbid or name.endswith(last):
                return f"`{name.lstrip('~?.')}`"
        elif within(name, forbid):
            return f"`{name}`"
    return None


def check_rules(merged, asked, inputs, texts=None):
    """Read all cells of a merged notebook before it runs.

    merged: [(cell id, text)]; inputs: {question id: names that the grader sets}; texts: {cell id: Text} of the
    learner's cells, as cells.as_run_all gives them. Returns (broken, dropped): broken maps the id of a question that
    gets no points to the reason, dropped the id of a cell that is not to run.
    Provided.
    """
    texts = {cell: as_run(text) for cell, text in merged if is_learners(cell)} if texts is None else texts
    with deep(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a backslash that means nothing is the learner's own affair
        return read_all(merged, asked, inputs, texts)


@contextlib.contextmanager
def deep():
    """Let functions call one another as deep as the deepest tree needs; afterwards as before. Provided."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def read_all(merged, asked, inputs, texts):
    """What check_rules does, once every cell has its Text. Provided."""
    trees = [ast.parse(text) for cell, text in merged if not is_learners(cell)]
    trees += [text.tree for text in texts.values() if text.tree]
    scope, attributes = scope_of(trees), defined(trees)
    mine = {cell: Reader(text, scope) for cell, text in texts.items()}
    found = {cell: tricks(reader, attributes) for cell, reader in mine.items()}
    dropped = {cell: f"uses {name}" for cell, name in found.items() if name}
    dropped |= {cell: text.wrong for cell, text in texts.items() if text.wrong}
    broken = {}
    for question in asked:
        cells = leans_on(question, mine, dropped, inputs[question.id])
        if question.longest and (size := sum(len(texts[cell].code) for cell in cells)) > question.longest:
            broken[question.id] = (
                f"the answer, with the cells that it leans on, has {size:,} characters, and this question allows "
                f"{question.longest:,}: a recipe is short, only stored numbers are long."
            )
        for cell in cells:
            own = question_of(cell) == ("answer", question.key)
            where = "the answer" if own else "a cell that the answer leans on"
            wrong = texts[cell].wrong if own else ""
            if wrong:
                end = ", which this question does not allow" if wrong.startswith("uses") else ""
                broken.setdefault(question.id, f"the answer cell {wrong}{end}.")
            elif name := forbidden(mine[cell], question.forbid) or (found[cell] if own else None):
                broken.setdefault(question.id, f"{where} uses {name}, which this question does not allow.")
    return broken, dropped


def called_by(question, inputs):
    """The names in a question's call that are the learner's. Provided."""
    return {node.id for node in ast.walk(ast.parse(question.call)) if isinstance(node, ast.Name)} - set(inputs)


def leans_on(question, mine, dropped, inputs):
    """The learner's cells that a question's answer is made of: its own, and all that run and bind a name that these
    use.

    Provided.
    """
    cells = [cell for cell in mine if question_of(cell) == ("answer", question.key)]
    names = called_by(question, inputs)
    while True:
        names |= {name for cell in cells for name in mine[cell].loads}
        more = [cell for cell in mine if cell not in cells and cell not in dropped and mine[cell].binds & names]
        if not more:
            return cells
        cells += more
