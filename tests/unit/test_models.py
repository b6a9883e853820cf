"""The networks: shapes, parameters, gradients, and what they say to images they cannot read."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnnlib import ops
from cnnlib.ledger import ledger
from cnnlib.models import (
    VGG,
    BasicBlock,
    DigitAutoencoder,
    DoubleConv,
    FastNet,
    InceptionBlock,
    ResNet,
    SelfAttention,
    SimpleCNN,
    SmallCNN,
    ThreeConvCNN,
    TinyViT,
    TwoConvCNN,
    UNet,
    ViTBlock,
    conv_relu,
    conv_stack,
    count_parameters,
    evaluating,
    make_tokenizer,
    plain_cifar,
    residual_cifar,
    resnet18,
    small_net,
    training,
    vgg16,
    whitening_kernels,
)
from cnnlib.recipes import equal_size
from cnnlib.torchvision import models as others
from cnnlib.train import seeded


def images(n=3, *, seed=0):
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


def test_two_conv_has_the_parameters_of_the_ledger():
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in seeded(TwoConvCNN, 0).children()]
    assert sizes == [320, 18_496, 401_536, 1_290]
    assert count_parameters(TwoConvCNN()) == 421_642


def test_two_conv_returns_logits_of_both_signs_for_each_image():
    logits = seeded(TwoConvCNN, 0)(images(5))
    assert logits.shape == (5, 10)
    assert logits.isfinite().all()
    assert logits.min() < 0 < logits.max()


def test_two_conv_has_as_many_outputs_as_classes():
    assert TwoConvCNN(classes=3)(images(2)).shape == (2, 3)


def test_two_conv_computes_conv_relu_pool_twice_then_two_dense_layers():
    model, x = seeded(TwoConvCNN, 0).double(), images().double()
    p = dict(model.named_parameters())
    y = F.max_pool2d(F.conv2d(x, p["conv1.weight"], p["conv1.bias"], padding=1).clamp(min=0), 2)
    y = F.max_pool2d(F.conv2d(y, p["conv2.weight"], p["conv2.bias"], padding=1).clamp(min=0), 2)
    y = (y.reshape(3, -1) @ p["fc1.weight"].T + p["fc1.bias"]).clamp(min=0)
    torch.testing.assert_close(model(x), y @ p["fc2.weight"].T + p["fc2.bias"], rtol=1e-10, atol=1e-10)


def test_every_parameter_of_two_conv_gets_a_gradient():
    model = seeded(TwoConvCNN, 0)
    F.cross_entropy(model(images(64)), torch.arange(64) % 10).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_images_of_one_batch_do_not_mix():
    model, x = seeded(TwoConvCNN, 0).eval(), images(4)
    alone = torch.cat([model(x[k : k + 1]) for k in range(4)])
    torch.testing.assert_close(model(x), alone)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((2, 28, 28, 1), r"permute\(0, 3, 1, 2\)"),
        ((2, 28, 28), r"unsqueeze\(1\)"),
        ((2, 3, 28, 28), "3 channels instead of 1"),
        ((2, 1, 32, 32), r"\(2, 1, 32, 32\)"),
        ((2, 784), r"\(2, 784\)"),
    ],
)
def test_two_conv_says_what_it_got_what_it_wants_and_what_to_try(shape, hint):
    with pytest.raises(ValueError, match=hint) as caught:
        TwoConvCNN()(torch.zeros(shape))
    assert str(shape) in str(caught.value)
    assert "(N, 1, 28, 28)" in str(caught.value)


# Residual networks


def colors(n=2, size=32, *, seed=0):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def multiplications(model, x):
    """The multiply-adds of all convolutions and dense layers for one image."""
    count = 0

    def add(layer, inputs, out):
        nonlocal count
        count += layer.weight.numel() * (out.shape[2] * out.shape[3] if out.dim() == 4 else 1)

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(add)
    model.eval()(x[:1])
    return count


def test_resnet18_has_the_published_parameters_and_multiplications():
    model = resnet18()
    assert count_parameters(model) == 11_173_962
    assert multiplications(model, colors()) == 555_422_720
    assert sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in model.modules()) == 18 + 3  # and three projections


def test_resnet18_is_torchvisions_with_another_stem():
    ours, theirs = seeded(resnet18, 0).double(), others.resnet18(num_classes=10).double()
    theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False).double(), nn.Identity()
    for module in ours.modules():
        if isinstance(module, nn.BatchNorm2d):  # away from the start, where mean 0, variance 1 and scale 1 hide a slip
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                tensor.data.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(len(tensor)))
    values = dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True))
    theirs.load_state_dict(values)
    for mode in (False, True):
        want = theirs.train(mode)(colors().double())
        torch.testing.assert_close(ours.train(mode)(colors().double()), want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("depth", "parameters"), [(20, 269_722), (56, 853_018)])
def test_plain_and_residual_networks_of_a_depth_have_the_same_weights(depth, parameters):
    plain, residual = seeded(lambda: plain_cifar(depth), 0), seeded(lambda: residual_cifar(depth), 0)
    assert count_parameters(plain) == count_parameters(residual) == parameters
    assert sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in residual.modules()) == depth
    for ours, theirs in zip(plain.state_dict().values(), residual.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.allclose(plain(colors()), residual(colors()))


@pytest.mark.parametrize("make", [resnet18, lambda: residual_cifar(8), lambda: plain_cifar(8)])
@pytest.mark.parametrize("size", [32, 24, 15])
def test_residual_networks_take_images_of_other_sizes(make, size):
    assert make().eval()(colors(size=size)).shape == (2, 10)


def silent(block):
    """The same block with a last batch normalization that gives zeros: only the shortcut is left."""
    nn.init.zeros_(block.bn2.weight)
    return block.eval()


def test_a_silent_block_hands_its_input_on():
    x = colors()
    assert torch.equal(silent(BasicBlock(3, 3))(x), x.relu())
    assert not silent(BasicBlock(3, 3, shortcut="none"))(x).any()


def test_a_padding_shortcut_takes_every_second_pixel_and_adds_maps_of_zeros():
    x = colors(size=7)
    y = silent(BasicBlock(3, 5, 2, shortcut="padding"))(x)
    assert torch.equal(y[:, :3], x[:, :, ::2, ::2].relu())
    assert not y[:, 3:].any()


def test_a_projection_stands_only_where_the_shape_changes():
    blocks = [BasicBlock(4, 4), BasicBlock(4, 4, 2), BasicBlock(4, 6), BasicBlock(4, 6, 2, shortcut="padding")]
    assert [block.projection is not None for block in blocks] == [False, True, True, False]


def test_the_sum_comes_before_the_last_relu():
    block = BasicBlock(3, 3).eval()
    x = colors()
    inner = F.relu(block.bn1(block.conv1(x)))
    torch.testing.assert_close(block(x), F.relu(block.bn2(block.conv2(inner)) + x))
    assert (block.bn2(block.conv2(inner)) < 0).any()


@pytest.mark.parametrize("depth", [18, 21, 2, 0])
@pytest.mark.parametrize("make", [residual_cifar, plain_cifar])
def test_a_depth_that_cannot_be_is_refused(make, depth):
    with pytest.raises(ValueError, match=f"{depth} is not 6n"):
        make(depth)


def test_an_unknown_shortcut_is_refused():
    with pytest.raises(ValueError, match='"identity": it must be'):
        BasicBlock(3, 3, shortcut="identity")


@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 32, 32, 3), (3, 32, 32), (2, 3)])
def test_a_residual_network_refuses_what_is_no_color_image(shape):
    with pytest.raises(ValueError, match="but this network wants"):
        ResNet((4, 8), (1, 1))(torch.zeros(shape))


# SimpleCNN


def test_simple_cnn_has_the_parameters_of_the_chapter():
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in SimpleCNN().children()]
    assert sizes == [320, 54_090]
    assert count_parameters(SimpleCNN()) == 54_410


def test_simple_cnn_computes_conv_relu_pool_and_one_dense_layer():
    model, x = seeded(SimpleCNN, 0).double(), images().double()
    p = dict(model.named_parameters())
    y = F.max_pool2d(F.conv2d(x, p["conv.weight"], p["conv.bias"]).clamp(min=0), 2)
    want = y.reshape(3, -1) @ p["fc.weight"].T + p["fc.bias"]
    assert want.min() < 0 < want.max()
    torch.testing.assert_close(model(x), want, rtol=1e-10, atol=1e-10)


def test_simple_cnn_has_the_logits_and_gradients_of_the_numpy_layers():
    model, x, labels = seeded(SimpleCNN, 0).double(), images(4).double().requires_grad_(), torch.tensor([3, 0, 9, 3])
    p = {name: value.detach().numpy() for name, value in model.named_parameters()}
    pixels = x.detach().numpy()
    maps = ops.conv2d(pixels, p["conv.weight"], p["conv.bias"])
    active = ops.relu(maps)
    pooled = ops.max_pool2d(active, 2)
    logits = ops.linear(pooled.reshape(4, -1), p["fc.weight"], p["fc.bias"])
    dlogits = ops.cross_entropy_backward(logits, labels.numpy())
    dflat, dw_fc, db_fc = ops.linear_backward(dlogits, pooled.reshape(4, -1), p["fc.weight"])
    dmaps = ops.relu_backward(ops.max_pool2d_backward(dflat.reshape(pooled.shape), active, 2), maps)
    dx, dw_conv, db_conv = ops.conv2d_backward(dmaps, pixels, p["conv.weight"])
    got = model(x)
    F.cross_entropy(got, labels).backward()
    want = [logits, dx, dw_conv, db_conv, dw_fc, db_fc]
    for ours, theirs in zip([got, x.grad, *(p.grad for p in model.parameters())], want, strict=True):
        torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-10, atol=1e-10)


def test_every_parameter_of_simple_cnn_gets_a_gradient():
    model = seeded(SimpleCNN, 0)
    F.cross_entropy(model(images(64)), torch.arange(64) % 10).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_in_simple_cnn_changing_one_image_changes_only_its_own_logits():
    model, x = seeded(SimpleCNN, 0), images(4)
    for k in range(4):
        changed = x.clone()
        changed[k] = -changed[k]
        touched = (model(changed) - model(x)).abs().amax(1) > 1e-6
        assert touched.tolist() == [i == k for i in range(4)]


def test_simple_cnn_has_as_many_outputs_as_classes():
    assert SimpleCNN(classes=3)(images(2)).shape == (2, 3)


def test_simple_cnn_says_what_it_got_what_it_wants_and_what_to_try():
    with pytest.raises(ValueError, match=r"\(N, 1, 28, 28\).*unsqueeze\(1\)"):
        SimpleCNN()(torch.zeros(2, 28, 28))


def fail_while(mode, model, want):
    with mode(model):
        assert [module.training for module in model] == want
        raise ZeroDivisionError


def test_evaluating_puts_each_mode_back_as_it_was_after_an_error_too():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout()).train()
    model[1].eval()
    with pytest.raises(ZeroDivisionError):
        fail_while(evaluating, model, [False] * 3)
    assert [module.training for module in model] == [True, False, True]


@pytest.mark.parametrize("modes", [[True, True, True], [True, False, True], [False, False, True]])
@pytest.mark.parametrize("whole", [True, False])
def test_training_leaves_modules_in_evaluation_mode_that_were_put_into_it(modes, whole):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout()).train(whole)
    for module, mode in zip(model, modes, strict=True):
        module.train(mode)
    with pytest.raises(ZeroDivisionError):
        fail_while(training, model, modes)
    assert [model.training, *(module.training for module in model)] == [whole, *modes]


def test_training_trains_a_network_that_is_in_evaluation_mode_as_a_whole_and_puts_that_back():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout()).eval()
    with pytest.raises(ZeroDivisionError):
        fail_while(training, model, [True] * 3)
    assert not any(module.training for module in model.modules())


def test_three_conv_has_the_ledger_of_its_origin():
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in ThreeConvCNN().children()]
    assert sizes == [320, 18_496, 36_928, 36_928, 650]
    assert count_parameters(ThreeConvCNN()) == 93_322


def test_three_conv_is_the_stack_of_three():
    model, stack, x = seeded(ThreeConvCNN, 0).double(), conv_stack(3).double(), images().double()
    for mine, theirs in zip(model.parameters(), stack.parameters(), strict=True):
        theirs.data.copy_(mine.data)
    torch.testing.assert_close(model(x), stack(x), rtol=1e-12, atol=1e-12)


def test_three_conv_has_as_many_outputs_as_classes_and_says_what_it_wants():
    assert ThreeConvCNN(classes=3)(images(2)).shape == (2, 3)
    with pytest.raises(ValueError, match=r"this network wants \(N, 1, 28, 28\)"):
        ThreeConvCNN()(torch.zeros(2, 3, 28, 28))


@pytest.mark.parametrize(("depth", "parameters"), [(1, 347_146), (2, 121_930), (3, 93_322), (4, 97_482)])
def test_every_stack_of_convolutions_learns_with_all_its_parameters(depth, parameters):
    model = seeded(lambda: conv_stack(depth), 0)
    assert count_parameters(model) == parameters
    assert sum(isinstance(layer, nn.Conv2d) for layer in model) == depth
    F.cross_entropy(model(images(64)), torch.arange(64) % 10).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("depth", [0, 5, 2.5])
def test_another_number_of_convolutions_is_refused(depth):
    with pytest.raises(ValueError, match="must be 1, 2, 3 or 4"):
        conv_stack(depth)


# SmallCNN


@pytest.mark.parametrize(
    ("options", "parameters"), [({}, 57_130), ({"batch_norm": False}, 56_970), ({"dropout": 0.5}, 57_130)]
)
def test_small_cnn_has_its_parameters_and_learns_with_all_of_them(options, parameters):
    model = seeded(lambda: SmallCNN(**options), 0)
    assert count_parameters(model) == parameters
    logits = model(colors())
    assert logits.shape == (len(colors()), 10)
    F.cross_entropy(logits, torch.arange(len(logits)) % 10).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_small_cnn_drops_in_training_only():
    model = seeded(lambda: SmallCNN(batch_norm=False, dropout=0.5), 0)
    assert not torch.equal(model(colors()), model(colors()))
    assert torch.equal(model.eval()(colors()), model(colors()))


def test_small_cnn_refuses_gray_images():
    with pytest.raises(ValueError, match=r"this network wants \(N, 3, H, W\)"):
        SmallCNN()(torch.zeros(2, 1, 32, 32))


# VGG, Inception, and three small networks


def learns_with_all_its_parameters(model, x):
    F.cross_entropy(model(x), torch.arange(len(x)) % 10).backward()
    return all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def copied(theirs, ours):
    """Their network with the tensors of ours, taken in order."""
    pairs = zip(theirs.state_dict(), ours.state_dict().values(), strict=True)
    theirs.load_state_dict(dict(pairs), assign=True)
    return theirs


def test_vgg16_has_the_published_ledger():
    with torch.device("meta"):
        costs = ledger(vgg16(), (3, 224, 224))
    told = others.VGG16_Weights.IMAGENET1K_V1.meta
    assert costs.parameters == told["num_params"] == 138_357_544
    assert costs.macs == 15_470_264_320
    assert round(costs.macs / 1e9, 2) == told["_ops"]
    assert [row.shape for row in costs if row.kind == "MaxPool2d"] == [
        (64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)
    ]  # fmt: skip


def test_vgg16_is_torchvisions():
    ours = seeded(lambda: vgg16(classes=7), 0).eval()
    with torch.device("meta"):
        theirs = others.vgg16(num_classes=7).eval()
    with torch.no_grad():
        logits = ours(colors(1, 224))
        assert logits.shape == (1, 7)
        assert logits.isfinite().all()
        assert torch.equal(logits, copied(theirs, ours)(colors(1, 224)))


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("hidden", [(), (20, 30)])
def test_a_vgg_has_its_parameters_and_learns_with_all_of_them(batch_norm, hidden):
    model = seeded(lambda: VGG(((4,), (6, 8)), hidden=hidden, side=12, batch_norm=batch_norm), 0)
    kernels = 9 * (3 * 4 + 4 * 6 + 6 * 8) + (2 if batch_norm else 1) * (4 + 6 + 8)
    dense = 8 * 9 * 20 + 20 + 20 * 30 + 30 + 30 * 10 + 10 if hidden else 8 * 10 + 10
    assert count_parameters(model) == kernels + dense
    assert learns_with_all_its_parameters(model, colors(20, 12))


def test_a_vgg_without_hidden_layers_reads_the_mean_of_each_map_of_any_size():
    model, x = seeded(lambda: VGG(((4,), (6, 8))), 0), torch.randn(2, 3, 9, 14)
    maps = model.features(x)
    assert maps.shape == (2, 8, 2, 3)
    torch.testing.assert_close(model(x), maps.mean((2, 3)) @ model.head[0].weight.T + model.head[0].bias)


def test_a_vgg_says_which_images_it_wants():
    with pytest.raises(ValueError, match=r"3 stages .* a side of 8"):
        VGG(((4,),) * 3, side=7)
    with pytest.raises(ValueError, match="want 4 pixels at least"):
        VGG(((4,), (6,)))(torch.zeros(1, 3, 12, 3))
    with pytest.raises(ValueError, match=r"wants \(N, 3, 12, 12\)"):
        VGG(((4,), (6,)), hidden=(5,), side=12)(torch.zeros(1, 3, 14, 12))


def test_the_inception_block_is_torchvisions_with_the_window_of_5_put_back():
    ours = seeded(lambda: InceptionBlock(10, 3, (4, 6), (2, 5), 7), 0)
    with torch.device("meta"):
        theirs = type(others.googlenet(aux_logits=False, init_weights=False).inception3a)(10, 3, 4, 6, 2, 5, 7)
        theirs.branch3[1].conv = nn.Conv2d(2, 5, 5, padding=2, bias=False)
    for module in ours.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
    x = torch.randn(4, 10, 9, 13)
    with torch.no_grad():
        y = ours(x)
        assert y.shape == (4, 3 + 6 + 5 + 7, 9, 13)
        assert y.isfinite().all()
        assert torch.equal(y, copied(theirs, ours)(x))


def test_the_first_inception_block_of_googlenet_has_the_published_weights_and_operations():
    block = InceptionBlock(192, 64, (96, 128), (16, 32), 32)
    costs = ledger(block, (192, 28, 28))
    kernels = sum(row.parameters for row in costs if row.kind == "Conv2d")
    assert (round(kernels / 1024 - 0.5), costs.macs // 10**6) == (159, 128)  # "159K" and "128M" in the paper's table 1


@pytest.mark.parametrize("pair", [6, (4,), (4, 6, 8)])
def test_a_branch_that_is_no_pair_is_refused(pair):
    with pytest.raises(ValueError, match=r"five is .* must be a pair"):
        InceptionBlock(10, 3, (4, 6), pair, 7)


def test_an_inception_block_names_the_channels_that_it_wants():
    with pytest.raises(ValueError, match=r"wants \(N, 10, H, W\)"):
        InceptionBlock(10, 3, (4, 6), (2, 5), 7)(torch.zeros(1, 9, 8, 8))


def test_an_even_kernel_is_refused_since_it_cannot_keep_the_size():
    assert nn.Sequential(*conv_relu(3, 4, 5))(torch.zeros(1, 3, 6, 9)).shape == (1, 4, 6, 9)
    with pytest.raises(ValueError, match="kernel is 4: it must be odd"):
        conv_relu(3, 4, 4)


@pytest.mark.parametrize("kind", ["plain", "vgg", "inception"])
def test_three_small_networks_cost_equally_many_macs_and_learn_with_all_their_parameters(kind):
    model = seeded(lambda: small_net(kind), 0)
    assert ledger(model, (3, 32, 32)).macs == pytest.approx(8_220_000, rel=0.005)
    assert model(colors(2, 17)).shape == (2, 10)
    assert learns_with_all_its_parameters(model, colors(40))


def test_an_unknown_small_network_is_refused():
    with pytest.raises(ValueError, match='"resnet": it must be "plain", "vgg" or "inception"'):
        small_net("resnet")


# Networks that answer with a picture


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("size", [(16, 16), (17, 40), (23, 31), (64, 47)])
def test_a_u_net_gives_logits_for_each_pixel_of_an_image_of_any_size(size, skips):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    assert seeded(lambda: UNet(3, 5, width=2, skips=skips), 0)(x).shape == (2, 5, *size)


def test_a_u_net_hands_the_fine_maps_across_only_with_skips():
    """With the deepest level silenced, nothing but what is handed across can still tell two images apart."""
    x = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    for skips in (True, False):
        model = seeded(lambda skips=skips: UNet(1, 2, width=2, skips=skips), 0).eval()
        model.down[3].register_forward_hook(lambda module, inputs, out: torch.zeros_like(out))
        first, second = model(x)
        assert torch.equal(first, second) != skips


def test_without_skips_a_u_net_has_the_same_blocks_and_a_few_more_weights():
    with_skips, without = UNet(1, 4, width=8), UNet(1, 4, width=8, skips=False)
    assert count_parameters(with_skips) == 153_316
    assert count_parameters(without) == 196_380
    assert [p.shape for p in with_skips.merge.parameters()] == [p.shape for p in without.merge.parameters()]


@pytest.mark.parametrize("make", [lambda: UNet(1, 2, width=4), lambda: UNet(1, 2, width=4, skips=False)])
def test_every_parameter_of_a_u_net_gets_a_gradient(make):
    model, x = seeded(make, 0), torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    F.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("shape", "why"), [((1, 1, 15, 16), "15x16 are too small"), ((1, 3, 16, 16), "3 channels instead of 1")]
)
def test_a_u_net_refuses_images_that_are_too_small_or_have_other_channels(shape, why):
    with pytest.raises(ValueError, match=why):
        UNet(1, 2, width=2)(torch.zeros(shape))


def test_a_double_conv_keeps_the_size_and_ends_with_relu():
    y = DoubleConv(3, 5)(torch.randn(2, 3, 7, 6))
    assert y.shape == (2, 5, 7, 6)
    assert y.min() == 0


def test_an_autoencoder_squeezes_a_digit_into_two_numbers_and_paints_pixels_from_0_to_1():
    model, x = seeded(DigitAutoencoder, 0), torch.rand(5, 1, 28, 28)
    assert count_parameters(model) == 122_211
    z = model.encoder(x)
    assert z.shape == (5, 2)
    torch.testing.assert_close(z.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    y = model(x)
    torch.testing.assert_close(y, model.decoder(z))
    assert y.shape == x.shape
    assert 0 < y.min() < y.max() < 1
    F.mse_loss(y, x).backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters() if p.shape != (2,))


def test_an_autoencoder_says_what_it_wants():
    with pytest.raises(ValueError, match=r"\(N, 1, 28, 28\)"):
        DigitAutoencoder()(torch.zeros(2, 1, 32, 32))


# The vision transformer

TOKENIZERS = ("patches", "convolutions")


def random_tokens(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_self_attention_is_equation_16_1_in_each_head():
    layer, x = seeded(lambda: SelfAttention(6, 2), 0).double(), random_tokens(3, 5, 6)
    q, k, v = layer.qkv(x).split(6, 2)
    parts = []
    for own in (slice(0, 3), slice(3, 6)):
        fits = torch.einsum("nid,njd->nij", q[..., own], k[..., own]) / 3**0.5
        weights = fits.exp() / fits.exp().sum(2, keepdim=True)
        parts.append(weights @ v[..., own])
    torch.testing.assert_close(layer(x), layer.out(torch.cat(parts, 2)), rtol=1e-10, atol=1e-10)


def test_a_block_adds_what_it_computes_to_what_came_in():
    block, x = seeded(lambda: ViTBlock(6, 2, 10), 0).double(), random_tokens(2, 5, 6)
    middle = x + block.attention(block.norm1(x))
    torch.testing.assert_close(block(x), middle + block.mlp(block.norm2(middle)), rtol=1e-10, atol=1e-10)
    for last in (block.attention.out, block.mlp[2]):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    assert torch.equal(block(x), x)


def test_tokens_of_patches_come_from_one_dense_layer_on_each_square():
    layer, x = seeded(lambda: make_tokenizer("patches", 3, 4, 5), 0), colors(size=12)
    square = x[:, :, 4:8, 8:12].flatten(1)  # row 1, column 2
    torch.testing.assert_close(layer(x)[:, :, 1, 2], square @ layer.weight.flatten(1).T + layer.bias)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("patch", [2, 4, 8])
def test_both_tokenizers_make_one_token_for_each_patch(tokenizer, patch):
    assert make_tokenizer(tokenizer, 3, patch, 16)(colors(size=24)).shape == (2, 16, 24 // patch, 24 // patch)


def test_only_the_convolutions_look_beyond_their_own_patch():
    for tokenizer in TOKENIZERS:
        layer, x = seeded(lambda kind=tokenizer: make_tokenizer(kind, 3, 4, 8), 0), colors(size=12).requires_grad_()
        layer(x)[0, :, 1, 1].sum().backward()
        beyond = x.grad[0].clone()
        beyond[:, 4:8, 4:8] = 0
        assert bool(beyond.any()) == (tokenizer == "convolutions")


def puzzle(x, patch, order):
    """The patches of square images in another order."""
    side = x.shape[2] // patch
    cut = x.unfold(2, patch, patch).unfold(3, patch, patch).flatten(2, 3)[:, :, order]
    return cut.unflatten(2, (side, side)).transpose(3, 4).reshape(x.shape)


def test_without_places_a_vision_transformer_sees_a_bag_of_patches():
    model, x = seeded(lambda: TinyViT(size=12, width=8), 0).double().eval(), colors(size=12).double()
    moved = puzzle(x, 4, torch.tensor([4, 0, 8, 2, 1, 7, 3, 6, 5]))
    assert not torch.allclose(model(moved), model(x), rtol=1e-6)
    nn.init.zeros_(model.places)
    torch.testing.assert_close(model(moved), model(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_every_parameter_of_a_vision_transformer_gets_a_gradient(tokenizer):
    model = seeded(lambda: TinyViT(tokenizer=tokenizer, classes=3), 0)
    F.cross_entropy(model(colors(6)), torch.arange(6) % 3).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_vision_transformer_takes_gray_images_too_and_mixes_none_of_a_batch(tokenizer):
    model = seeded(lambda: TinyViT(channels=1, size=28, tokenizer=tokenizer, depth=1), 0).eval()
    x = images(3)
    torch.testing.assert_close(model(x), torch.cat([model(x[k : k + 1]) for k in range(3)]))
    assert model(x).shape == (3, 10)


def test_the_ledger_of_a_vision_transformer_counts_the_products_of_tokens():
    rows = ledger(TinyViT(patch=8, width=48, depth=2, hidden=140), (3, 32, 32))
    products = [row.macs for row in rows if row.kind == "scaled_dot_product_attention"]
    assert products == [2 * 16 * 16 * 48] * 2
    dense = 16 * (3 * 8 * 8 * 48 + 2 * (4 * 48 * 48 + 2 * 48 * 140)) + 48 * 10
    assert rows.macs == dense + sum(products)
    assert rows.parameters == 57_074


def test_two_tokenizers_and_a_cnn_have_equal_parameters():
    sizes = [count_parameters(equal_size(kind)) for kind in ("cnn", *TOKENIZERS)]
    assert max(sizes) / min(sizes) < 1.03


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 30}, "patches of 4 pixels do not tile 30"),
        ({"width": 50}, "width is 50, which 4 heads cannot share"),
        ({"tokenizer": "pixels"}, 'tokenizer is "pixels": it must be "patches" or "convolutions"'),
        ({"size": 30, "patch": 6, "tokenizer": "convolutions"}, "cannot make tokens of 6 pixels: try 2, 4 or 8"),
        ({"patch": 1, "tokenizer": "convolutions"}, "cannot make tokens of 1 pixels"),
    ],
)
def test_a_vision_transformer_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TinyViT(**options)


@pytest.mark.parametrize("shape", [(2, 3, 28, 28), (2, 1, 32, 32), (2, 32, 32, 3), (3, 32, 32)])
def test_a_vision_transformer_refuses_images_of_another_size(shape):
    with pytest.raises(ValueError, match=r"but this network wants \(N, 3, 32, 32\)"):
        TinyViT()(torch.zeros(shape))


def patches_of(x, size):
    """All patches of images, a row each, cut out one by one: (N H' W', C K L)."""
    height, width = (x.shape[2 + k] - size[k] + 1 for k in (0, 1))
    cut = [x[:, :, i : i + size[0], j : j + size[1]] for i in range(height) for j in range(width)]
    return torch.stack(cut, 1).reshape(-1, x.shape[1] * size[0] * size[1])


@pytest.mark.parametrize("size", [(2, 2), (3, 1)])
def test_whitened_patches_are_uncorrelated_and_of_variance_one(size):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 3, 9, 12, generator=generator, dtype=torch.float64)
    x = x + x.mean(1, keepdim=True) + x.roll(1, 3)  # channels and neighbors have something in common
    kernels = whitening_kernels(x, size, eps=0.0)
    out = patches_of(x, size) @ kernels.flatten(1).T
    assert torch.allclose(out.T @ out / len(out), torch.eye(out.shape[1], dtype=torch.float64), atol=1e-9)
    variances = 1 / kernels.flatten(1).square().sum(1)  # a kernel is an eigenvector divided by its deviation
    assert (variances.diff() > 0).all()
    weaker = whitening_kernels(x, size, eps=0.5).flatten(1).norm(dim=1)
    assert torch.allclose(weaker, (variances + 0.5) ** -0.5)


def test_fast_net_whitens_with_both_signs_and_freezes_its_first_layer_but_for_the_bias():
    x = torch.randn(30, 3, 12, 11, generator=torch.Generator().manual_seed(0))
    net = seeded(FastNet, 0)
    net.whiten(x)
    assert torch.equal(net.first.weight[:12], whitening_kernels(x, (2, 2)))
    assert torch.equal(net.first.weight[12:], -net.first.weight[:12])
    assert not net.first.weight.requires_grad
    assert net.first.bias.requires_grad
    assert not net.first.bias.any()
    F.cross_entropy(net(x), torch.arange(30) % 10).backward()
    without = {name for name, p in net.named_parameters() if p.grad is None}
    assert without == {"first.weight", *(f"stages.{k}.{norm}.weight" for k in range(3) for norm in (2, 5))}


@pytest.mark.parametrize("size", [(9, 9), (20, 28), (32, 32)])
def test_fast_net_reads_images_of_any_size_and_begins_near_the_loss_of_guessing(size):
    x = torch.randn(64, 3, *size, generator=torch.Generator().manual_seed(0))
    net = seeded(FastNet, 0)
    net.whiten(x)
    logits = net(x)
    assert logits.shape == (64, 10)
    assert abs(F.cross_entropy(logits, torch.arange(64) % 10).item() - 2.3026) < 0.3


def test_fast_net_begins_with_kernels_that_hand_its_maps_on():
    net = FastNet((32, 40, 48))
    for stage, channels in zip(net.stages, (24, 32, 40), strict=True):
        x = torch.randn(2, channels, 8, 8)
        assert torch.allclose(stage[0](x)[:, :channels], x, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "message"), [((2, 3, 8, 20), "wants 9 pixels a side"), ((2, 1, 32, 32), "1 channels instead of 3")]
)
def test_fast_net_says_which_images_it_wants(shape, message):
    with pytest.raises(ValueError, match=message):
        FastNet()(torch.zeros(shape))
    if shape[1] != 3:
        with pytest.raises(ValueError, match=message):
            FastNet().whiten(torch.zeros(shape))
