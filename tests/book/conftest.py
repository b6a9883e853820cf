"""The built book, a small sample book, a server, a browser, and a page that is watched for what goes wrong."""

import contextlib
import functools
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import nbformat
import psutil
import pytest

collect_ignore_glob = ["sample/*"]  # pages to build, no notebooks to run
ROOT = Path(__file__).resolve().parents[2]
SAMPLE = Path(__file__).parent / "sample"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 120  # seconds for anything that a browser or a server does at once on an idle machine
BUILD = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", "-W", "-n", "--keep-going"]

SCROLLERS = "pre, div.math, .drawing, .pst-scrollable-table-container"
SCROLLERS_HAVE_STOPS = f"""() => [...document.querySelectorAll("{SCROLLERS}")].every(
    (one) => one.scrollWidth <= one.clientWidth || one.tabIndex === 0 || !one.checkVisibility())"""


@pytest.fixture(scope="session")
def build():
    """A function that builds the book of a project folder and returns (exit status, what was printed)."""

    def run(project):
        done = subprocess.run([*BUILD, "--quiet", str(project)], capture_output=True, text=True, cwd=project)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def book(build):
    """The folder of the built book; built here if `make book` has not been run."""
    folder = ROOT / "_build" / "html"
    if not (folder / "index.html").exists():
        status, printed = build(ROOT)
        assert status == 0, printed
    return folder


@pytest.fixture(scope="session")
def new_project(tmp_path_factory):
    """A function that makes a project: our configuration and extensions, the sample's pages, and changes to them."""

    def make(changes=()):
        project = tmp_path_factory.mktemp("project")
        shutil.copytree(SAMPLE, project, dirs_exist_ok=True)
        shutil.copy(ROOT / "_config.yml", project)
        for folder in ("_ext", "assets", "cnnlib"):
            (project / folder).symlink_to(ROOT / folder, target_is_directory=True)
        for name, change in changes:
            path = project / name
            path.write_text(change(path.read_text(encoding="utf-8") if path.exists() else ""), encoding="utf-8")
        return project

    return make


@pytest.fixture(scope="session")
def sample(new_project, build):
    """The folder of the built sample book: one page with everything an author may write."""
    project = new_project()
    status, printed = build(project)
    assert status == 0, printed
    return project / "_build" / "html"


@pytest.fixture(scope="session")
def broken(new_project, build):
    """A project with mistakes in its pages, its build's exit status, and what that build printed."""

    def with_mistakes(text):
        return f"{text}\n[nowhere](nowhere.md)\n\n> **Tipp.** A box.\n\nSee Figure 9.9, and equation (9.8).\n"

    def with_wrong_key(text):
        return text.replace("      right: true", "      rihgt: true", 1)

    changes = [("chapters/plain.md", with_mistakes), ("chapters/quizzes/02.yml", with_wrong_key)]
    project = new_project(changes)
    return project, *build(project)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def serve():
    """A function that serves a folder on 127.0.0.1 and returns its address."""
    servers = []

    @functools.cache
    def start(folder):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def chromium():
    """A running browser. Without Chromium the test is skipped, or fails where CI=true."""
    if not CHROMIUM and os.environ.get("CI") != "true":
        pytest.skip("no Chromium on this machine (apt install chromium); CI=true makes it required")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS, timeout=1000 * PATIENCE)
        yield browser
        browser.close()


