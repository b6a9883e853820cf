"""What an answer may not use: read from its syntax tree, before anything runs.

This sees imports, names and attributes through their aliases. It does not see everything that Python can do; what it
cannot read (computed names, code in strings) is forbidden instead. Grade real examinations in a container.
"""

import ast
import re
import symtable

from cnnlib.grading.sources import question_of


def words(text):
    """The words of a text, as a set. Provided."""
    return frozenset(re.findall(r"\w+", text))


IMPORTS = words(  # what an answer may import at all; a question's own list may forbid more
    """__future__ abc bisect cnnlib collections contextlib copy dataclasses decimal enum fractions functools heapq
    itertools json math matplotlib numbers numpy operator random re scipy sklearn skimage statistics string time
    textwrap torch torchvision tqdm typing warnings"""
)
NAMES = words(
    """__builtins__ __import__ __loader__ __spec__ breakpoint compile delattr eval exec exit get_ipython globals
    input locals open quit setattr vars"""
)
LEADS_OUT = words(  # parts of these modules that read files, or that are other modules
    """DataSource attrgetter builtins codecs cpp_extension ctypes ctypeslib distutils f2py fetch_openml from_file
    fromfile genfromtxt hub imread importlib inspect io linecache load loadtxt memmap methodcaller
    multiprocessing open_memmap os pathlib pickle shutil subprocess sys tempfile threading urllib"""
)
DUNDERS = words(
    """__add__ __bool__ __call__ __class__ __doc__ __enter__ __eq__ __exit__ __float__ __getitem__ __init__ __int__
    __iter__ __len__ __matmul__ __mul__ __name__ __neg__ __next__ __post_init__ __repr__ __setitem__ __str__
    __sub__ __truediv__ __version__"""
)
MAGIC = re.compile(r"^\s*(?:[\w, ]+=\s*)?[!%]|^\s*\?|\?\s*$")
HARMLESS = re.compile(r"^\s*%%?(time|timeit|matplotlib|precision|pdb|prun|who|whos)\b")


def parse(text):
    """(syntax tree or None, finding or None) of a cell, IPython's magics taken out. Provided."""
    try:
        return ast.parse(text), None
    except SyntaxError:
        lines = text.splitlines()
    except (ValueError, RecursionError, MemoryError):
        return None, None
    magics = [line for line in lines if MAGIC.match(line) or line.rstrip().endswith("?")]
    finding = next((f"`{line.strip()[:40]}`" for line in magics if not HARMLESS.match(line) and "?" not in line), None)
    indented = [line[: len(line) - len(line.lstrip())] + "pass" if line in magics else line for line in lines]
    try:
        return ast.parse("\n".join(indented)), finding
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None, finding


