"""What a kernel that is shut in can see and do: nothing but what an answer needs."""

import os
import subprocess

import pytest

from cnnlib.grading import shut_in
from cnnlib.grading.runner import Limits, run
from cnnlib.grading.sources import ROOT

pytestmark = pytest.mark.skipif(not shut_in.available(), reason="bubblewrap does not run here")


def says(tmp_path, *lines):
    """What an expression gives in a kernel that is shut in, after some lines of Python, as text."""
    *before, last = lines
    text = "\n".join(["import os, pathlib, socket, subprocess", *before, f"raise ValueError(repr({last}))"])
    return run([("setup", text, 30, False)], Limits(), tmp_path).ends["setup"]["error"]["message"]


def test_home_and_work_folder_are_empty_and_may_be_written(tmp_path):
    assert says(tmp_path, "os.listdir('.')") == "[]"
    assert says(tmp_path, "os.listdir(pathlib.Path.home())") == "['.ipython']"
    assert says(tmp_path, "open('a', 'w').write('x'); p = pathlib.Path.home() / 'b'", "p.write_text('yy')") == "2"


def test_of_the_course_there_is_the_package_without_questions_and_no_solutions(tmp_path):
    assert says(tmp_path, f"sorted(os.listdir({str(ROOT)!r}))") in ("['cnnlib', 'runs']", "['.venv', 'cnnlib', 'runs']")
    assert says(tmp_path, f"os.listdir({str(ROOT / 'cnnlib/grading/questions')!r})") == "[]"


def test_of_the_data_there_is_what_the_grader_gives_and_it_cannot_be_changed(tmp_path):
    (tmp_path / "mnist.npz").write_bytes(b"train only")
    assert says(tmp_path, "os.listdir(os.environ['CNNLIB_DATA'])") == "['mnist.npz']"
    write = "try:\n    open(os.environ['CNNLIB_DATA'] + '/mnist.npz', 'w')\nexcept OSError as e:\n    name = e.strerror"
    assert "Read-only" in says(tmp_path, write, "name")


def test_the_system_cannot_be_changed_and_other_folders_are_not_there(tmp_path, tmp_path_factory):
    other = tmp_path_factory.mktemp("a-neighbor")
    assert says(tmp_path, f"os.path.exists({str(other)!r})") == "False"
    write = f"try:\n    open({os.path.dirname(os.__file__)!r} + '/x', 'w')\nexcept OSError as e:\n    name = e.strerror"
    assert "Read-only" in says(tmp_path, write, "name")


def test_there_is_no_network_and_no_process_but_its_own(tmp_path):
    connect = (
        "try:\n    socket.create_connection(('127.0.0.1', 9), 2)\nexcept OSError as e:\n    name = type(e).__name__"
    )
    assert "Error" in says(tmp_path, connect, "name")
    server = subprocess.Popen(["sleep", "60"])
    try:
        seen = says(tmp_path, "sorted(int(p) for p in os.listdir('/proc') if p.isdigit())")
    finally:
        server.kill()
        server.wait()
    assert len(seen.split(",")) <= 3


def test_where_no_trial_run_works_the_kernel_is_not_shut_in(tmp_path, monkeypatch):
    monkeypatch.setattr(shut_in, "walls", lambda *_, **__: ["false"])
    shut_in.available.cache_clear()
    try:
        assert not shut_in.available()
        done = run([("setup", "x = 1", 30, False)], Limits(), tmp_path)
        assert done.ends["setup"]["passed"]
    finally:
        shut_in.available.cache_clear()
