"""What each technique buys, in Python: buys.js with the runs of a recorded study."""

import html
import re

import anywidget
import numpy as np
import traitlets

from cnnlib.playground.files import module
from cnnlib.playground.kernel import custom_element, element_id, known_controls

CONTROLS = {"technique", "accuracy", "seeds"}
FULL = "full"  # the arm that is the whole recipe
COLUMNS = {"plain": "test_accuracy", "tta": "tta_accuracy", "seconds": "seconds"}  # of a record, by their names here
MOST_SEEDS = 999


class BuysPlayground(anywidget.AnyWidget):
    """See whether a technique buys accuracy and seconds, and whether so many seeds can show it.

    runs: {arm: {"plain": [...], "tta": [...], "seconds": [...]}}, accuracies from 0 to 1, a number for each seed
    technique, accuracy, seeds: what is looked at; the reader changes them on the page
    Provided.
    """

    _esm = module("buys")
    runs = traitlets.Dict().tag(sync=True)
    technique = traitlets.Unicode("").tag(sync=True)
    accuracy = traitlets.Enum(["plain", "tta"], "plain").tag(sync=True)
    seeds = traitlets.Int(MOST_SEEDS, min=1, max=MOST_SEEDS).tag(sync=True)
    source = traitlets.Unicode("").tag(sync=True)
    controls = traitlets.Unicode("technique accuracy seeds").tag(sync=True)
    predict = traitlets.Bool(False).tag(sync=True)
    label = traitlets.Unicode("What each technique buys").tag(sync=True)
    name = traitlets.Unicode("")

    @traitlets.validate("technique")
    def _check_technique(self, proposal):
        arms = [arm for arm in self.runs if arm != FULL]
        if arms and proposal["value"] not in arms:
            raise ValueError(f"no technique is called {proposal['value']!r}: there are {', '.join(arms)}")
        return proposal["value"]

    @traitlets.validate("accuracy")
    def _check_accuracy(self, proposal):
        if without := [arm for arm, results in self.runs.items() if proposal["value"] not in results]:
            column = COLUMNS[proposal["value"]]
            raise ValueError(f"{without[0]} has no {column}: choose the other accuracy, or record it for every arm")
        return proposal["value"]

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], CONTROLS)

    @property
    def difference(self):
        """What the technique buys in points: the full recipe's mean minus the other's, over these seeds. Provided."""
        full, other = (np.array(self.runs[arm][self.accuracy][: self.seeds]) for arm in (FULL, self.technique))
        return 100 * (full.mean() - other.mean())

    def __repr__(self):
        setting = f"technique={self.technique!r}, accuracy={self.accuracy!r}, seeds={self.seeds}"
        return f"BuysPlayground({len(self.runs) - 1} techniques, {setting})"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def buys_playground(
    record,
    *,
    technique="",
    accuracy="plain",
    seeds=None,
    controls="technique accuracy seeds",
    predict=False,
    name="",
    label="What each technique buys",
):
    """A playground that asks of a study which techniques its seeds can show: a widget in JupyterLab, a page's part.

    record: a study as recipes.run_study writes it, load_record("..."), whose arm "full" is the whole recipe
    technique: the arm that is looked at first, "" for the record's first    accuracy: "plain", or "tta"
    seeds: how many runs of each arm are looked at first, None for all
    controls: what the reader may change, any of technique, accuracy, seeds
    predict: all but the full recipe's runs stays covered until asked for
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    An arm counts once it is there: new ones need no change here. "no_flips" is shown as the technique "flips".
    Returns a BuysPlayground.
    Raises ValueError for a record that is no study, an unknown technique or control, and an accuracy that is not there.
    Provided.
    """
    runs = runs_of(record)
    most = max(len(results["plain"]) for results in runs.values())
    if seeds is not None and not 1 <= seeds <= most:
        raise ValueError(f"seeds is {seeds}: the record has {most}, choose from 1 to {most}")
    technique = technique or next(arm for arm in runs if arm != FULL)
    setting = {"technique": technique, "accuracy": accuracy, "seeds": seeds or most}
    options = {"source": source_of(record), "controls": controls, "predict": predict}
    return BuysPlayground(runs=runs, **setting, **options, name=element_id(name), label=label)


