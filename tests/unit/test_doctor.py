"""python -m cnnlib doctor: what a machine lacks, and what to do."""

import sys

import pytest

from cnnlib import data, doctor
from cnnlib.__main__ import main


def test_every_part_of_the_machine_is_looked_at_and_told_in_a_line(capsys):
    code = main(["doctor"])
    said = capsys.readouterr().out.splitlines()
    names = ("Python", "packages", "torch", "data", "memory", "bfloat16", "Chromium", "bubblewrap", "write access")
    assert [line[4:18].strip() for line in said[: len(names)]] == list(names)
    assert code in (0, 1)


def test_only_what_nothing_works_without_is_an_error(monkeypatch, capsys):
    good, bad = doctor.Finding("a", True, "x"), doctor.Finding("b", False, "do this")
    monkeypatch.setattr(doctor, "LOOKED_AT", (lambda: good, lambda: bad))
    assert main(["doctor"]) == 0
    assert "    b             do this" in capsys.readouterr().out
    monkeypatch.setattr(doctor, "LOOKED_AT", (lambda: doctor.Finding("b", False, "do this", needed=True),))
    assert main(["doctor"]) == 1
    assert "!!  b             do this" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("version", "good"), [((3, 10, 1), False), ((3, 11, 0), True), ((3, 13, 9), True), ((3, 14, 0), False)]
)
def test_a_python_that_is_not_supported_is_told(monkeypatch, version, good):
    monkeypatch.setattr(sys, "version_info", version)
    assert doctor.python().good == good


def test_what_is_missing_is_told_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    (tmp_path / "requirements.txt").write_text("# a lock\nnumpy==1.0.0\nno-such-thing==1.0 ; python_version > '3'\n")
    assert "missing: no-such-thing: pip install" in doctor.packages().says
    (tmp_path / "requirements.txt").write_text("numpy==1.0.0\n")
    assert "in place of 1.0.0" in doctor.packages().says
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    assert "no torch and no torchvision" in doctor.torch().says
    monkeypatch.setattr(data, "status", lambda name: (None, {}))
    assert "python -m cnnlib data --fetch" in doctor.sets().says
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert "apt install chromium" in doctor.chromium().says


def test_a_folder_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    monkeypatch.setattr(doctor, "writable", lambda place: place.name != "exercises")
    assert f"cannot write to {tmp_path / 'exercises'}" in doctor.writing().says


def test_the_nearest_folder_above_one_that_is_not_there_yet_decides(tmp_path):
    assert doctor.writable(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    assert not doctor.writable(tmp_path / "file" / "b")


def test_a_look_that_fails_is_a_finding(monkeypatch):
    def memory():
        raise OSError("no /proc")

    monkeypatch.setattr(doctor, "LOOKED_AT", (memory,))
    assert "could not be looked at (OSError: no /proc)" in doctor.lines(doctor.examine())[0]
