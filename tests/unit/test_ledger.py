"""The receptive field against what a gradient reaches; the ledger against the records that torchvision publishes."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from cnnlib import models
from cnnlib.ledger import Ledger, Meter, ledger, receptive_field

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


# The ledger


def small():
    """A little of everything that has a state: convolution, batch normalization, dropout, in-place ReLU, dense."""
    layers = [nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 3 * 5, 7))


class Net(nn.Module):
    """A network from a function of (self, x) and its parts."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def columns(model, size):
    return [tuple(row) for row in ledger(model, size)]


def test_the_network_of_chapter_07_row_by_row():
    book = ledger(models.SimpleCNN(), (1, 28, 28))
    assert [tuple(row) for row in book] == [
        ("conv", "Conv2d", (32, 26, 26), 320, 26 * 26 * 32 * 9, 32 * 26 * 26),
        ("fc", "Linear", (10,), 54_090, 54_080, 10),
    ]
    assert (book.parameters, book.macs, book.memory) == (54_410, 194_688 + 54_080, 21_642)


NETWORKS = [  # network, size of its image, parameters, MACs, the shape of its last convolution's maps
    (models.SimpleCNN(), (1, 28, 28), 54_410, 248_768, (32, 26, 26)),
    (models.TwoConvCNN(), (1, 28, 28), 421_642, 4_241_152, (64, 14, 14)),
    (models.ThreeConvCNN(), (1, 28, 28), 93_322, 2_794_240, (64, 3, 3)),
    (models.conv_stack(1), (1, 28, 28), 347_146, 541_440, (32, 26, 26)),
    (models.conv_stack(4), (1, 28, 28), 97_482, 2_798_336, (64, 1, 1)),
    (models.resnet18(), (3, 32, 32), 11_173_962, 555_422_720, (512, 4, 4)),
    (models.plain_cifar(20), (3, 32, 32), 269_722, 40_551_040, (64, 8, 8)),
    (models.residual_cifar(56), (3, 32, 32), 853_018, 125_485_696, (64, 8, 8)),
]


@pytest.mark.parametrize(("model", "size", "parameters", "macs", "maps"), NETWORKS)
def test_every_network_of_the_book_costs_what_the_book_says(model, size, parameters, macs, maps):
    book = ledger(model, size)
    assert (book.parameters, book.macs) == (parameters, macs)
    assert [row.shape for row in book if row.kind == "Conv2d"][-1] == maps
    assert book.parameters == models.count_parameters(model) == sum(row.parameters for row in book)


def torchvision_networks():
    """The names of torchvision's image classifiers, but for those whose first weights need a storage."""
    from cnnlib.torchvision import models as zoo

    return [name for name in zoo.list_models(module=zoo) if not name.startswith("regnet")]


# their attention is written out as products of matrices, which the ledger does not count
WRITTEN_OUT = ("swin", "maxvit")


@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
@pytest.mark.parametrize("name", torchvision_networks())
def test_parameters_and_macs_are_those_that_torchvision_publishes(name):
    from cnnlib.torchvision import models as zoo

    weights = zoo.get_model_weights(name)["IMAGENET1K_V1" if name != "vit_h_14" else "IMAGENET1K_SWAG_LINEAR_V1"]
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):  # shapes without numbers: nothing is computed
        model = zoo.get_model(name, weights=None, **options)
    book = ledger(model, (3, *2 * weights.transforms().crop_size))
    assert book.parameters == weights.meta["num_params"]
    assert book[-1].shape[0] == 1000
    if not name.startswith(WRITTEN_OUT):
        assert book.macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=0.0006)


