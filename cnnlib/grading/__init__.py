"""Exercises: `check` an answer at once; `python -m cnnlib grade` scores a notebook."""

import os
import sys


def check(question):
    """Try an answer on fresh random inputs and print, in a sentence, whether it is right or where it first goes wrong.

    question: its number, for example "02.2". The answer is whatever the notebook has defined by now.
    Provided.
    """
    if "CNNLIB_RUN" in os.environ:  # the grader has its own questions
        return
    from cnnlib.grading.feedback import feedback

    print(f"Exercise {question}: {feedback(str(question), sys._getframe(1).f_globals)}")
