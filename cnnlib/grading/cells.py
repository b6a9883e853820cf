"""The text of a cell as it runs: IPython's own reading of it, harmless magics taken off, idle imports taken out.

What comes out is both read by the rules and run, so that nothing runs that was not read.
"""

import ast
import re
import warnings
from dataclasses import dataclass

from cnnlib.grading.allowed import is_module, refused, words

DROPPED = words("autoreload config load_ext matplotlib pdb pinfo pinfo2 precision prun timeit who whos")
UNWRAPPED = words("capture prun time timeit")  # %%time and its like: what stands below runs as it is
LONGEST, LINES, MAGICS = 20_000, 1_000, 30  # of a cell: characters, lines, and lines that IPython would rewrite
DEEPEST = 400  # of what stands in one another: a sum of 400 terms is as deep as that
MAGIC = re.compile(r"(?:^|=)[ \t]*[%!?]|\?[ \t]*$", re.MULTILINE)
MOST = 300  # of a notebook: the learner's own cells
TROUBLE = (ValueError, OverflowError, RuntimeError, MemoryError)


@dataclass(frozen=True)
class Text:
    """What runs of a cell, its syntax tree, and why nothing does: `wrong` ("is not Python: ...", "uses `!ls`")."""

    code: str = ""
    tree: ast.Module | None = None
    wrong: str = ""


def as_run(text):
    """The `Text` of one cell. Provided."""
    if len(text) > LONGEST or text.count("\n") >= LINES:
        return Text(wrong=f"is longer than {LONGEST:,} characters or {LINES:,} lines")
    if len(MAGIC.findall(text)) > MAGICS:
        return Text(wrong=f"has more than {MAGICS} magics")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a backslash that means nothing is the learner's own affair
            code, wrong = without_magics(text)
            tree = None if wrong else compiled(code)
        if wrong:
            return Text(wrong=wrong)
        return Text(code, tree) if depth(tree) <= DEEPEST else Text(wrong="is nested too deeply")
    except SyntaxError as error:
        line = f" in line {error.lineno}" if error.lineno else ""
        return Text(wrong=f"is not Python: {error.msg}{line}")
    except TROUBLE as error:
        return Text(wrong=f"cannot be read: {error or type(error).__name__}")


def compiled(code):
    """The syntax tree of a piece of code that the compiler takes whole: it finds mistakes that the parser does not.

    Raises SyntaxError, or what else the compiler raises.
    Provided.
    """
    tree = ast.parse(code)
    compile(code, "<cell>", "exec", dont_inherit=True)
    return tree


def depth(tree):
    """How deep the nodes of a tree lie in one another, counted without recursion. Provided."""
    deepest, level = 0, [tree]
    while level:
        deepest, level = deepest + 1, [child for node in level for child in ast.iter_child_nodes(node)]
    return deepest


def without_magics(text):
    """(code, "") of a cell with its harmless magics taken off, or ("", what it uses that does not run here).

    Provided.
    """
    from IPython.core.inputtransformer2 import TransformerManager

    code = TransformerManager().transform_cell(text)
    lines = code.split("\n")
    for node in ast.walk(ast.parse(code)):
        magic = magic_of(node)
        if not magic:
            continue
        kind, name, rest = magic
        if kind == "run_cell_magic" and name in UNWRAPPED:
            return without_magics(rest)
        if kind != "run_line_magic" or name not in DROPPED | {"time"}:
            mark = {"run_line_magic": "%", "run_cell_magic": "%%", "run_assigned_magic": "= %"}.get(kind, "!")
            return "", f"uses `{mark}{name}`"
        kept = rest if name == "time" and rest.strip() else "pass"
        lines[node.lineno - 1 : node.end_lineno] = [" " * node.col_offset + kept] + [""] * (
            node.end_lineno - node.lineno
        )
    return "\n".join(lines), ""


def magic_of(node):
    """(method, name, rest) of a statement that IPython made of a magic: get_ipython().run_line_magic(name, rest).

    Of a cell magic, `rest` is the cell below it; of a shell line, `name` is the line. None for any other node.
    Provided.
    """
    call = node.value if isinstance(node, ast.Expr | ast.Assign) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    if ast.dump(call.func.value) != ast.dump(ast.parse("get_ipython()", mode="eval").body):
        return None
    texts = [str(ast.literal_eval(arg)) for arg in call.args if isinstance(arg, ast.Constant)]
    if isinstance(node, ast.Assign) and call.func.attr == "run_line_magic":
        return "run_assigned_magic", " ".join(texts)[:40], ""
    return call.func.attr, (texts or [""])[0][:40], (texts or [""])[-1]


def as_run_all(merged, called=frozenset()):
    """What runs of a merged notebook's learner's cells: (cells to run, {cell id: Text} of those that are read).

    merged: [(cell id, text)]; called: the names that the grader itself calls. Given cells stay as they are; a learner's
    cell that cannot be read is not among those to run. An import of a module that answers may not use, and that no cell
    uses, is taken out.
    Provided.
    """
    texts = {cell: as_run(text) for cell, text in merged if is_learners(cell)}
    given = [ast.parse(text) for cell, text in merged if not is_learners(cell)]
    trees = given + [text.tree for text in texts.values() if text.tree]
    used = called | {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}
    texts = {cell: without_idle_imports(text, used) if text.tree else text for cell, text in texts.items()}
    run = [(cell, texts[cell].code if cell in texts else text) for cell, text in merged]
    return [(cell, text) for cell, text in run if cell not in texts or texts[cell].tree], texts


def is_learners(cell):
    """Whether a merged cell holds what the learner wrote. Provided."""
    return cell.startswith(("own-", "answer-"))


def without_idle_imports(text, used):
    """A Text without the imports of modules that answers may not use, if no cell uses their names. Provided."""
    lines = text.code.encode().split(b"\n")  # the columns of a syntax tree count bytes
    for node in reversed([node for node in ast.walk(text.tree) if isinstance(node, ast.Import | ast.ImportFrom)]):
        kept = [alias for alias in node.names if not idle(node, alias, used)]
        if len(kept) == len(node.names):
            continue
        node.names = kept
        new = ast.unparse(node).encode() if kept else b"pass"
        head, tail = lines[node.lineno - 1][: node.col_offset], lines[node.end_lineno - 1][node.end_col_offset :]
        lines[node.lineno - 1 : node.end_lineno] = [head + new + tail] + [b""] * (node.end_lineno - node.lineno)
    return as_run(b"\n".join(lines).decode())


def idle(node, alias, used):
    """Whether an import brings a name that is not on the list and that no cell uses. Provided."""
    if isinstance(node, ast.ImportFrom):
        dotted = f"{'.' * node.level}{node.module or ''}.{alias.name}"
        return bool(refused(dotted)) and alias.name != "*" and (alias.asname or alias.name) not in used
    return not is_module(alias.name) and (alias.asname or alias.name.split(".")[0]) not in used
