"""Figures: what is drawn is the data, text is legible, nothing is left open."""

from xml.etree import ElementTree

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from cnnlib import viz


@pytest.fixture(autouse=True)
def course_style():
    with matplotlib.rc_context():
        viz.style()
        yield
    assert plt.get_fignums() == [], "a figure stayed open"


def texts(figure):
    figure.canvas.draw()
    found = [t for t in figure.findobj(matplotlib.text.Text) if t.get_visible() and t.get_text().strip()]
    return [t.get_text().replace("\N{MINUS SIGN}", "-") for t in found], min(t.get_fontsize() for t in found)


def drawn(axes):
    return axes.get_images()[0].get_array()


HISTORY = {"training": [3.0, 2.0, 1.0], "validation": np.array([[3.0, 2.5, 2.0], [3.2, 2.7, 2.4]])}
FIGURES = {
    "show": lambda: viz.show(np.zeros((3, 4, 5)), titles=["a", "b", "c"]),
    "numbers": lambda: viz.numbers([np.eye(3), np.arange(4)], titles=["x", "w"], between="×", window=(0, 1, 2, 2)),
    "response": lambda: viz.response(np.eye(6), np.ones((3, 2)), np.ones((4, 5))),
    "curves": lambda: viz.curves(HISTORY, ylabel="loss"),
    "bars": lambda: viz.bars([10**12, 9], ["dense", "local"], log=True),
    "confusion": lambda: viz.confusion(np.arange(9).reshape(3, 3), ["cat", "dog", "airplane"]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_text_of_nine_points_or_more(name):
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    assert texts(figure)[1] >= 9


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_fits_the_page_on_a_white_ground(name, tmp_path):
    figure = FIGURES[name]()
    figure.savefig(tmp_path / "figure.png", bbox_inches="tight")
    image = plt.imread(tmp_path / "figure.png")
    assert image.shape[1] <= 760
    assert (image[0, :, :3] == 1).all()
    assert (image[:, 0, :3] == 1).all()
    assert (tmp_path / "figure.png").stat().st_size < 50_000


def test_drawing_functions_return_the_axes_they_were_given():
    _, axes = viz.panels(5)
    assert viz.show(np.eye(3), ax=axes[0]) is axes[0]
    assert viz.numbers(np.eye(3), ax=axes[1]) is axes[1]
    assert viz.curves({"a": [1, 2]}, ax=axes[2]) is axes[2]
    assert viz.bars([1], ["a"], ax=axes[3]) is axes[3]
    assert viz.confusion(np.eye(2, dtype=int), "ab", ax=axes[4]) is axes[4]


@pytest.mark.parametrize(
    ("shape", "count"),
    [((4, 5), 1), ((4, 5, 3), 1), ((2, 4, 5), 2), ((2, 4, 5, 3), 2), ((2, 1, 4, 5), 2), ((2, 3, 4, 5), 2)],
)
def test_show_takes_every_layout_of_the_course(shape, count):
    figure = viz.show(np.random.default_rng(0).random(shape))
    images = [drawn(a) for a in figure.axes if a.get_images()]
    assert len(images) == count
    assert all(i.shape[:2] == (4, 5) for i in images)


def test_show_keeps_channels_in_order_when_it_moves_them():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    assert np.array_equal(drawn(viz.show(images).axes[1]), images[1].transpose(1, 2, 0))


def test_show_says_which_shapes_it_takes():
    with pytest.raises(ValueError, match=r"images of shape \(7,\)"):
        viz.show(np.zeros(7))


def test_show_gives_bytes_their_full_range_and_floats_their_own():
    assert drawn_limits(viz.show(np.array([[3, 9]], np.uint8))) == (0, 255)
    assert drawn_limits(viz.show(np.array([[3.0, 9.0]]))) == (3, 9)
    assert drawn_limits(viz.show(np.array([[3.0, 9.0]]), limits=(0, 10))) == (0, 10)


def drawn_limits(figure):
    return figure.axes[0].get_images()[0].get_clim()


def test_signed_images_have_symmetric_limits_and_white_for_zero():
    figure = viz.show(np.array([[-4.0, 0.0, 1.0]]), signed=True)
    image = figure.axes[0].get_images()[0]
    assert image.get_clim() == (-4, 4)
    red, green, blue, _ = image.to_rgba(np.array([[-4.0, 0.0, 1.0]]))[0, 1]
    assert min(red, green, blue) > 0.95


def test_a_constant_image_can_be_drawn():
    assert drawn_limits(viz.show(np.full((2, 2), 7.0))) == (7, 8)
    assert drawn_limits(viz.show(np.zeros((2, 2)), signed=True)) == (-1, 1)


def test_grids_are_as_wide_as_asked_and_show_every_title():
    figure = viz.show(np.zeros((10, 4, 4)), titles=[f"t{k}" for k in range(10)], columns=4)
    assert len(figure.axes) == 12
    assert [t for t in texts(figure)[0] if t.startswith("t")] == [f"t{k}" for k in range(10)]


def test_numbers_writes_every_value():
    written = texts(viz.numbers([np.array([[1.0, -2.5], [0.125, 30.0]]), np.array([7])], digits=2))[0]
    assert written == ["1", "-2.5", "0.12", "30", "7"]


def test_numbers_writes_rounded_whole_and_infinite_values():
    assert texts(viz.numbers(np.array([-0.001, 0.999, 100, -np.inf]), signed=True))[0] == ["0", "1", "100", "-∞"]
    assert texts(viz.numbers(np.array([10.4, -0.2]), digits=0))[0] == ["10", "0"]


def test_numbers_frames_the_window_it_is_given():
    figure = viz.numbers([np.eye(4), np.eye(2)], window=[(1, 2, 3, 2), (0, 1, 1, 1)])
    frames = [p.get_bbox().bounds for p in figure.axes[0].patches if p.get_edgecolor()[:3] == matplotlib_rgb(viz.MARK)]
    assert frames == [(2.0, 1.0, 2.0, 3.0), (pytest.approx(5.9), 1.0, 1.0, 1.0)]


def matplotlib_rgb(color):
    return matplotlib.colors.to_rgb(color)


def test_curves_draws_the_mean_of_several_runs():
    axes = viz.curves(HISTORY).axes[0]
    assert axes.get_lines()[0].get_ydata().tolist() == [3.0, 2.0, 1.0]
    assert axes.get_lines()[1].get_ydata() == pytest.approx([3.1, 2.6, 2.2])
    assert axes.get_lines()[0].get_xdata().tolist() == [1, 2, 3]


def test_curves_differ_in_more_than_color():
    lines = viz.curves({str(k): [1, 2] for k in range(6)}).axes[0].get_lines()
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == 6


def test_confusion_writes_counts_and_shades_only_mistakes():
    figure = viz.confusion(np.array([[980, 2], [0, 990]]), ["cat", "dog"])
    assert [t for t in texts(figure)[0] if t.isdigit()] == ["980", "2", "990"]
    assert drawn(figure.axes[0]).tolist() == [[0, 2], [0, 0]]


def test_photo_comes_in_color_and_in_gray():
    color, gray = viz.photo("flower", gray=False), viz.photo("flower")
    assert (color.shape, color.dtype) == ((427, 640, 3), np.uint8)
    assert (gray.shape, gray.dtype) == ((427, 640), np.uint8)
    assert np.abs(color @ [0.299, 0.587, 0.114] - gray).max() <= 0.5


def test_photo_shrinks_by_averaging_whole_blocks():
    crop = (100, 100, 60, 90)
    full, small = viz.photo(crop=crop).astype(float), viz.photo(crop=crop, size=(20, 30))
    want = full.reshape(20, 3, 30, 3).mean((1, 3))
    assert np.abs(small - want).max() <= 1  # gray levels are rounded before one mean and after the other


def test_photo_keeps_the_center_of_what_does_not_divide():
    full, small = viz.photo(crop=(0, 0, 7, 9)), viz.photo(crop=(0, 0, 7, 9), size=(5, 5))
    assert np.array_equal(small, full[1:6, 2:7])


def test_photo_refuses_to_grow():
    with pytest.raises(ValueError, match="smaller size"):
        viz.photo(size=(500, 100))


# Networks


ROWS = [("input", (1, 28, 28)), ("Conv2d", (32, 26, 20), "320"), ("signal", (4, 50)), ("Linear", (10,), "5,130")]


def parts(rows, **options):
    """The elements of a drawing by tag; that it parses is a test by itself."""
    root = ElementTree.fromstring(viz.network(rows, **options)._repr_svg_())
    found = {}
    for one in root.iter():
        found.setdefault(one.tag.split("}")[1], []).append(one)
    return found


def test_a_network_is_drawn_with_its_shapes_kinds_and_notes():
    found = parts(ROWS)
    said = [one.text for one in found["text"]]
    assert said == [
        "1 × 28 × 28",
        "input",
        "32 × 26 × 20",
        "Conv2d",
        "320",
        "4 × 50",
        "signal",
        "10",
        "Linear",
        "5,130",
    ]
    assert found["svg"][0].get("aria-label") == "input: 1 x 28 x 28; Conv2d: 32 x 26 x 20; signal: 4 x 50; Linear: 10"
    sheets = [one for one in found["rect"] if one.get("class") == "sheet"]
    sizes = {(one.get("width"), one.get("height")) for one in sheets}
    assert len(sheets) == 1 + 6 + 4
    assert {("26.9", "26.9"), ("19.2", "25.0"), ("48.0", "3.0")} == sizes
    assert len(found["path"]) == 3  # an arrow between any two


def test_a_long_network_goes_on_in_the_next_line_inside_the_drawing():
    found = parts([("layer", (8, 4, 4))] * 14, columns=5)
    width, height = (float(found["svg"][0].get(name)) for name in ("width", "height"))
    assert (width, height) == (500, 3 * 142)
    for one in found["rect"] + found["text"]:
        assert 0 <= float(one.get("x", 0)) <= width
        assert 0 <= float(one.get("y", 0)) <= height
    assert len(found["path"]) == 14 - 3


@pytest.mark.parametrize(("maps", "sheets"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (16, 5), (32, 6), (512, 6)])
def test_up_to_four_maps_are_all_drawn_and_more_never_look_like_fewer(maps, sheets):
    found = parts([("layer", (maps, 4, 4))])
    assert len([one for one in found["rect"] if one.get("class") == "sheet"]) == sheets


def test_gradients_stand_below_the_blocks_with_arrows_back():
    rows = [("x", (1, 6, 6)), ("conv", (4, 6, 6), "d conv"), ("relu", (4, 6, 6), "d relu"), ("out", (2,), "d out")]
    found = parts(rows, backward=True)
    kinds = {one.text: float(one.get("y")) for one in found["text"] if not one.get("class")}
    below = {one.text: float(one.get("y")) for one in found["text"] if one.get("class") == "back"}
    assert set(below) == {"d conv", "d relu", "d out"}
    assert min(below.values()) > max(kinds.values())
    back = [one for one in found["path"] if one.get("class") == "line back"]
    assert len(found["path"]) - len(back) == 3
    assert len(back) == 2  # the input has no gradient here, so nothing goes back to it
    assert all("h-60" in one.get("d") for one in back)
    height = float(found["svg"][0].get("height"))
    assert max(float(one.get("d").split("h-60")[0].split()[1]) for one in back) + 4 <= height
    assert not [one for one in parts(rows)["path"] if one.get("class") == "line back"]


def test_rows_of_a_ledger_can_be_drawn_and_text_is_escaped():
    class Row:
        kind, shape = "<b>&", (3,)

    assert [one.text for one in parts([Row()])["text"]] == ["3", "<b>&"]


def test_a_network_has_colors_for_a_dark_screen():
    light, dark = parts(ROWS)["style"][0].text.split("@media(prefers-color-scheme:dark)")
    for name in ("text{", ".note{", ".ground{", ".line{", ".sheet", ".bar{", "text.back{", ".line.back{"):
        assert name in light
        assert name in dark


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "no rows"),
        ([("x", ())], "has the shape"),
        ([("x", (1, 2, 3, 4))], "without N"),
        ([("x", (3, 0, 2))], "x has"),
    ],
)
def test_what_cannot_be_drawn_is_refused(rows, says):
    with pytest.raises(ValueError, match=says):
        viz.network(rows)


def test_dots_show_every_run_a_mean_for_each_row_and_the_first_on_top():
    axes = viz.dots({"one": [1.0, 2.0, 6.0], "two": [4.0]}, xlabel="points").axes[0]
    drawn = [line for line in axes.lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in drawn] == [[1, 2, 6], [4]]
    means = [set(line.get_xdata()) for line in axes.lines if line.get_marker() != "o"]
    assert means == [{3}, {3}, {4}]  # the first row's through all rows, then each row's own
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    assert axes.yaxis_inverted()
