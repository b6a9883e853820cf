"""The receptive field by recursion, against the pixels that a gradient reaches in torch."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from cnnlib.ledger import receptive_field

CONV, POOL = (3,), (2, 2)


def seen(layers, size, i):
    """The pixels with a gradient to number i of the last map: kernels of ones in float64, so that nothing cancels."""
    x = torch.zeros(1, 1, size, dtype=torch.float64, requires_grad=True)
    y = x
    for layer in layers:
        kernel, stride, padding, dilation = (*layer, *(1, 1, 0, 1)[len(layer) :])
        w = torch.ones(1, 1, kernel, dtype=torch.float64)
        y = functional.conv1d(y, w, stride=stride, padding=padding, dilation=dilation)
    y[0, 0, i].backward()
    return torch.nonzero(x.grad[0, 0]).flatten().tolist(), y.shape[2]


def test_two_convolutions_each_with_a_pooling_see_ten_pixels():
    table = receptive_field([CONV, POOL, CONV, POOL])
    assert [row["field"] for row in table] == [3, 4, 8, 10]
    assert [row["jump"] for row in table] == [1, 2, 2, 4]


def test_three_kernels_of_3_see_what_one_of_7_sees():
    assert receptive_field([CONV] * 3)[-1] == {"size": None, "jump": 1, "field": 7, "start": 0}


def test_sizes_follow_the_formula_with_its_floor():
    assert [row["size"] for row in receptive_field([(3, 1, 1), POOL, (3, 1, 1), POOL], 29)] == [29, 14, 14, 7]


def test_padding_moves_the_field_without_widening_it():
    rows = receptive_field([(3, 1, 1), POOL, (3, 1, 1), POOL])
    assert [row["start"] for row in rows] == [-1, -1, -3, -3]
    assert rows[-1]["field"] == 10


def test_no_layers_give_no_rows():
    assert receptive_field([], 28) == []


layer = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.integers(1, 3))


@given(st.lists(layer, min_size=1, max_size=4), st.integers(60, 75), st.data())
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_first_and_last_pixel_are_those_that_a_gradient_reaches(layers, size, data):
    try:
        row = receptive_field(layers, size)[-1]
    except ValueError:
        return  # no window fits
    i = data.draw(st.integers(0, row["size"] - 1))
    pixels, length = seen(layers, size, i)
    assert row["size"] == length
    first = row["start"] + i * row["jump"]
    if first >= 0 and first + row["field"] <= size:  # nothing of it lies in the padding
        assert pixels[0] == first
        assert pixels[-1] == first + row["field"] - 1
    else:
        assert all(first <= pixel < first + row["field"] for pixel in pixels)


@pytest.mark.parametrize(
    ("layers", "size", "says"),
    [
        ([(5,)], 4, "1 pixels too wide for a map of 4"),
        ([POOL, (3, 1, 0, 4)], 10, "4 pixels too wide for a map of 5"),
        ([(0,)], None, "at least 1"),
        ([(2, 0)], None, "at least 1"),
        ([(2, 1, -1)], None, "padding at least 0"),
        ([()], None, "has 0 numbers"),
        ([(3, 1, 1, 1, 1)], None, "has 5 numbers"),
    ],
)
def test_a_layer_that_cannot_be_is_refused_with_its_numbers(layers, size, says):
    with pytest.raises(ValueError, match=says):
        receptive_field(layers, size)


def test_the_ledger_loads_without_torch():
    code = "import cnnlib.ledger, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