class Reader(ast.NodeVisitor):
    """Collects from one cell what it uses, what it binds, and what cannot be read.

    A name that stands for a module or a part of one is noted by its dotted name, "numpy.linalg.norm"; any other name
    with a tilde before it, "~signal.size".
    """

    def __init__(self, aliases):
        self.aliases = dict(aliases)
        self.used, self.imported, self.binds, self.again, self.dark = set(), set(), set(), set(), []

    def dotted(self, node):
        """The dotted name of an expression such as np.linalg.norm; what is not one is "~?". Provided."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, f"~{node.id}")
        return f"{self.dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else "~?"

    def stands_for(self, name, dotted):
        """Note that a name now stands for a module or a part of one. Provided."""
        if self.aliases.get(name) == dotted:
            self.again.add(name)  # the same import once more changes nothing
        self.aliases[name] = dotted

    def visit_Import(self, node):
        for name in node.names:
            self.imported.add(name.name)
            first = name.name.split(".")[0]
            self.stands_for(name.asname or first, name.name if name.asname else first)

    def visit_ImportFrom(self, node):
        module = "." * node.level + (node.module or "")
        for name in node.names:
            self.imported.add(f"{module}.{name.name}")
            self.stands_for(name.asname or name.name, f"{module}.{name.name}")
            if name.name == "*":
                self.dark.append(f"`from {module} import *`")

    def visit_Assign(self, node):
        self.generic_visit(node)
        dotted = self.dotted(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name) and not dotted.startswith("~"):
                self.aliases[target.id] = dotted

    def visit_Name(self, node):
        self.used.add(self.dotted(node))

    def visit_Attribute(self, node):
        self.used.add(self.dotted(node))
        if re.fullmatch(r"__\w+__", node.attr) and node.attr not in DUNDERS:
            self.dark.append(f"`{node.attr}`")
        self.changes(node)
        self.generic_visit(node)

    def visit_Subscript(self, node):
        self.changes(node)
        self.generic_visit(node)

    def changes(self, node):
        """Note the names whose objects are written into: `np.sum = f`, `cache[0] = 1`. Provided."""
        if not isinstance(node.ctx, ast.Load):
            self.binds |= {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}

    def visit_Call(self, node):
        if isinstance(node.func, ast.Attribute) and self.dotted(node.func).startswith("~"):
            self.binds |= {n.id for n in ast.walk(node.func) if isinstance(n, ast.Name)}  # cache.append(...)
        if isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) > 1:
            name = node.args[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                self.used.add(f"{self.dotted(node.args[0])}.{name.value}")
            else:
                self.dark.append("`getattr` with a computed name")
        self.generic_visit(node)


def read(text, aliases):
    """Read one cell; returns a Reader, with the global names that it loads and binds. Provided."""
    reader = Reader(aliases)
    tree, finding = parse(text)
    reader.readable, reader.loads = tree is not None, set()
    if finding:
        reader.dark.append(finding)
    if tree is not None:
        reader.visit(tree)
        loads, binds = global_names(symtable.symtable(ast.unparse(tree), "cell", "exec"))
        reader.loads, reader.binds = loads, (reader.binds | binds) - reader.again
    return reader


def global_names(table):
    """(loaded, bound) global names of a piece of code, its functions included. Provided."""
    loads, binds = set(), set()
    for symbol in table.get_symbols():
        top = table.get_type() == "module"
        if symbol.is_referenced() and (top or symbol.is_global()):
            loads.add(symbol.get_name())
        if (symbol.is_assigned() or symbol.is_imported()) and (top or symbol.is_declared_global()):
            binds.add(symbol.get_name())
    for child in table.get_children():
        more = global_names(child)
        loads, binds = loads | more[0], binds | more[1]
    return loads, binds


def tricks(reader):
    """What a cell uses that no cell may use, as text for a message, or None. Provided."""
    for name in sorted(reader.imported):
        if name.split(".")[0] not in IMPORTS or leads_out(name):
            return f"`{name}`"
    for name in sorted(reader.used):
        if name[1:] in NAMES if name.startswith("~") else leads_out(name):
            return f"`{name.removeprefix('~')}`"
    return reader.dark[0] if reader.dark else None


def leads_out(name):
    """Whether a part of a module reads files, or is a module that may not be imported. Provided."""
    if within(name, ("cnnlib.data.load", "cnnlib.grading.check")) or name == "cnnlib.grading":
        return False
    if within(name, ("scipy.io", "skimage.io", "cnnlib.grading", "cnnlib.notebooks", "cnnlib.__main__")):
        return True
    return bool(LEADS_OUT.intersection(name.split(".")[1:]))


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


def check_rules(merged, asked, inputs):
    """Read all cells of a merged notebook before it runs.

    merged: [(cell id, text)]; inputs: {question id: names that the grader sets}. Returns (broken, dropped): broken
    maps the id of a question that gets no points to the reason, dropped the id of a cell that is not to run.
    Provided.
    """
    aliases, readers = {}, {}
    for cell, text in merged:
        readers[cell] = read(text, aliases)
        aliases = readers[cell].aliases
    mine = {cell: reader for cell, reader in readers.items() if cell.startswith(("own-", "answer-"))}
    dropped = {cell: f"uses {found}" for cell, reader in mine.items() if (found := tricks(reader))}
    dropped |= {cell: "is not Python" for cell, r in mine.items() if not r.readable and cell.startswith("own-")}
    broken = {}
    for question in asked:
        for cell in leans_on(question, mine, dropped, inputs[question.id]):
            own = question_of(cell) == ("answer", question.key)
            found = (tricks(mine[cell]) if own else None) or forbidden(mine[cell], question.forbid)
            if found:
                where = "the answer" if own else "a cell that the answer leans on"
                broken.setdefault(question.id, f"{where} uses {found}, which this question does not allow.")
    return broken, dropped


def leans_on(question, mine, dropped, inputs):
    """The learner's cells that a question's answer is made of: its own, and all that run and bind a name that these
    use.

    Provided.
    """
    cells = [cell for cell in mine if question_of(cell) == ("answer", question.key)]
    names = {node.id for node in ast.walk(ast.parse(question.call)) if isinstance(node, ast.Name)} - set(inputs)
    while True:
        names |= {name for cell in cells for name in mine[cell].loads}
        more = [cell for cell in mine if cell not in cells and cell not in dropped and mine[cell].binds & names]
        if not more:
            return cells
        cells += more
