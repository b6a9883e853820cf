"""Playgrounds in the page: <cnn-NAME> in a page brings the script that makes it alive; no other page gets it."""

import importlib.util
import re
from pathlib import Path

from sphinx.errors import ExtensionError

FOLDER = Path(__file__).resolve().parents[1] / "cnnlib" / "playground"
TAG = re.compile(r"<cnn-([a-z_]+)[\s>]")


def load_files():
    """cnnlib/playground/files.py alone: the package beside it needs anywidget, which the book's lock has not."""
    spec = importlib.util.spec_from_file_location("playground_files", FOLDER / "files.py")
    files = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(files)
    return files


def add_scripts(app, pagename, templatename, context, doctree):
    """Give a page the script of each playground in it."""
    for name in sorted(set(TAG.findall(context.get("body", "")))):
        if not (FOLDER / f"{name}.js").exists():
            raise ExtensionError(f"{pagename}: <cnn-{name}> has no cnnlib/playground/{name}.js")
        path = Path(app.outdir) / "_static" / f"cnn-{name}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(load_files().script(name), encoding="utf-8")
        app.add_js_file(path.name, loading_method="defer")


def setup(app):
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