# Araujo, Norris and Sim (2019), table 1: the field before the global pooling or the dense layers
@pytest.mark.parametrize(("name", "field", "jump"), [("alexnet", 195, 32), ("vgg16", 212, 32)])
def test_the_fields_of_published_networks(name, field, jump):
    from cnnlib.torchvision import models as zoo

    with torch.device("meta"):
        model = zoo.get_model(name, weights=None)
    windowed = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d)]
    options = [(m.kernel_size, m.stride, m.padding, m.dilation) for m in windowed]
    layers = [tuple(n if isinstance(n, int) else n[0] for n in layer) for layer in options]
    last = receptive_field(layers, 224)[-1]
    maps = [row.shape[1] for row in ledger(model, (3, 224, 224)) if row.kind in ("Conv2d", "MaxPool2d")]
    assert (last["field"], last["jump"], last["size"]) == (field, jump, maps[-1])


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (2, 1), (2, 3)])
def test_a_convolution_costs_its_weights_at_each_position(dims, groups, stride):
    kernel, sides = (2, 3, 1)[:dims], (7, 9, 5)[:dims]
    conv = getattr(nn, f"Conv{dims}d")(4, 6, kernel, stride=stride, groups=groups)
    (row,) = ledger(conv, (4, *sides))
    assert row.shape == tuple(conv(torch.zeros(1, 4, *sides)).shape[1:])
    assert row.macs == row.memory // 6 * conv.weight.numel()
    assert row.parameters == conv.weight.numel() + 6


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (2, 1), (2, 3)])
def test_a_transposed_convolution_costs_its_weights_at_each_input_position(dims, groups, stride):
    kernel, sides = (2, 3, 1)[:dims], (7, 9, 5)[:dims]
    conv = getattr(nn, f"ConvTranspose{dims}d")(4, 6, kernel, stride=stride, groups=groups)
    (row,) = ledger(conv, (4, *sides))
    assert row.shape == tuple(conv(torch.zeros(1, 4, *sides)).shape[1:])
    assert row.macs == torch.Size(sides).numel() * conv.weight.numel()


def test_a_linear_layer_on_every_token_costs_its_weights_at_each():
    (row,) = ledger(nn.Linear(5, 3), (4, 5))
    assert (row.macs, row.parameters, row.shape) == (4 * 15, 18, (4, 3))


ATTENTIONS = [
    {},
    {"kdim": 6, "vdim": 10},
    {"add_bias_kv": True},
    {"add_zero_attn": True, "bias": False},
    {"batch_first": False},
]


@pytest.mark.parametrize("options", ATTENTIONS)
def test_attention_costs_its_projections_and_its_two_products(options):
    options = {"batch_first": True} | options
    attention = nn.MultiheadAttention(8, 2, **options)
    keys, values, first = options.get("kdim", 8), options.get("vdim", 8), options["batch_first"]

    def run(net, x):  # (1, 5, 8)
        key, value = x.new_zeros(1, 7, keys), x.new_zeros(1, 7, values)
        inputs = [t if first else t.transpose(0, 1) for t in (x, key, value)]
        return net.part(*inputs)[0]

    (row,) = ledger(Net(run, part=attention), (5, 8))
    places = 7 + ("add_bias_kv" in options) + ("add_zero_attn" in options)
    assert row.macs == 5 * 8 * 8 + 7 * keys * 8 + 7 * values * 8 + 5 * 8 * 8 + 2 * 5 * places * 8
    assert row.parameters == sum(p.numel() for p in attention.parameters())


def test_attention_called_as_a_function_costs_its_two_products():
    def run(net, x):  # (1, 2 heads, 5, 8)
        return functional.scaled_dot_product_attention(x, x.new_zeros(1, 2, 7, 8), x.new_zeros(1, 2, 7, 3))

    (row,) = ledger(Net(run), (2, 5, 8))
    assert (row.macs, row.shape) == (2 * 5 * 7 * (8 + 3), (2, 5, 3))


def test_a_layer_of_a_transformer_counts_the_same_by_either_path():
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    assert ledger(layer, (5, 8)).macs == 5 * (4 * 64 + 2 * 8 * 16) + 2 * 25 * 8


def test_functions_outside_of_a_layer_have_rows_of_their_own():
    w = nn.Parameter(torch.zeros(3, 2, 3, 3))
    net = Net(
        lambda net, x: net.fc(functional.conv2d(input=x, weight=net.w, padding=1).mean((2, 3))), w=w, fc=nn.Linear(3, 4)
    )
    assert columns(net, (2, 5, 6)) == [
        ("", "conv2d", (3, 5, 6), 54, 54 * 30, 90),
        ("fc", "Linear", (4,), 16, 12, 4),
    ]


def test_a_module_used_twice_works_twice_and_has_its_parameters_once():
    net = Net(lambda net, x: net.conv(net.conv(x)), conv=nn.Conv2d(2, 2, 3))
    assert columns(net, (2, 8, 9)) == [
        ("conv", "Conv2d", (2, 6, 7), 38, 36 * 42, 84),
        ("conv", "Conv2d", (2, 4, 5), 0, 36 * 20, 40),
    ]
    assert ledger(net, (2, 8, 9)).parameters == 38


def test_weights_shared_by_two_layers_are_counted_once():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[1].weight = net[0].weight
    assert [row.parameters for row in ledger(net, (4,))] == [20, 4]


