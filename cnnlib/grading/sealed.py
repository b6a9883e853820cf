"""What a sealed cell runs: call the learner's code, show what came out as plain bytes.

Nothing here decides whether a result is right. It runs next to the learner's code, and what runs there can lie about
everything but the result itself: comparing is the grader's business, in another process.
"""

import base64
import linecache
import math
import sys
import traceback
import zlib

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


def run_case(namespace, call, inputs):
    """Evaluate one call; returns {"output", "inputs"} or {"error", "message", "line"}. Provided."""
    values = {name: plain(decode(form)) for name, form in inputs.items()}
    try:
        output = encode(eval(call, {**namespace, **values}))
        return {"output": output, "inputs": {name: encode(value) for name, value in values.items()}}
    except (Exception, SystemExit) as error:
        return describe(error)


def describe(error):
    """An exception as JSON: its type, its first line, and the line of the notebook where it came up. Provided."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if "ipykernel" in f.filename or f.filename[:1] == "<"
    ]
    frames = [f for f in frames if f.filename != "<string>"]
    line = (frames[-1].line or linecache.getline(frames[-1].filename, frames[-1].lineno)).strip() if frames else ""
    return {"error": type(error).__name__, "message": str(error)[:300], "line": line[:120]}


def payload(namespace, cases):
    """Run every case of a question. `cases` is what `seal` wrote: a list of {"call", "inputs"}. Provided."""
    return {"cases": [run_case(namespace, case["call"], case["inputs"]) for case in cases]}


def show(namespace, cases):
    """Display the payload of a sealed cell, once. Provided."""
    from IPython.display import display

    result = payload(namespace, cases)
    sys.stdout.flush()
    display({MIME: result}, raw=True)


def forms(question, cases):
    """The cases of a question as `payload` takes them. Provided."""
    return [
        {"call": case.call or question.call, "inputs": {name: encode(value) for name, value in case.inputs.items()}}
        for case in cases
    ]


def seal(question, cases, given=""):
    """The source of a sealed cell: the given code once more, the drawn inputs as literals, and one call of `show`.

    Provided.
    """
    head = f"# Question {question.id}, sealed: written by the grader.\nimport cnnlib.grading.sealed\n\n{given}\n\n"
    return f"{head}cnnlib.grading.sealed.show(globals(), {forms(question, cases)!r})"
