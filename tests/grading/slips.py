"""How the banks make wrong answers of right ones."""

from cnnlib.grading.sources import read_source


def slip(text, *pairs):
    """A right answer with pieces replaced; each piece must be there."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def changed(cell, *pairs):
    """{cell id: the source's own answer with pieces replaced}."""
    source = {one.id: one.source for one in read_source(cell.split("-")[1])}
    return {cell: slip(source[cell], *pairs)}
