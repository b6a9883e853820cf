"""What the commands `exercises` and `grade` do."""

import secrets
import sys
from pathlib import Path

# jsonschema's check of web addresses takes a second to import and is of no use here.
sys.modules.setdefault("rfc3987_syntax", None)

from cnnlib.grading import notebook, report, sources  # noqa: E402
from cnnlib.grading.grade import Result, grade  # noqa: E402


def exercises(check=False):
    """Derive every learner's notebook from its source, or only say which are out of step. Returns the exit code.

    Provided.
    """
    stale = []
    for name, path in sources.sources().items():
        stale += notebook.update(name, path, path.parents[1] / path.name, check)
    for path in stale:
        print(f"{path.relative_to(sources.ROOT)}: {'out of step: python -m cnnlib exercises' if check else 'written'}")
    if not stale:
        print(f"{len(sources.sources())} exercises, all in step with their sources.")
    return 1 if check and stale else 0


def find(paths):
    """The notebooks that these files and folders stand for. Provided."""
    found = []
    for path in paths:
        inside = sorted(path.rglob("*.ipynb")) if path.is_dir() else []
        skipped = [p for p in inside if ".ipynb_checkpoints" in p.parts or sources.SOURCES in p.resolve().parents]
        found += [p for p in inside if p not in skipped] if path.is_dir() else [path]
    return found


def grade_all(paths, seed=None, as_json=False, html=None, csv=None):
    """Grade files and folders, and report. Returns the worst of their exit codes. Provided."""
    seed = secrets.randbits(32) if seed is None else seed
    files, cache, results = find(paths), {}, []
    if not files:
        print("there is no notebook to grade.", file=sys.stderr)
        return 2
    for number, path in enumerate(files, 1):
        print(f"grading {path} ({number} of {len(files)}) ...", file=sys.stderr, flush=True)
        results.append(grade_one(path, seed, cache))
    if as_json:
        print(report.as_json(results))
        for line in [line for result in results for line in report.remarks(result)]:
            print(line, file=sys.stderr)
    else:
        report.show(results, seed)
    if html:
        report.write_html(results, Path(html))
    if csv:
        report.write_csv(results, csv)
    return max(result.exit_code for result in results)


def grade_one(path, seed, cache):
    """Grade one file; whatever goes wrong with it costs only that file. Provided."""
    try:
        return grade(path, seed, cache)
    except Exception as error:
        return Result(str(path), error=f"the grader itself failed ({type(error).__name__}: {error}).")