def test_parameters_count_whether_used_trained_or_in_a_layer():
    net = Net(
        lambda net, x: net.used(x + net.shift),
        used=nn.Linear(4, 2),
        idle=nn.Linear(9, 9),
        shift=nn.Parameter(torch.ones(4)),
    )
    net.used.weight.requires_grad_(False)
    book = ledger(net, (4,))
    assert (book.parameters, len(book), book[0].parameters) == (10 + 90 + 4, 1, 10)
    assert "in no layer above" in str(book)


def test_outputs_in_dictionaries_and_tuples_are_read():
    class Heads(nn.Module):
        def forward(self, x):
            return {"sum": x.sum(1), "pair": (x, [x, None])}

    (row,) = ledger(Heads(), (3, 4))
    assert (row.shape, row.memory) == ((4,), 4 + 12 + 12)


def test_an_empty_network_has_no_rows_and_costs_nothing():
    book = ledger(nn.Sequential(), (1, 4, 4))
    assert (len(book), book.parameters, book.macs, book.memory) == (0, 0, 0, 0)
    assert "total" in str(book)


def test_a_layer_under_a_parametrization_is_one_layer():
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 3))
    (row,) = ledger(nn.Sequential(conv), (2, 5, 5))
    assert (row.macs, row.shape) == (54 * 9, (3, 3, 3))


def test_a_network_that_survives_an_error_of_its_own_is_followed():
    def run(net, x):
        try:
            return net.wrong(x)
        except RuntimeError:
            return functional.linear(net.right(x), net.right.weight.T)

    net = Net(run, wrong=nn.Linear(3, 2), right=nn.Linear(4, 2))
    assert [(row.name, row.kind) for row in ledger(net, (4,))] == [("right", "Linear"), ("", "linear")]


def test_products_written_out_and_everything_else_cost_nothing():
    net = Net(lambda net, x: net.norm((x @ x.transpose(1, 2)).softmax(2)), norm=nn.LayerNorm(4))
    assert ledger(net, (4, 4)).macs == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_image_has_the_type_of_the_weights(dtype):
    assert ledger(small().to(dtype), (2, 6, 10)).macs == 4 * 18 * 60 + 60 * 7


def test_a_network_on_the_meta_device_gives_the_same_table():
    with torch.device("meta"):
        model = small()
    assert columns(model, (2, 6, 10)) == columns(small(), (2, 6, 10))


def state(model):
    """All that a ledger could change: modes, hooks, buffers and parameters, gradients, torch's random numbers."""
    hooks = [
        (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._forward_hooks_always_called)) for m in model.modules()
    ]
    tensors = {name: value.clone() for name, value in model.state_dict().items()}
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    return [m.training for m in model.modules()], hooks, tensors, grads, torch.get_rng_state()


def same(one, two):
    modes, hooks, tensors, grads, draws = one
    assert modes == two[0]
    assert hooks == two[1]
    assert all(torch.equal(tensors[name], two[2][name]) for name in tensors)
    assert all(a is b is None or torch.equal(a, b) for a, b in zip(grads, two[3], strict=True))
    assert torch.equal(draws, two[4])


