"""Arrays in, matplotlib figures out; and drawings of networks, as SVG.

Every function but `network` takes `ax=None`. Without axes it makes a figure and returns it: put the call last in a
cell and the figure appears once. With axes, from `panels`, it draws there and returns them.
"""

from html import escape
from math import log2

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

UNSIGNED = "gray"  # dark is small, bright is large
SIGNED = "RdBu_r"  # blue is negative, white is zero, red is positive
COLORS = ("#0b5cad", "#c2410c", "#2e7d32", "#7b1fa2", "#5d4037", "#455a64")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARK = "#e69f00"  # a window or a cell that is pointed at


def style():
    """Set the look of every figure of the course: white ground, text of 10 points, pixels as squares.

    Provided.
    """
    plt.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 100,
            "savefig.pad_inches": 0.12,
            "figure.facecolor": "white",
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.grid": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": plt.cycler(color=COLORS) + plt.cycler(linestyle=DASHES),
            "image.cmap": UNSIGNED,
            "image.interpolation": "nearest",
            "legend.frameon": False,
        }
    )


def panels(columns=2, rows=1, *, size=(3.2, 2.8), widths=None):
    """An empty figure with room for several drawings.

    columns, rows: how many    size: (width, height) of one panel in inches    widths: relative, one a column
    Returns the figure and its axes: one, (columns,) or (rows, columns). End the cell with the figure to show it.
    Provided.
    """
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(columns * size[0], rows * size[1]),
        layout="constrained",
        width_ratios=widths,
    )
    plt.close(figure)  # shown where a cell ends with it, and nowhere else
    return figure, axes


