"""What a sealed cell runs: call the learner's code, show what came out as plain bytes.

Nothing here decides whether a result is right. It runs next to the learner's code, and what runs there can lie about
everything but the result itself: comparing is the grader's business, in another process.
"""

import ast
import base64
import builtins
import gc
import linecache
import math
import sys
import traceback
import types
import zlib
from time import perf_counter

import numpy as np

MIME = "application/vnd.cnnlib.payload+json"


def encode(value):
    """A value as JSON: arrays as dtype, shape and bytes; tuples, lists and dicts entry by entry. Provided."""
    if value is None or value is Ellipsis or type(value) is str:
        return {"plain": value if value is not Ellipsis else None, "dots": value is Ellipsis}
    if isinstance(value, dict):
        return {"dict": [[str(key), encode(entry)] for key, entry in value.items()]}
    if isinstance(value, list | tuple) and (len(value) < 100 or not all(type(v) in (bool, int, float) for v in value)):
        return {"list": [encode(entry) for entry in value]}
    if hasattr(value, "detach"):  # a torch tensor
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "biufcUS":
        return {"other": type(value).__name__[:80]}
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 1)).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}


def decode(form, limit=64_000_000):
    """The value that `encode` wrote; lists and tuples come back as lists. Raises ValueError if the form is not one of
    its own.

    `limit` is the most bytes that all arrays in it may have together.
    Provided.
    """
    return decode_within(form, [limit])


def decode_within(form, left):
    """The same; left: a list with the bytes that may still be used, which this takes from. Provided."""
    if "plain" in form:
        return ... if form["dots"] else form["plain"]
    if "dict" in form:
        return {key: decode_within(entry, left) for key, entry in form["dict"]}
    if "list" in form:
        return [decode_within(entry, left) for entry in form["list"]]
    if "other" in form:
        return Other(str(form["other"]))
    dtype = np.dtype(form["dtype"])
    if dtype.kind not in "biufcUS":
        raise ValueError(f"no payload holds {dtype}")
    size = math.prod(form["shape"]) * dtype.itemsize
    if size > left[0]:
        return Other(f"array, far too large, of shape {tuple(form['shape'])}")
    left[0] -= size
    data = zlib.decompressobj().decompress(base64.b64decode(form["data"]), size + 1)
    return (np.frombuffer(data, dtype) if data else np.empty(0, dtype)).reshape(form["shape"]).copy()


class Other:
    """Stands for a result that is no array, by its type's name. Provided."""

    def __init__(self, name):
        self.name = name


def plain(value):
    """A decoded input as a call takes it: arrays without axes become Python numbers. Provided."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value.item()
    if isinstance(value, list):
        return tuple(plain(entry) for entry in value)
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return value


def run_case(namespace, case):
    """Evaluate one call; returns {"output", "inputs"} or {"error", "message", "line"}; of a race "seconds" as well.

    Provided.
    """
    values = {name: plain(decode(form)) for name, form in case["inputs"].items()}
    try:
        if case.get("against"):
            output, seconds = race(namespace, case["call"], case["against"], values)
        else:
            output, seconds = eval(case["call"], {**namespace, **values}), None
        kept = {name: value for name, value in values.items() if name not in case.get("changes", ())}
        told = {"output": encode(output), "inputs": {name: encode(value) for name, value in kept.items()}}
        return told | ({"seconds": seconds} if seconds else {})
    except (Exception, SystemExit) as error:
        if any(namespace.get(name) is ... for name in compile(case["call"], "<call>", "eval").co_names):
            return {"output": encode(...), "inputs": case["inputs"]}  # the dots of a stub, which a call cannot take
        return describe(error)


def race(namespace, call, against, values):
    """Time a call of a given function, then the call of the answer: (what the answer gave, [seconds, seconds]).

    The answer's time ends when its result is an array. The given function gets global names of its own, so that no
    answer can slow it down by rebinding what it uses. Provided.
    """
    names = {node.id for node in ast.walk(ast.parse(against)) if isinstance(node, ast.Name)} - set(values)
    given = {
        name: types.FunctionType(eval(name, namespace).__code__, {"np": np, "__builtins__": builtins}) for name in names
    }
    gc.collect()
    gc.disable()
    try:
        begin = perf_counter()
        eval(against, {**given, **values})
        middle = perf_counter()
        output = eval(call, {**namespace, **values})
        output = output if output is None or output is ... else np.array(output)
        return output, [middle - begin, perf_counter() - middle]
    finally:
        gc.enable()


def describe(error):
    """An exception as JSON: its type, its first line, and the line of the notebook where it came up. Provided."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if "ipykernel" in f.filename or f.filename[:1] == "<"
    ]
    frames = [f for f in frames if f.filename != "<string>"]
    line = (frames[-1].line or linecache.getline(frames[-1].filename, frames[-1].lineno)).strip() if frames else ""
    return {"error": type(error).__name__, "message": str(error)[:300], "line": line[:120]}


def payload(namespace, cases, given=""):
    """Run every case of a question. `cases` is what `forms` made: a list of {"call", "inputs"}, of a race "against".

    All calls, and the functions of the code that the question gives, find the names as they stand now, whatever an
    answer rebinds while it is called. Provided.
    """
    namespace = kept(namespace, given)
    return {"cases": [run_case(namespace, case) for case in cases]}


def kept(namespace, given):
    """A copy of a namespace, in which the functions of the given code look up their names as well. Provided."""
    copy = dict(namespace)
    for node in ast.parse(given).body:
        function = namespace.get(node.name) if isinstance(node, ast.FunctionDef) else None
        if isinstance(function, types.FunctionType):
            own = types.FunctionType(function.__code__, copy, node.name, function.__defaults__, function.__closure__)
            own.__kwdefaults__ = function.__kwdefaults__
            copy[node.name] = own
    return copy


def show(namespace, cases, given=""):
    """Display the payload of a sealed cell, once. Provided."""
    from IPython.display import display

    result = payload(namespace, cases, given)
    sys.stdout.flush()
    display({MIME: result}, raw=True)


def forms(question, cases):
    """The cases of a question as `payload` takes them; inputs that may change are not sent back. Provided."""
    return [
        {"call": case.call or question.call, "inputs": {name: encode(value) for name, value in case.inputs.items()}}
        | ({"against": case.against} if case.against else {})
        | ({"changes": list(question.changes)} if question.changes else {})
        for case in cases
    ]


def seal(question, cases, given=""):
    """The source of a sealed cell: the given code once more, the drawn inputs as literals, and one call of `show`.

    Provided.
    """
    head = f"# Question {question.id}, sealed: written by the grader.\nimport cnnlib.grading.sealed\n\n{given}\n\n"
    return f"{head}cnnlib.grading.sealed.show(globals(), {forms(question, cases)!r}, {given!r})"