class Drawing(nn.Module):
    """Draws random numbers and counts its calls in a buffer, in evaluation mode too."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("last", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        self.last = x.mean()
        return functional.dropout(x, training=True)


@pytest.mark.parametrize("size", [(2, 6, 10), (2, 5, 5)])  # fits; fails half-way
def test_everything_is_put_back_after_an_error_too(size):
    model = nn.Sequential(Drawing(), small())
    model[1][3].eval()  # a mode of its own
    model(torch.rand(3, 2, 6, 10)).sum().backward()
    before = state(model)
    try:
        book = ledger(model, size)
    except ValueError:
        assert size == (2, 5, 5)
    else:
        assert isinstance(book, Ledger)
    same(before, state(model))
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()


def test_hooks_of_the_readers_own_stay_and_work():
    model, seen = small(), []
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    ledger(model, (2, 6, 10))
    model(torch.zeros(4, 2, 6, 10))
    assert seen == [(1, 4, 6, 10), (4, 4, 6, 10)]


def test_a_network_that_stops_half_way_is_explained_with_its_layer():
    with pytest.raises(ValueError, match=r"stopped in 6 \(Linear\), which was given \(1, 16\): mat1 and mat2") as error:
        ledger(small(), (2, 5, 5))
    assert "The image was (2, 5, 5)" in str(error.value)
    with pytest.raises(ValueError, match=r"stopped in SimpleCNN itself, .* this network wants \(N, 1, 28, 28\)"):
        ledger(models.SimpleCNN(), (3, 32, 32))
    with pytest.raises(ValueError, match=r"stopped in fc .* KeyError|stopped in fc \(Net\)"):
        ledger(Net(lambda net, x: net.fc(x), fc=Net(lambda net, x: {}[3])), (2, 2))


def test_an_output_of_nothing_is_no_error():
    net = Net(lambda net, x: net.quiet(x) or net.fc(x), quiet=Net(lambda net, x: None), fc=nn.Linear(4, 2))
    assert [row.name for row in ledger(net, (4,))] == ["fc"]


class Two(nn.Module):
    def forward(self, x, mask):
        return x * mask


class Keyword(nn.Module):
    def forward(self, x, *, mask):
        return x * mask


class Nothing(nn.Module):
    def forward(self):
        return torch.zeros(1)


@pytest.mark.parametrize(
    ("model", "size", "says"),
    [
        (Two(), (3, 4), r"wants 2 inputs \(x, mask\).* wrap it"),
        (Keyword(), (3, 4), r"wants 2 inputs \(x, mask\)"),
        (Nothing(), (3, 4), r"wants 0 inputs \(none\)"),
        (models.SimpleCNN, (1, 28, 28), r"is the class SimpleCNN.* try SimpleCNN\(\)"),
        (lambda x: x, (1, 28, 28), "is a function"),
        (nn.Sequential(nn.LazyLinear(3)), (4,), "0.weight has no shape yet"),
        (torch.compile(nn.Linear(4, 2), backend="eager"), (4,), "is compiled"),
        (small(), (1, 2.5, 3), "whole numbers"),
        (small(), (2, 0, 10), "from 1 up"),
        (small(), (), "whole numbers"),
        (small(), 28, "whole numbers"),
        (small(), "28", "whole numbers"),
        (small(), (1, 2, 6, 10), r"stopped in 0 \(Conv2d\).* without N"),
        (small(), (3, 6, 10), r"stopped in 0 \(Conv2d\)"),
    ],
)
def test_what_no_ledger_can_be_made_of_is_refused(model, size, says):
    with pytest.raises(ValueError, match=says):
        ledger(model, size)


def test_sizes_of_numpy_and_torch_are_taken():
    import numpy as np

    for size in (np.array([2, 6, 10]), torch.zeros(2, 6, 10).shape, [2, np.int64(6), torch.tensor(10)]):
        assert ledger(small(), size).memory == ledger(small(), (2, 6, 10)).memory


def test_a_ledger_prints_as_a_table():
    lines = str(ledger(nn.Sequential(nn.Conv2d(1, 32, 3), nn.Flatten()), (1, 28, 28))).split("\n")
    assert [line.split() for line in lines if not line.startswith("-")] == [
        ["layer", "kind", "output", "parameters", "MACs", "memory"],
        ["0", "Conv2d", "32", "x", "26", "x", "26", "320", "194,688", "21,632"],
        ["1", "Flatten", "21632", "0", "0", "21,632"],
        ["total", "320", "194,688", "43,264"],
    ]
    assert len({len(line) for line in lines}) == 1


def test_a_meter_counts_a_batch_as_the_ledger_counts_an_image_in_training_too():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(512, 10))
    meter = Meter()
    for _ in range(2):
        with meter:
            net(torch.randn(5, 3, 8, 8)).sum().backward()
    net(torch.randn(5, 3, 8, 8))
    assert meter.macs == 10 * ledger(net, (3, 8, 8)).macs


@pytest.mark.parametrize(
    "product",
    [
        lambda a, b: a @ b,
        lambda a, b: torch.matmul(a, b),
        lambda a, b: a.mm(b),
        lambda a, b: torch.mm(a, b),
        lambda a, b: nn.Parameter(b).__rmatmul__(a),
        lambda a, b: torch.addmm(torch.zeros(2, 7), a, b),
        lambda a, b: torch.bmm(a[None], b[None]),
        lambda a, b: torch.baddbmm(torch.zeros(1, 2, 7), a[None], b[None]),
    ],
)
def test_a_meter_counts_products_that_are_written_out(product):
    with Meter() as meter:
        product(torch.ones(2, 3), torch.ones(3, 7))
    assert meter.macs == 2 * 3 * 7