def show(images, *, titles=None, columns=None, signed=False, limits=None, colorbar=False, size=None, ax=None):
    """Draw one image, or several in a grid.

    images: (H, W), (H, W, 3), (N, H, W), (N, H, W, 3), (N, 1, H, W), (N, 3, H, W), or a list of single images
    titles: one text (or number) an image    columns: of the grid    size: width of one image in inches
    signed: one bool, or one an image: blue below zero, red above, limits symmetric    limits: (low, high) for all
    Without limits uint8 runs from 0 to 255, booleans from 0 to 1, anything else from its own least to its own largest.
    Raises ValueError for an array that is none of these.
    Provided.
    """
    images = _images(images)
    flags = [signed] * len(images) if isinstance(signed, bool | np.bool_) else list(signed)
    titles = [titles] if isinstance(titles, str) else None if titles is None else list(titles)
    if ax is not None:
        return _image(ax, images[0], titles[0] if titles else None, flags[0], limits, colorbar)
    columns = min(columns or 8, len(images))
    rows = -(-len(images) // columns)
    width = size or min(3.2, 6.8 / columns)
    height = width * max(i.shape[0] / i.shape[1] for i in images) + (0.28 if titles else 0.05)
    figure, axes = panels(columns, rows, size=(width, height))
    for k, a in enumerate(np.ravel(axes)):
        if k < len(images):
            _image(a, images[k], titles[k] if titles else None, flags[k], limits, colorbar)
        else:
            a.axis("off")
    return figure


def numbers(arrays, *, titles=None, between="", signed=False, window=None, digits=2, ax=None):
    """Draw one small matrix, or a row of them, with every value written in its cell.

    arrays: (H, W) or (W,), or a list of such    titles: one text an array    between: signs such as "×="
    signed: shade by sign, blue below zero, red above    digits: decimals of values that are no integers
    window: (top, left, height, width) to frame in the first array, or a list, one an array, None for no frame
    Provided.
    """
    arrays = [np.atleast_2d(a) for a in (arrays if isinstance(arrays, list | tuple) else [arrays])]
    titles = [titles] if isinstance(titles, str) else titles or [""] * len(arrays)
    windows = window if isinstance(window, list) else [window]
    high, wide = max(len(a) for a in arrays), sum(a.shape[1] + 0.9 for a in arrays) - 0.9
    cell = min(0.5, 6.8 / wide)  # inches
    figure, axes = (None, ax) if ax is not None else panels(1, size=(cell * wide + 0.1, cell * high + 0.35))
    left = 0.0
    for k, array in enumerate(arrays):
        top = (high - len(array)) / 2
        _matrix(axes, array, left, top, signed, digits, fontsize=10 if cell >= 0.5 else 9)
        axes.text(left + array.shape[1] / 2, top - 0.2, titles[k], ha="center", va="bottom")
        axes.text(left - 0.45, high / 2, between[k - 1 : k] if k else "", ha="center", va="center", fontsize=14)
        if k < len(windows) and windows[k]:
            y, x, height, width = windows[k]
            axes.add_patch(Rectangle((left + x, top + y), width, height, fill=False, edgecolor=MARK, linewidth=3))
        left += array.shape[1] + 0.9
    axes.set(xlim=(-0.05, wide + 0.05), ylim=(high + 0.05, -0.65 if any(titles) else -0.05), aspect="equal")
    axes.axis("off")
    return figure or axes


def response(image, kernel, result, *, titles=("image", "kernel", "response"), limits=None):
    """An image, the kernel with its numbers, and the signed response, side by side.

    image: (H, W)    kernel: (K, L)    result: (H', W')    limits: (low, high) of the image
    Provided.
    """
    ratio = image.shape[0] / image.shape[1]
    figure, axes = panels(3, size=(2.4, max(1.4, 2.7 * ratio + 0.35)), widths=(1, 0.55, 1.15))
    show(image, titles=titles[0], limits=limits, ax=axes[0])
    numbers(kernel, titles=titles[1], signed=True, ax=axes[1])
    show(result, titles=titles[2], signed=True, colorbar=True, ax=axes[2])
    return figure


def curves(history, *, x=None, xlabel="epoch", ylabel="", log=False, ax=None):
    """Draw named curves, each with its own color, dashes and marker.

    history: {name: values}, values (T,), or (runs, T) for the mean with a band from the least to the largest
    x: (T,) common to all; 1..T if left out    log: a logarithmic vertical axis
    Provided.
    """
    figure, axes = (None, ax) if ax is not None else panels(1, size=(6.0, 3.4))
    for name, values, marker in zip(history, history.values(), "osv^DXP*" * 4, strict=False):
        runs = np.atleast_2d(values)
        steps = np.arange(1, runs.shape[1] + 1) if x is None else np.asarray(x)
        every = max(1, len(steps) // 12)
        (line,) = axes.plot(steps, runs.mean(0), marker=marker, markersize=5, markevery=every, label=name)
        if len(runs) > 1:
            axes.fill_between(steps, runs.min(0), runs.max(0), color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    axes.xaxis.get_major_locator().set_params(integer=x is None)
    axes.grid(alpha=0.25)
    axes.legend()
    return figure or axes


def network(rows, *, columns=6, backward=False):
    """Draw a network: a block for each layer's output, with its shape above it and what made it below.

    rows: (kind, shape) or (kind, shape, note) each, the input first; a ledger's rows will do; the note stands below
    A shape of three numbers is drawn as C maps of H x W, of two as C lines of length L, of one as a bar.
    columns: blocks on a line; a longer network goes on in the next one
    backward: the notes are gradients: they get a color, and an arrow from each block back to the one before it
    Returns a Drawing, an SVG with a ground of its own that turns dark with the reader's screen.
    Raises ValueError if there are no rows, or a shape is empty, longer than three, or holds a number below 1.
    Provided.
    """
    blocks = [_block(row) for row in rows]
    if not blocks:
        raise ValueError("there are no rows to draw: pass at least one (kind, shape).")
    sides = [max(shape[1:]) for _, shape, _ in blocks if len(shape) > 1]
    line = 156 if backward else 142  # pixels from one line of blocks to the next
    parts, lines = [], -(-len(blocks) // columns)
    for k, (kind, shape, note) in enumerate(blocks):
        x, y = 100 * (k % columns), line * (k // columns)
        parts += _block_svg(x + 50, y + 84, kind, shape, note, max(sides, default=1), "back" if backward else "note")
        if k % columns:
            parts.append(f'<path class="line" d="M{x - 8} {y + 62}h12m-4 -4l4 4l-4 4"/>')
        if k % columns and backward and blocks[k - 1][2]:
            parts.append(f'<path class="line back" d="M{x + 30} {y + 136}h-60m5 -4l-5 4l5 4"/>')
    width, height = 100 * min(len(blocks), columns), line * lines
    alt = "; ".join(f"{kind}: {' x '.join(map(str, shape))}" for kind, shape, _ in blocks)
    return Drawing(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(alt)}"><style>{NETWORK_STYLE}</style>'
        f'<rect class="ground" width="{width}" height="{height}" rx="6"/>{"".join(parts)}</svg>'
    )


class Drawing:
    """A text in SVG that notebooks show as a figure.

    Provided.
    """

    def __init__(self, svg):
        self.svg = svg

    def _repr_svg_(self):
        return self.svg

    def __repr__(self):  # the same each time, so that a stored output does not change
        return "<Drawing: a figure in SVG>"


NETWORK_STYLE = (
    "text{font:12px system-ui,sans-serif;text-anchor:middle;fill:#1d2228}.note{fill:#555d66}.ground{fill:#fff}"
    ".line{fill:none;stroke:#555d66;stroke-width:1.5}.sheet,.bar{stroke:#0b5cad;stroke-width:1.2;fill:#dbe8f5}"
    ".bar{fill:#0b5cad}text.back{fill:#b03a0a}.line.back{stroke:#b03a0a}"
    "@media(prefers-color-scheme:dark){text{fill:#eceff3}.note{fill:#b3bbc5}.ground{fill:#191c21}"
    ".line{stroke:#b3bbc5}.sheet,.bar{stroke:#74b2ee;fill:#1f3347}.bar{fill:#74b2ee}"
    "text.back{fill:#f0a070}.line.back{stroke:#f0a070}}"
)


def bars(values, labels, *, xlabel="", log=False, form="{:,}", ax=None):
    """Horizontal bars with their values written at the end, the first on top.

    values: (N,) of numbers not below zero    labels: N texts    form: how a value is written
    Provided.
    """
    values = np.asarray(values)
    figure, axes = (None, ax) if ax is not None else panels(1, size=(6.0, 0.6 + 0.32 * len(values)))
    drawn = axes.barh(range(len(values)), values, color=COLORS[0])
    axes.bar_label(drawn, [form.format(v) for v in values.tolist()], padding=4)
    axes.set_yticks(range(len(values)), labels)
    axes.set(xlabel=xlabel, xscale="log" if log else "linear")
    axes.margins(x=0.18)
    if log:
        axes.set_xlim(left=min(1, values.min() / 2))
    axes.invert_yaxis()
    return figure or axes


def dots(groups, *, xlabel="", ax=None):
    """A row for each group of numbers: a dot for each number, and a bar at their mean.

    groups: {label: (N,) numbers}, the first on top; a thin line marks its mean in all rows
    The dots of a row rise from the first to the last, so that equal numbers are seen apart.
    Provided.
    """
    figure, axes = (None, ax) if ax is not None else panels(1, size=(6.0, 0.7 + 0.32 * len(groups)))
    means = [np.mean(values) for values in groups.values()]
    axes.axvline(means[0], color=COLORS[5], linestyle=":", linewidth=1)
    for row, values in enumerate(groups.values()):
        lift = np.linspace(0.22, -0.22, len(values)) if len(values) > 1 else [0]
        axes.plot(values, row + np.array(lift), "o", markersize=4, alpha=0.7, color=COLORS[0])
        axes.plot([means[row]] * 2, [row - 0.36, row + 0.36], "-", linewidth=2.5, color=COLORS[1])
    axes.set_yticks(range(len(groups)), groups)
    axes.set(xlabel=xlabel)
    axes.grid(axis="x", alpha=0.25)
    axes.invert_yaxis()
    return figure or axes


def confusion(matrix, classes, *, ax=None):
    """A confusion matrix: rows are the true classes, columns the predicted ones, counts written in.

    matrix: (C, C) counts    classes: C names
    The shade is for mistakes only: the diagonal is left white, so that a good network does not hide what it confuses.
    Provided.
    """
    matrix = np.asarray(matrix)
    figure, axes = (None, ax) if ax is not None else panels(1, size=(6.2, 5.6))
    mistakes = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    top = max(mistakes.max(), 1)
    axes.imshow(mistakes, cmap="Reds", vmin=0, vmax=top)
    for i, j in zip(*np.nonzero(matrix), strict=True):
        color = "white" if mistakes[i, j] > 0.6 * top else "black"
        weight = "bold" if i == j else "normal"
        axes.text(j, i, f"{matrix[i, j]}", ha="center", va="center", fontsize=9, color=color, weight=weight)
    turn = 45 if max(len(str(c)) for c in classes) > 3 else 0
    axes.set_xticks(range(len(classes)), classes, rotation=turn, ha="right" if turn else "center")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="true")
    return figure or axes


def photo(name="china", *, crop=None, size=None, gray=True):
    """A real photo, as it comes with scikit-learn: "china" (a temple roof) or "flower", 427 by 640 pixels.

    crop: (top, left, height, width) in pixels, cut out first
    size: (H, W) to shrink to: the largest centered piece a whole number of times as large, averaged block by block
    Returns uint8, (H, W) gray (0.299 red + 0.587 green + 0.114 blue), or (H, W, 3) RGB if gray is False.
    Raises ValueError if size is larger than the photo.
    Photos: china.jpg by danielbuechele, flower.jpg by vultilion, Flickr, Creative Commons BY 2.0.
    Provided.
    """
    from sklearn.datasets import load_sample_image  # here, because it is slow to import

    image = load_sample_image(f"{name}.jpg").astype(np.float64)
    if crop:
        top, left, height, width = crop
        image = image[top : top + height, left : left + width]
    if gray:
        image = image @ [0.299, 0.587, 0.114]
    return np.rint(_shrink(image, *size) if size else image).astype(np.uint8)


def _shrink(image, height, width):
    """Center-crop to a multiple of (height, width) and average each block."""
    k = min(image.shape[0] // height, image.shape[1] // width)
    if k == 0:
        raise ValueError(f"cannot shrink {image.shape[:2]} to ({height}, {width}): ask for a smaller size")
    top, left = (image.shape[0] - k * height) // 2, (image.shape[1] - k * width) // 2
    piece = image[top : top + k * height, left : left + k * width]
    return piece.reshape(height, k, width, k, *image.shape[2:]).mean((1, 3))


def _images(images):
    """A list of (H, W) or (H, W, 3) arrays."""
    if isinstance(images, list | tuple):
        return [one for image in images for one in _images(image)]
    images = np.asarray(images)
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        images = np.moveaxis(images, 1, -1)  # (N, H, W, C)
    if images.ndim in (3, 4) and images.shape[-1] == 1:
        images = images[..., 0]
    color = images.shape[-1] == 3 and images.ndim > 2
    if images.ndim - color == 2:
        return [images]
    if images.ndim - color == 3:
        return list(images)
    raise ValueError(f"images of shape {images.shape}: want (H, W), (H, W, 3), (N, H, W), (N, H, W, 3) or (N, C, H, W)")


def _image(ax, image, title, signed, limits, colorbar):
    low, high = limits or _limits(image, signed)
    if image.ndim == 3 and image.dtype != np.uint8:
        image = np.clip((image - low) / (high - low), 0, 1)
    drawn = ax.imshow(image, cmap=SIGNED if signed else UNSIGNED, vmin=low, vmax=high)
    if colorbar:
        ax.figure.colorbar(drawn, ax=ax, shrink=0.8, pad=0.03)
    ax.set_title("" if title is None else str(title))
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(bool(image.ndim == 2))
    return ax


def _limits(image, signed):
    if signed:
        top = float(np.abs(image).max()) or 1.0
        return -top, top
    if image.dtype in (np.uint8, bool):
        return 0, 255 if image.dtype == np.uint8 else 1
    low, high = float(image.min()), float(image.max())
    return low, high if high > low else low + 1.0


def _matrix(ax, array, left, top, signed, digits, fontsize):
    """Cells of one unit, the upper left corner at (left, top); the shade is at most two thirds, so that text reads."""
    largest = 1.5 * np.abs(array[np.isfinite(array)]).max(initial=0) or 1.0
    shade = plt.colormaps[SIGNED]
    for (i, j), value in np.ndenumerate(array):
        color = shade(0.5 + 0.5 * value / largest) if signed else "white"
        ax.add_patch(Rectangle((left + j, top + i), 1, 1, facecolor=color, edgecolor="0.6", linewidth=0.8))
        ax.text(left + j + 0.5, top + i + 0.5, _written(value, digits), ha="center", va="center", fontsize=fontsize)


def _written(value, digits):
    text = f"{round(float(value), digits) + 0.0:.{digits}f}"  # -0.0 + 0.0 is 0.0
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "\N{MINUS SIGN}").replace("inf", "\N{INFINITY}")


def _block(row):
    """(kind, shape, note) of a row: a tuple, or anything with .kind and .shape."""
    kind, shape, *note = (row.kind, row.shape) if hasattr(row, "kind") else row
    shape = tuple(int(n) for n in (shape if isinstance(shape, tuple | list) else (shape,)))
    if not 1 <= len(shape) <= 3 or min(shape) < 1:
        raise ValueError(f"{kind} has the shape {shape}: it must be (C, H, W), (C, L) or (C,), without N.")
    return str(kind), shape, str(note[0]) if note else ""


def _block_svg(x, floor, kind, shape, note, largest, below):
    """The SVG of one block: its center is x, it stands on floor; below: the class of its note."""
    if len(shape) == 1:
        sheets, high, wide = 1, min(56, 8 + 4 * log2(shape[0])), 7
    else:
        sheets = min(shape[0], max(4, 1 + min(5, round(log2(shape[0])))))  # so many are drawn for so many maps
        high, wide = (max(3, 48 * n / largest) for n in (shape[1:] if len(shape) == 3 else (1, shape[1])))
    shift = 2.5 * (sheets - 1)
    name = "bar" if len(shape) == 1 else "sheet"
    parts = [f'<text x="{x}" y="{floor - 68}">{" × ".join(f"{n:,}" for n in shape)}</text>']
    for k in reversed(range(sheets)):
        left, top = x - (wide + shift) / 2 + 2.5 * k, floor - high - 2.5 * k
        parts.append(f'<rect class="{name}" x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}"/>')
    parts.append(f'<text x="{x}" y="{floor + 20}">{escape(kind)}</text>')
    if note:
        parts.append(f'<text class="{below}" x="{x}" y="{floor + 38}">{escape(note)}</text>')
    return parts
