"""Execute the chapters, store what they print, and notice when a stored output no longer belongs to its code."""

import base64
import hashlib
import io
import json
import os
import re
import time
from pathlib import Path

import nbformat

from cnnlib.reach import reached, text_of

ROOT = Path(__file__).parent.parent
WIDGET = "application/vnd.jupyter.widget-view+json"


def code_cells(nb):
    """The code cells of a notebook that hold code, in order. Provided."""
    return [cell for cell in nb.cells if cell.cell_type == "code" and cell.source.strip()]


def plain_python(cell):
    """A cell's code without IPython's magics, so that it can be parsed. Provided."""
    return "\n".join("pass" if line.lstrip().startswith(("%", "!")) else line for line in cell.source.splitlines())


def dependencies(nb):
    """What a notebook's code uses of cnnlib, directly or through one another, and what else it reads.

    A record counts when its name stands in the code as a string, for example "two_conv" for runs/two_conv.json;
    `quiz("02")` counts the questions in chapters/quizzes/02.yml and its figures, 02_*.
    Returns {file of cnnlib: the names used of it} and a list of the other files.
    Provided.
    """
    cells = code_cells(nb)
    ours = reached([plain_python(cell) for cell in cells if not raises(cell)])
    text = "\n".join(cell.source for cell in cells)
    records = [path for path in sorted((ROOT / "runs").glob("*.json")) if re.search(rf"[\"'/]{path.stem}\b", text)]
    names = re.findall(r"\bquiz\([\"'](\w+)[\"']\)", text)
    quizzes = [
        path for name in names for kind in (".yml", "_*") for path in (ROOT / "chapters" / "quizzes").glob(name + kind)
    ]
    return ours, records + sorted(quizzes)


def raises(cell):
    """Whether a cell is meant to fail. Provided."""
    return "raises-exception" in cell.metadata.get("tags", [])


def digest(nb):
    """SHA-256, as hex, of all that decides a notebook's outputs: its code cells, their tags, and its dependencies.

    Of cnnlib only the definitions that its code reaches count, without comments and docstrings: a new layer and a
    mended sentence do not ask for a new execution.
    Provided.
    """
    sha = hashlib.sha256()
    for cell in code_cells(nb):
        sha.update(json.dumps([cell.id, cell.source, sorted(cell.metadata.get("tags", []))]).encode())
    ours, others = dependencies(nb)
    for path in sorted(ours):
        sha.update(path.name.encode() + text_of(path, ours[path]).encode())
    for path in others:
        sha.update(path.name.encode() + path.read_text(encoding="utf-8").encode())
    return sha.hexdigest()


def smaller_png(data):
    """The same PNG (base64) with at most 256 colors, if that is smaller. Provided."""
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    small = base64.b64encode(buffer.getvalue()).decode()
    return small if len(small) < len(data) else data


def clean_output(output):
    """An output as it is stored: no widget state, small pictures, and of an error only its last line. Provided."""
    if output.output_type == "error":
        output.traceback = [f"{output.ename}: {output.evalue}"]
    if "data" in output:
        output.data.pop(WIDGET, None)
        if "image/png" in output.data:
            output.data["image/png"] = smaller_png(output.data["image/png"])
        output.metadata = {}
    return output


def complaints(nb):
    """Sentences about what no stored output may hold: warnings, stand-in data, paths of this machine. Provided."""
    found = []
    for cell in code_cells(nb):
        text = json.dumps([o for o in cell.outputs if o.output_type != "display_data" or "image/png" not in o.data])
        if any(o.get("name") == "stderr" for o in cell.outputs):
            found.append(
                f"cell {cell.id} wrote to stderr: {[o.text for o in cell.outputs if o.get('name') == 'stderr']}"
            )
        if "stand-in" in text:
            found.append(f"cell {cell.id} mentions a stand-in: chapters are executed on the real data")
        if str(ROOT) in text or str(Path.home()) + os.sep in text:
            found.append(f"cell {cell.id} shows a path of this machine")
    return found


def cell_limit(nb):
    """The seconds that one cell of a notebook may take before it counts as hung: far more than on any busy machine.

    Twenty times what the whole notebook took when it was stored, and ten minutes at least.
    Provided.
    """
    return max(600, 20 * nb.metadata.get("cnnlib", {}).get("seconds", 0))


def execute(path):
    """Run a notebook in a fresh kernel, on the real data, and store its outputs and digest in the file.

    Returns the seconds it took. A cell that fails or takes longer than `cell_limit`, a warning, a stand-in or a path of
    this machine raises an error, and the file is left as it was.
    Provided.
    """
    from nbclient import NotebookClient

    nb = nbformat.read(path, as_version=4)
    os.environ["CNNLIB_DATA_STRICT"] = "1"
    start = time.perf_counter()
    NotebookClient(
        nb,
        timeout=cell_limit(nb),
        startup_timeout=300,
        iopub_timeout=60,
        raise_on_iopub_timeout=True,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(Path(path).parent)}},
    ).execute()
    seconds = time.perf_counter() - start
    for cell in code_cells(nb):
        cell.outputs = [clean_output(output) for output in cell.outputs]
    if found := complaints(nb):
        raise RuntimeError(f"{path} is left as it was: " + "; ".join(found))
    nb.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": nb.metadata.language_info,  # the kernel's own, which JupyterLab would write on opening
        "cnnlib": {"digest": digest(nb), "seconds": round(seconds)},
    }
    part = Path(path).with_suffix(".part")
    nbformat.write(nb, part)
    part.replace(path)
    return seconds
