"""Schools that use nbgrader can: its own preprocessors take the same source notebooks."""

import copy

import nbformat
import pytest

from cnnlib.grading import sources
from cnnlib.grading.notebook import derive

pytest.importorskip("nbgrader", reason="nbgrader is not installed (pip install 'cnnlib[teachers]')")

EXERCISES = sorted(sources.sources())


def preprocessed(nb, *names):
    """A copy of a notebook after nbgrader's preprocessors of these names."""
    import nbgrader.preprocessors

    nb = copy.deepcopy(nb)
    for name in names:
        nb, _ = getattr(nbgrader.preprocessors, name)().preprocess(nb, {})
    return nb


@pytest.mark.parametrize("exercise", EXERCISES)
def test_nbgrader_accepts_the_metadata_of_source_and_learners_file(exercise):
    source = nbformat.read(sources.sources()[exercise], 4)
    preprocessed(source, "CheckCellMetadata")
    preprocessed(derive(source), "CheckCellMetadata")


@pytest.mark.parametrize("exercise", EXERCISES)
def test_nbgraders_release_holds_no_answer_and_the_same_cells(exercise):
    source = nbformat.read(sources.sources()[exercise], 4)
    release = preprocessed(source, "LockCells", "ClearSolutions", "ClearHiddenTests")
    text = nbformat.writes(release)
    assert "SOLUTION" not in text
    assert "HIDDEN" not in text
    assert "Why this works" not in text
    ours = derive(source)
    assert [cell.id for cell in release.cells] == [cell.id for cell in ours.cells]
    for theirs, mine in zip(release.cells, ours.cells, strict=True):
        assert theirs.metadata.get("editable", True) == mine.metadata.get("editable", True)
        if mine.metadata["nbgrader"]["locked"]:
            assert theirs.source.strip() == mine.source.strip()


def test_nbgrader_scores_the_reference_full_and_its_own_release_zero(source_02):
    from nbgrader.utils import determine_grade, is_grade

    for nb, share in ((source_02, 1), (preprocessed(source_02, "ClearSolutions"), 0)):
        done = preprocessed(nb, "Execute")
        grades = [determine_grade(cell) for cell in done.cells if is_grade(cell)]
        assert sum(most for _, most in grades) == 10
        assert sum(score for score, _ in grades) == 10 * share
