"""What the commands `exercises` and `grade` do."""

import secrets
import sys
import tempfile
from pathlib import Path

# jsonschema's check of web addresses takes a second to import and is of no use here.
sys.modules.setdefault("rfc3987_syntax", None)

from cnnlib.grading import card, many, notebook, page, report, sources  # noqa: E402
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
    """The notebooks that these files and folders stand for, without what editors and archives leave beside them.

    Provided.
    """
    found = []
    for path in paths:
        inside = sorted(path.rglob("*.ipynb")) if path.is_dir() else [path]
        found += inside if not path.is_dir() else [p for p in inside if not is_beside(p)]
    return found


def is_beside(path):
    """Whether a notebook in a folder is no submission: a checkpoint, a file of macOS's archives, a source. Provided."""
    return (
        bool({".ipynb_checkpoints", "__MACOSX"} & set(path.parts))
        or path.name.startswith("._")
        or sources.SOURCES in path.resolve().parents
    )


def grade_all(paths, seed=None, as_json=False, html=None, csv=None, record=None, part=None, jobs=None):
    """Grade files and folders, and report. Returns the worst of their exit codes, 130 if it was stopped.

    Files to be written are tried before the first is graded, and the results are shown before they are written. part:
    (3, 10) for the third tenth of the files; jobs: how many at once, by default as many as the machine bears. Beside a
    table a journal is kept until the table is written, so that the same command goes on after an interruption.
    Provided.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    html, csv, record = (Path(path) if path else None for path in (html, csv, record))
    journal = Path(f"{csv}.journal") if csv else None
    outputs = [(path, path is html and not page.is_page(path)) for path in (html, csv, record, journal) if path]
    if wrong := [sentence for path, folder in outputs if (sentence := not_writable(path, folder))]:
        print("\n".join(wrong), file=sys.stderr)
        return 2
    files = find(paths)
    if not files:
        print("there is no notebook to grade.", file=sys.stderr)
        return 2
    files = many.shard(files, part) if part else files
    kept = many.Journal(journal, seed)
    seed = kept.start(secrets.randbits(32))
    if kept.known:
        print(f"{report.shown(str(journal))} knows {len(kept.known)} files: going on from there.", file=sys.stderr)
    try:
        results = many.grade_many(files, grade_one, seed, jobs or many.at_once(), kept)
    except KeyboardInterrupt:
        how = (
            "The same command goes on from here." if journal else "With --csv, the same command would go on from here."
        )
        print(f"Stopped. {how}", file=sys.stderr)
        return 130
    if as_json:
        print(report.as_json(results))
        for line in [line for result in results for line in report.remarks(result)]:
            print(line, file=sys.stderr)
    else:
        report.show(results, seed)
    codes = [result.exit_code for result in results]
    for path, write in ((html, page.write), (csv, report.write_csv), (record, report.write_record)):
        if not path:
            continue
        try:
            write(results, path, *([seed] if path is record else []))
        except OSError as error:
            print(f"{report.shown(str(path))} could not be written: {error.strerror}.", file=sys.stderr)
            codes.append(2)
            break
    else:
        kept.end()
    return max(codes, default=0)


def merge(paths, out):
    """Join the tables of several shards; returns the exit code. Provided."""
    try:
        count = many.merge_tables(paths, out)
    except (ValueError, OSError) as error:
        print(report.shown(str(error)), file=sys.stderr)
        return 2
    print(f"{report.shown(str(out))}: {count} notebooks from {len(paths)} tables.")
    return 0


def leaderboard(paths, out):
    """Rank the recipes in records of one seed, and write the table too if out is a path; returns the exit code.

    Provided.
    """
    try:
        board = card.leaderboard(card.read_cards(paths))
        report.show_board(board)
        if out:
            card.write_csv(board, out)
    except (ValueError, OSError) as error:
        print(report.shown(str(error)), file=sys.stderr)
        return 2
    return 0


def not_writable(path, folder=False):
    """A sentence if a file, or a folder of files, cannot be written, or "". Nothing is left behind. Provided."""
    there = path.exists()
    try:
        if path.is_dir() and folder:
            with tempfile.TemporaryFile(dir=path):
                return ""
        if folder:
            path.mkdir()
            path.rmdir()
            return ""
        with open(path, "ab"):
            pass
        if not there:
            path.unlink()
        return ""
    except OSError as error:
        reason = f"the folder {path.parent} is not there" if not path.parent.exists() else error.strerror
        return f"{report.shown(str(path))} cannot be written: {report.shown(reason)}. Nothing was graded."


def grade_one(path, seed, cache):
    """Grade one file; whatever goes wrong with it costs only that file. Provided."""
    try:
        result = grade(path, seed, cache)
    except Exception as error:
        result = Result(str(path), error=f"the grader itself failed ({type(error).__name__}: {error}).")
    result.notebook, result.error = report.shown(result.notebook), report.shown(result.error)
    result.notes = [report.shown(note) for note in result.notes]
    for question in result.questions:
        question.message = report.shown(question.message)
    return result
