"""JupyterLab as `make lab` starts it: the page it opens on, and notebooks that stay as they were."""

import json
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATE = """async () => {
    const panel = jupyterapp.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
}"""
RUN_AND_SAVE = """async () => {
    const panel = jupyterapp.shell.currentWidget;
    await jupyterapp.commands.execute("notebook:run-all-cells");
    await panel.context.save();
}"""


@pytest.fixture
def course(lab):
    """The address of a JupyterLab that was started as `make lab` starts it, and its folder with the start page."""
    base, folder = lab
    for name in ("chapters", "exercises"):
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True)
    shutil.copy(ROOT / "start.md", folder)
    return base, folder


@pytest.fixture
def page(chromium):
    page = chromium.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(60000)
    yield page
    page.close()


def test_make_lab_opens_on_a_page_with_links_to_the_chapters_and_asks_nothing(course, page):
    base, _ = course
    page.goto(base)
    view = page.locator(".jp-MarkdownViewer")
    view.get_by_role("link", name="02 Slide a kernel").wait_for()
    titles = re.findall(r"title: (\d\d .*)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    for title in titles:
        assert view.get_by_role("link", name=title).count() == 1
    page.wait_for_timeout(2000)  # the question would come when all is loaded
    assert page.locator(".Toastify__toast, .jp-Dialog").count() == 0
    view.get_by_role("link", name="02 Slide a kernel").click()
    page.locator(".jp-Notebook:visible .jp-Cell").first.wait_for()  # earlier tests may have left tabs behind this one
    assert page.url.endswith("/lab/tree/chapters/02_slide_a_kernel.ipynb")


def test_a_link_to_a_place_in_another_file_opens_that_file(course, page):
    base, folder = course
    cell = {"cell_type": "markdown", "id": "links", "metadata": {}}
    cell["source"] = (
        "[a source](bibliography.md#zhang-2023), [the ramp](02_slide_a_kernel.ipynb#two-dimensions-by-hand)"
    )
    nb = json.loads((folder / "chapters" / "02_slide_a_kernel.ipynb").read_text(encoding="utf-8"))
    (folder / "chapters" / "links.ipynb").write_text(json.dumps(nb | {"cells": [cell]}), encoding="utf-8")
    for name, file in (("a source", "bibliography.md"), ("the ramp", "02_slide_a_kernel.ipynb")):
        page.goto(f"{base}/lab/tree/chapters/links.ipynb?reset")
        page.locator(".jp-Notebook").get_by_role("link", name=name).click()
        page.wait_for_url(f"**/lab/tree/chapters/{file}*")


def test_the_makefile_starts_jupyterlab_as_these_tests_do():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "--LabApp.app_settings_dir=lab --LabApp.default_url=/lab/tree/start.md" in text
    assert json.loads((ROOT / "lab" / "overrides.json").read_text(encoding="utf-8"))


def without_outputs(path):
    """A notebook as stored, but for its outputs and what the kernel says of itself."""
    nb = json.loads(path.read_text(encoding="utf-8"))
    nb["metadata"].pop("language_info")
    for cell in nb["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return nb


@pytest.mark.parametrize(
    "name", ["chapters/02_slide_a_kernel.ipynb", "exercises/02_slide_a_kernel.ipynb", "chapters/13_resnet.ipynb"]
)
def test_a_notebook_that_is_opened_and_run_changes_only_in_its_outputs(course, page, name):
    base, folder = course
    before = without_outputs(folder / name)
    page.goto(f"{base}/lab/tree/{name}?reset")
    page.locator(".jp-Notebook:visible .jp-CodeCell").first.wait_for()
    page.evaluate(STATE)
    page.evaluate(RUN_AND_SAVE if "13" not in name else "jupyterapp.shell.currentWidget.context.save()")
    assert without_outputs(folder / name) == before


def test_a_notebook_does_not_count_as_changed_when_it_is_opened_with_the_python_it_was_run_with(course, page):
    base, folder = course
    name = "chapters/02_slide_a_kernel.ipynb"
    nb = json.loads((ROOT / name).read_text(encoding="utf-8"))
    page.goto(f"{base}/lab/tree/{name}?reset")
    page.locator(".jp-Notebook:visible .jp-CodeCell").first.wait_for()
    page.evaluate(STATE)
    version = page.evaluate("jupyterapp.shell.currentWidget.context.model.getMetadata('language_info').version")
    nb["metadata"]["language_info"]["version"] = version
    (folder / "chapters" / "again.ipynb").write_text(json.dumps(nb, indent=1, ensure_ascii=False), encoding="utf-8")
    page.goto(f"{base}/lab/tree/chapters/again.ipynb?reset")
    page.locator(".jp-Notebook:visible .jp-CodeCell").first.wait_for()
    page.evaluate(STATE)
    page.wait_for_timeout(1000)
    assert page.evaluate("jupyterapp.shell.currentWidget.context.model.dirty") is False