class Watched:
    """A browser page that notes what it asked for and what went wrong."""

    def __init__(self, browser, **context):
        self.context = browser.new_context(
            **{"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce", **context}
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(1000 * PATIENCE)
        self.problems, self.sizes = [], {}
        self.page.on("console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("requestfailed", lambda request: self.problems.append(f"failed: {request.url}"))
        self.page.on("response", self.note)

    def note(self, response):
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")

    def open(self, base, name):
        """Go to a page below base (an address, or a folder for file://) and wait until its formulas are set."""
        self.base = base if isinstance(base, str) else base.as_uri()
        self.page.on("request", lambda request: self.asked(request.url))
        self.page.goto(f"{self.base}/{name}", wait_until="load")
        self.page.evaluate("() => window.MathJax?.startup?.promise")
        return self.page

    def asked(self, url):
        if not url.startswith((self.base + "/", "data:", "blob:")):
            self.problems.append(f"asks another place: {url}")

    def colors(self, scheme):
        """Switch to light or dark, as the system would."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)

    def resize(self, width):
        """Change the window's width, and wait until what now scrolls can be reached with the keyboard."""
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.wait_for_function(SCROLLERS_HAVE_STOPS)

    def overflow(self):
        """Pixels by which the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    def violations(self):
        """What axe-core finds, but for contrast, as `rule: element`."""
        extra = {"label-content-name-mismatch": {"enabled": True}}  # off by default
        return self.axe({"rules": extra | {"color-contrast": {"enabled": False}}})

    def too_faint(self, leave_out=(".highlight",)):
        """Elements without enough contrast. Code has the same colors on every page: one look at it is enough."""
        return self.axe({"runOnly": "color-contrast"}, [[selector] for selector in leave_out])

    def axe(self, options, exclude=()):
        from axe_playwright_python.sync_playwright import Axe

        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(Axe().axe_script)
        run = "([exclude, options]) => axe.run({include: [['html']], exclude}, options)"
        found = self.page.evaluate(run, [list(exclude), {"resultTypes": ["violations"]} | options])["violations"]
        return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


@pytest.fixture
def watch(chromium):
    """A function that gives a watched page; afterwards nothing may have gone wrong on it."""
    pages = []

    def make(**context):
        pages.append(Watched(chromium, **context))
        return pages[-1]

    yield make
    for one in pages:
        one.context.close()
    assert [problem for one in pages for problem in one.problems] == []


@pytest.fixture(scope="module")
def new_site(new_project, build):
    """A function that builds a small book, as ours is built, from texts by file name, and an index."""

    def make(pages):
        listed = "".join(f"- file: {name.partition('.')[0]}\n" for name in pages)
        toc = f"format: jb-book\nroot: index\nchapters:\n{listed}"
        texts = {**pages, "index.md": "# No playground\n\nText.\n", "_toc.yml": toc}
        project = new_project([(name, lambda _, text=text: text) for name, text in texts.items()])
        status, printed = build(project)
        assert status == 0, printed
        return project / "_build" / "html"

    return make


@pytest.fixture
def new_page(watch, serve, site):
    """Opens a page of the test module's own `site`; at the end nothing may have gone wrong on it."""

    def open_page(name="one.html", *, width=1440, base=None, **context):
        return watch(viewport={"width": width, "height": 900}, **context).open(base or serve(site), name)

    return open_page


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The address of a JupyterLab, in a home of its own, and the folder it serves."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("lab")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = [
        "HOME",
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
        "JUPYTERLAB_SETTINGS_DIR",
        "IPYTHONDIR",
    ]
    options = ["--no-browser", "--allow-root", "--LabApp.expose_app_in_browser=True", "--IdentityProvider.token="]
    options += [f"--LabApp.app_settings_dir={ROOT / 'lab'}", "--LabApp.default_url=/lab/tree/start.md"]
    options += [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={folder}",
    ]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=os.environ | {name: str(home / name.lower()) for name in names},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    base = f"http://127.0.0.1:{port}"
    for _ in range(5 * PATIENCE):
        try:
            urllib.request.urlopen(f"{base}/api", timeout=5).close()
            break
        except OSError:
            assert process.poll() is None, (home / "log").read_text()
            time.sleep(0.2)
    yield base, folder
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    psutil.wait_procs([process], timeout=60)
    for one in [*family, process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()


class Notebook:
    """A notebook that is open in JupyterLab, and its page."""

    def __init__(self, page):
        self.page = page

    def run_cell(self, index):
        """Runs one cell, and waits until the kernel is done with it."""
        self.page.evaluate(
            """async index => {
                const panel = jupyterapp.shell.currentWidget;
                await panel.sessionContext.ready;
                panel.content.activeCellIndex = index;
                await jupyterapp.commands.execute("notebook:run-cell");
            }""",
            index,
        )
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(index)

    def wait_for_print(self, index, want_text):
        """Runs a cell until it prints this: widgets send what they have to say when the kernel is free."""
        for _ in range(100):
            text = self.run_cell(index).locator(".jp-OutputArea-output pre").inner_text()
            if text.strip() == want_text:
                return
            self.page.wait_for_timeout(300)
        assert text.strip() == want_text


@pytest.fixture
def notebook(chromium, lab):
    """Opens a notebook with these cells in JupyterLab; no errors, and nothing asked from another host."""
    base, folder = lab
    page = chromium.new_page(viewport={"width": 1440, "height": 1100}, reduced_motion="reduce")
    page.set_default_timeout(1000 * PATIENCE)
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" or "[anywidget]" in m.text else None)
    page.on("request", lambda r: None if r.url.startswith((base, "data:", "blob:")) else complaints.append(r.url))
    python = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }

    def open_notebook(*sources):
        cells = [nbformat.v4.new_code_cell(source, id=f"cell-{k}") for k, source in enumerate(sources)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=python), folder / "own.ipynb")
        page.goto(f"{base}/lab/tree/own.ipynb?reset")
        page.locator(".jp-Notebook .jp-CodeCell").nth(len(sources) - 1).wait_for()
        return Notebook(page)

    yield open_notebook
    page.close()
    assert complaints == []