def runs_of(record):
    """The results of a study that the playground shows: {arm: {"plain": [...], "tta": [...], "seconds": [...]}}.

    record: a study as recipes.run_study writes it    what an arm has no column of is left out
    Raises ValueError if it is no study with an arm "full" and another one, or an arm's results are no lists of numbers.
    Provided.
    """
    arms = record.get("arms") if isinstance(record, dict) else None
    if not isinstance(arms, dict) or FULL not in arms or len(arms) < 2:
        found = sorted(arms) if isinstance(arms, dict) else type(record).__name__
        raise ValueError(f'want a study with an arm "{FULL}" and others, got {found}: pass load_record("...")')
    return {arm: results_of(arm, columns) for arm, columns in arms.items()}


def results_of(arm, columns):
    """The results of one arm of a record by the playground's names. Raises ValueError as runs_of does. Provided."""
    if not re.fullmatch(r"[A-Za-z](\w*[A-Za-z0-9])?", arm):
        raise ValueError(f"an arm is called {arm!r}: want letters, digits and _, a letter first, no _ at the end")
    results = {name: [float(value) for value in columns[key]] for name, key in COLUMNS.items() if columns.get(key)}
    if "plain" not in results:
        raise ValueError(f"arm {arm} has no test_accuracy: a study of classifiers records one for each seed")
    for name, values in results.items():
        if len(values) != len(results["plain"]):
            raise ValueError(
                f"arm {arm} has {len(values)} values of {COLUMNS[name]} but {len(results['plain'])} of test_accuracy"
            )
        top = np.inf if name == "seconds" else 1
        if not all(np.isfinite(value) and 0 <= value <= top for value in values):
            raise ValueError(f"arm {arm}: {COLUMNS[name]} is {values}, want numbers from 0 to {top}")
    return results


def source_of(record):
    """Where the runs come from, in a sentence: the record, its images, its machine. Provided."""
    hardware = record.get("hardware", {})
    machine = hardware.get("processor") or hardware.get("device") or ""
    images = f"{record['train_images']:,} training images" if "train_images" in record else ""
    facts = ", ".join(fact for fact in (images, machine) if fact)
    return f"Runs: {record.get('name', 'a study')}{f' ({facts})' if facts else ''}."


def written_runs(runs):
    """The runs as text: arms with semicolons between them, and in an arm a list after each |. Provided."""

    def one(arm, results):
        lists = (f"{name} {' '.join(f'{value:.6g}' for value in values)}" for name, values in results.items())
        return " | ".join([arm, *lists])

    return "; ".join(one(arm, results) for arm, results in runs.items())


def compared(full, found):
    """Of two arms' accuracies in percent, what a table says: difference, smallest visible one, a remark. Provided."""
    if min(len(full), len(found)) < 2:
        return [f"{full.mean() - found.mean():+.2f}", "", "one run shows nothing about the spread"]
    spread = np.sqrt((full.var(ddof=1) + found.var(ddof=1)) / 2)
    gain, least = full.mean() - found.mean(), 2.8 * spread * np.sqrt(1 / len(full) + 1 / len(found))
    return [f"{gain:+.2f}", f"{least:.2f}", "too small to see" if abs(gain) < least else ""]


def table(widget):
    """All runs as an HTML table for where no script runs: means, differences to the full recipe, what can be shown.

    The smallest difference that can be shown is 2.8 s sqrt(1/m + 1/n): s the deviation, m and n the numbers of runs.
    Provided.
    """
    percent = {arm: 100 * np.array(results[widget.accuracy]) for arm, results in widget.runs.items()}
    rows = []
    for arm, found in percent.items():
        cells = ["", "", ""] if arm == FULL else compared(percent[FULL], found)
        rows.append([arm.replace("_", " "), len(found), f"{found.mean():.2f}", *cells])
    head = ["recipe", "runs", "mean (%)", "full minus it (points)", "can be shown (points)", "remark"]
    return f"<table>{row_of('th', head)}{''.join(row_of('td', row) for row in rows)}</table>"


def row_of(tag, cells):
    """A row of an HTML table. Provided."""
    return f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>"


def element(widget):
    """The widget as HTML for a page without Python: <cnn-buys ...>, its state as attributes, and a table. Provided."""
    attributes = {
        "id": widget.name,
        "runs": written_runs(widget.runs),
        **{name: getattr(widget, name) for name in ("technique", "accuracy", "seeds", "source")},
        "controls": widget.controls or " ",  # what is empty would be left out
        "predict": "true" if widget.predict else "",
        "label": widget.label,
    }
    fallback = f"A playground: a recipe beside the same without one of {len(widget.runs) - 1} techniques, seed by seed."
    shown = table(widget)
    if widget.predict:
        shown = f"<details><summary>The results as a table</summary>{shown}</details>"
    whole = custom_element("cnn-buys", attributes, fallback)
    return whole.replace("</cnn-buys>", f"{shown}</cnn-buys>")
