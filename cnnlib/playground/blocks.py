"""The block builder in Python: blocks.js with a block of the learner's own."""

import anywidget
import traitlets

from cnnlib.playground.files import module
from cnnlib.playground.kernel import custom_element, element_id, known_controls

CONTROLS = {"parts", "presets", "input"}
MOST_BRANCHES, MOST_PARTS, MOST_CHANNELS, LARGEST_INPUT = 4, 4, 1024, 1024
KERNELS = (1, 3, 5, 7)
NUMBERS = {"conv": 2, "depthwise": 1, "pool": 1}  # of each kind of part: how many follow it
START = ((("conv", 16, 1), ("conv", 16, 3), ("conv", 64, 1)),)


class BlocksPlayground(anywidget.AnyWidget):
    """Build a block from parts and see its shapes, its three costs and its field beside a plain 3 x 3 convolution's.

    block: branches of parts as blocks_playground takes them    input: (C, H, W)
    part: the branch and the place there of the part that is changed, from 0
    What the learner changes on the page is read here, and what is assigned here shows on the page.
    Provided.
    """

    _esm = module("blocks")
    block = traitlets.Any().tag(sync=True)
    input = traitlets.Any().tag(sync=True)
    part = traitlets.Tuple(traitlets.Int(min=0), traitlets.Int(min=0), default_value=(0, 0)).tag(sync=True)
    controls = traitlets.Unicode("parts presets input").tag(sync=True)
    predict = traitlets.Bool(False).tag(sync=True)
    label = traitlets.Unicode("Block builder").tag(sync=True)
    name = traitlets.Unicode("")

    @traitlets.validate("block")
    def _check_block(self, proposal):
        block = tuple(tuple(checked(part) for part in branch) for branch in proposal["value"])
        if not 1 <= len(block) <= MOST_BRANCHES:
            raise ValueError(f"the block has {len(block)} branches: there is room for 1 to {MOST_BRANCHES}")
        for number, branch in enumerate(block, 1):
            if not 1 <= len(branch) <= MOST_PARTS:
                raise ValueError(f"branch {number} has {len(branch)} parts: there is room for 1 to {MOST_PARTS}")
        return block

    @traitlets.validate("input")
    def _check_input(self, proposal):
        sizes = tuple(proposal["value"])
        if len(sizes) != 3 or not all(isinstance(n, int) and 1 <= n <= LARGEST_INPUT for n in sizes):
            raise ValueError(f"input is {sizes}: pass (C, H, W), three whole numbers from 1 to {LARGEST_INPUT}")
        return sizes

    @traitlets.validate("controls")
    def _check_controls(self, proposal):
        return known_controls(proposal["value"], CONTROLS)

    def __repr__(self):
        return f"BlocksPlayground(input {' x '.join(map(str, self.input))}, {'; '.join(map(texts, self.block))})"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": element(self)}, metadata


def blocks_playground(
    block=START,
    *,
    input=(64, 28, 28),
    part=(0, 0),
    controls="parts presets input",
    predict=False,
    name="",
    label="Block builder",
):
    """A playground that builds a block and compares its costs: in JupyterLab a widget, in the book part of a page.

    block: a list of 1 to 4 branches, whose outputs are concatenated; a branch is a list of 1 to 4 parts, one after the
        other: ("conv", channels, kernel), ("depthwise", kernel) or ("pool", kernel), max pooling, with a kernel of 1,
        3, 5 or 7. Strides are 1, paddings keep the size, convolutions have a bias.
    input: (C, H, W)    part: (branch, place) of the part that is changed first, from 0
    controls: what the reader may do, any of parts (change them), presets, input (its channels and size)
    predict: the block's costs and its field stay covered until asked for
    name: the element's id in the page; the page's address holds its set-up    label: what a screen reader calls it
    The costs are counted as cnnlib.ledger counts them: memory is the sum of the numbers that all parts give out.
    Returns a BlocksPlayground.
    Raises ValueError for a part that is none of these, too many branches or parts, an input that is no (C, H, W), or an
    unknown control.
    Provided.
    """
    options = {"controls": controls, "predict": predict, "name": element_id(name), "label": label}
    return BlocksPlayground(block=block, input=tuple(input), part=tuple(part), **options)


def checked(part):
    """A part as a tuple. Raises ValueError if it is none, or a number is out of range. Provided."""
    kind, *numbers = part
    if kind not in NUMBERS or len(numbers) != NUMBERS[kind]:
        raise ValueError(f'part {part}: want ("conv", channels, kernel), ("depthwise", kernel) or ("pool", kernel)')
    if numbers[-1] not in KERNELS:
        raise ValueError(f"part {part}: its kernel is {numbers[-1]}, not one of {', '.join(map(str, KERNELS))}")
    if kind == "conv" and not (isinstance(numbers[0], int) and 1 <= numbers[0] <= MOST_CHANNELS):
        raise ValueError(f"part {part}: channels is {numbers[0]}, not a whole number from 1 to {MOST_CHANNELS}")
    return (kind, *numbers)


def texts(branch):
    """A branch as text: parts with semicolons between them. Provided."""
    return "; ".join(" ".join(map(str, part)) for part in branch)


def element(widget):
    """The widget as HTML for a page without Python: <cnn-blocks ...> with its state as attributes. Provided."""
    attributes = {
        "id": widget.name,
        "block": ";; ".join(map(texts, widget.block)),
        "input": ",".join(map(str, widget.input)),
        "part": "{},{}".format(*widget.part),
        "controls": widget.controls,
        "predict": "true" if widget.predict else "",
        "label": widget.label,
    }
    size = " x ".join(map(str, widget.input))
    fallback = (
        f"A playground: a block on an input of {size}, its three costs and its field beside a plain convolution's."
    )
    return custom_element("cnn-blocks", attributes, fallback)
