"""What is set up before anything runs: how threads wait, which torch comes, time for a cell, tests that are skipped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from cnnlib import notebooks
from cnnlib.grading.runner import Limits, run
from cnnlib.threads import OWN, wait_asleep

ROOT = Path(__file__).resolve().parents[2]
POLICY = "OMP_WAIT_POLICY"
SAYS = "import os; print('policy', os.environ.get('OMP_WAIT_POLICY'))"
SETTINGS = [({}, "PASSIVE"), ({POLICY: "ACTIVE"}, "ACTIVE"), ({"GOMP_SPINCOUNT": "1000"}, None)]
needs_make = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no make of its own")
settings = pytest.mark.parametrize(("own", "want"), SETTINGS, ids=["nothing set", "a policy", "a spin count"])


def without(*names, **more):
    """This process's environment without some names, and with others."""
    return {name: value for name, value in os.environ.items() if name not in names} | more


def says(command, own, **options):
    """What a command prints in an environment that sets only `own` of how threads wait."""
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")  # of the `make test` that runs this
    done = subprocess.run(command, env=without(*OWN, *outer, **own), capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# How threads wait


def test_threads_sleep_while_they_wait_unless_told_otherwise():
    environment = {"PATH": "/bin", "GOMP_SPINCOUNT": ""}
    wait_asleep(environment)
    assert environment == {"PATH": "/bin", "GOMP_SPINCOUNT": "", POLICY: "PASSIVE"}


@pytest.mark.parametrize("name", OWN)
def test_a_setting_of_ones_own_is_kept_and_nothing_is_added(name):
    environment = {name: "0"}
    wait_asleep(environment)
    assert environment == {name: "0"}


@settings
def test_the_command_line_sets_it_before_torch_is_imported(tmp_path, own, want):
    (tmp_path / "torch.py").write_text(f"{SAYS}\nraise SystemExit(0)\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    command = [sys.executable, "-m", "cnnlib", "evaluate", "two_conv"]
    assert says(command, own | {"PYTHONPATH": path}, cwd=ROOT) == f"policy {want}\n"


@settings
def test_the_graders_kernel_has_it(monkeypatch, tmp_path, own, want):
    for name in OWN:
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    text = "import os\nraise ValueError({name: os.environ.get(name) for name in " + repr([POLICY, *own]) + "})"
    done = run([("setup", text, 60, False)], Limits(), tmp_path)
    assert done.ends["setup"]["error"]["message"] == str({POLICY: want} | own)


@settings
def test_binder_starts_with_it(own, want):
    if sys.platform == "win32":
        pytest.skip("Windows has no bash of its own")
    assert says([ROOT / "binder" / "start", sys.executable, "-c", SAYS], own) == f"policy {want}\n"


# The Makefile and Binder, with a Python that only says how it is called


@pytest.fixture
def project(tmp_path):
    """A project with our Makefile in which every program says how it was called, and nothing is installed."""
    for name in ("Makefile", "requirements.txt", "requirements-book.txt", "pyproject.toml", "binder", "lab"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "jupyter", "jupyter-book", "ruff"):
        add_program(programs / name, f'echo "{name} $* (policy ${{OMP_WAIT_POLICY-None}})"')
    (tmp_path / "path").mkdir()
    return tmp_path


def add_program(path, text):
    """Write a shell script of one line."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def make(project, *arguments, own=None):
    """The lines that make and the programs print, all of them, with the programs of `path` in front."""
    path = os.pathsep.join([str(project / "path"), os.environ["PATH"]])
    made = ["make", "--no-print-directory", "PYTHON=true", *arguments]
    return says(made, {"PATH": path, **(own or {})}, cwd=project).splitlines()


def installs(project, system, gpu, works=True):
    """What `make lab` gives to pip to install torch, on a made-up machine; `works`: whether PyTorch's index answers."""
    add_program(project / "path" / "uname", f"echo {system}")
    add_program(project / "path" / "nvidia-smi", f"echo '{gpu}'")
    answer = 0 if works else 1
    text = f'case "$*" in *index-url*) echo "pip $*"; exit {answer};; *pip*) echo "pip $*";; esac'
    add_program(project / ".venv" / "bin" / "python", text)
    printed = make(project, "--silent", "lab")
    return [line for line in printed if not line.startswith("jupyter") and "requirements-book" not in line]


CPU = (
    "pip -m pip install --quiet --disable-pip-version-check --no-deps --retries 0 --timeout 5"
    " --index-url https://download.pytorch.org/whl/cpu torch=={torch} torchvision=={torchvision}"
)
LOCK = "pip -m pip install --quiet --disable-pip-version-check -r requirements.txt"
OURS = "pip -m pip install --quiet --disable-pip-version-check --no-deps --editable ."


def cpu_build():
    """The call that takes PyTorch's CPU build, with the versions of the lock."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return CPU.format(**dict(line.split("==") for line in lines if line.startswith("torch")))


@needs_make
def test_linux_without_an_nvidia_gpu_takes_the_cpu_build_then_the_lock(project):
    assert installs(project, "Linux", "No devices were found") == [cpu_build(), LOCK, OURS]


@needs_make
def test_without_pytorchs_index_the_plain_lock_is_taken_and_one_line_says_so(project):
    printed = installs(project, "Linux", "No devices were found", works=False)
    assert printed == [cpu_build(), "No CPU build to be had: the plain torch comes instead.", LOCK, OURS]


@needs_make
@pytest.mark.parametrize(("system", "gpu"), [("Linux", "GPU 0: NVIDIA H100"), ("Darwin", ""), ("MINGW64_NT", "")])
def test_an_nvidia_gpu_or_another_system_takes_the_plain_wheel(project, system, gpu):
    assert installs(project, system, gpu) == [LOCK, OURS]


@needs_make
@settings
@pytest.mark.parametrize("goal", ["lab", "test", "execute"])
def test_make_sets_how_threads_wait(project, goal, own, want):
    last = make(project, "--silent", goal, "NB=one.ipynb", own=own)[-1]
    ends = {"lab": "jupyter lab", "test": "python -m pytest", "execute": "python -m cnnlib execute one.ipynb"}
    assert last.startswith(ends[goal])
    assert last.endswith(f"(policy {want})")


@needs_make
def test_benchmarks_run_with_whatever_is_set(project):
    (project / "benchmarks").mkdir()
    (project / "benchmarks" / "one.py").touch()
    assert make(project, "--silent", "bench")[-1] == "python benchmarks/one.py (policy None)"


@needs_make
def test_binder_reads_the_address_of_the_cpu_build_in_the_makefile_and_takes_our_settings(project):
    add_program(project / "path" / "python", f'[ "$1" = -c ] && echo {project} || echo "python $*"')
    path = os.pathsep.join([str(project / "path"), os.environ["PATH"]])
    printed = says(["bash", "binder/postBuild"], {"PATH": path}, cwd=project).splitlines()
    assert printed[0].endswith(cpu_build().partition("--timeout 5 ")[2])
    assert printed[1].endswith("-r requirements.txt")
    copied = project / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    assert copied.read_text("utf-8") == (ROOT / "lab" / "overrides.json").read_text("utf-8")


def test_the_address_of_the_cpu_build_stands_in_the_makefile_only():
    names = ["*.md", "*.txt", "binder/*", ".ci/*", "chapters/*.md", "Makefile"]
    named = [path.name for name in names for path in ROOT.glob(name) if "download.pytorch" in path.read_text("utf-8")]
    assert named == ["Makefile"]


# Time for a cell, and tests that are skipped


def notebook(text, seconds=None):
    """A notebook of one cell, which took so long when it was stored."""
    metadata = {} if seconds is None else {"cnnlib": {"seconds": seconds}}
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text, id="one")], metadata=metadata)


@pytest.mark.parametrize(("seconds", "want"), [(None, 600), (0, 600), (8, 600), (30, 600), (31, 620), (116, 2320)])
def test_a_cell_may_take_twenty_times_what_its_notebook_took_and_ten_minutes_at_least(seconds, want):
    assert notebooks.cell_limit(notebook("1", seconds)) == want


def test_executing_a_notebook_ends_a_cell_that_hangs_and_leaves_the_file_as_it_was(monkeypatch, tmp_path):
    monkeypatch.setattr(notebooks, "cell_limit", lambda nb: 1)
    monkeypatch.setenv("CNNLIB_DATA_STRICT", "1")
    nbformat.write(notebook("import time\ntime.sleep(300)"), tmp_path / "slow.ipynb")
    before = (tmp_path / "slow.ipynb").read_bytes()
    with pytest.raises(TimeoutError):
        notebooks.execute(tmp_path / "slow.ipynb")
    assert (tmp_path / "slow.ipynb").read_bytes() == before


def outcome(folder, *names, **more):
    """(exit status, what was printed) of our tests' configuration on files in another folder."""
    options = ["-c", ROOT / "pyproject.toml", "--rootdir", folder, "-p", "no:cacheprovider"]
    options += ["-p", "nbval.plugin"]
    shutil.copy(ROOT / "conftest.py", folder)
    more |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # only what is needed: it starts in half the time
    environment = without("CI", *OWN, PYTHONPATH=os.pathsep.join([str(folder), str(ROOT)]), **more)
    command = [sys.executable, "-m", "pytest", *options, *names]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_notebooks_are_tested_with_their_own_time_and_with_threads_that_sleep(tmp_path):
    (tmp_path / "looks.py").write_text(
        "def pytest_runtest_call(item):\n"
        "    print(item.config.option.nbval_cell_timeout, 'seconds', item.output_timeout, 'for an output')\n"
    )
    nbformat.write(notebook(f"import os\nassert os.environ['{POLICY}'] == 'PASSIVE'", 100), tmp_path / "long.ipynb")
    nbformat.write(notebook("1"), tmp_path / "new.ipynb")
    status, printed = outcome(tmp_path, "-s", "-p", "looks", "long.ipynb", "new.ipynb")
    assert status == 0, printed
    assert [line for line in printed.splitlines() if "for an output" in line] == [
        "long.ipynb 2000 seconds 60 for an output",
        "new.ipynb 600 seconds 60 for an output",
    ]


SKIPS = {
    "test_one.py": 'import pytest\ndef test_it():\n    pytest.skip("{}")\n',
    "test_two.py": 'import pytest\n@pytest.mark.skip("{}")\ndef test_it():\n    pass\n',
    "test_six.py": 'import pytest\npytest.importorskip("not_here", reason="{}")\n',
    "test_ten.py": "def test_it():\n    pass\n",
}


def write_skips(folder, reason):
    """Files of tests, all but one of which are skipped for this reason, each in another way."""
    for name, text in SKIPS.items():
        (folder / name).write_text(text.format(reason))


def test_in_ci_an_unexpected_skip_fails_the_run_and_is_named(tmp_path):
    write_skips(tmp_path, "no reason")
    assert outcome(tmp_path, ".")[0] == 0
    status, printed = outcome(tmp_path, ".", CI="true")
    assert status == 1
    told = printed.partition("CI=true allows that only for MAY_BE_SKIPPED in conftest.py")[2]
    for place in ("test_one.py::test_it", "test_two.py::test_it", "test_six.py"):
        assert f"{place}: Skipped: no reason" in told


def test_in_ci_a_skip_with_a_known_reason_is_no_failure(tmp_path):
    write_skips(tmp_path, "root and Windows write into read-only folders")
    assert outcome(tmp_path, ".", CI="true")[0] == 0


def test_in_ci_the_real_sets_may_be_missing_only_where_none_are_promised(monkeypatch, tmp_path):
    write_skips(tmp_path, "the real MNIST is not here")
    monkeypatch.delenv("CNNLIB_DATA", raising=False)
    assert outcome(tmp_path, ".", CI="true")[0] == 0
    assert outcome(tmp_path, ".", CI="true", CNNLIB_DATA=str(tmp_path))[0] == 1
