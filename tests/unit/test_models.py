"""The networks: shapes, parameters, gradients, and what they say to images they cannot read."""

import pytest
import torch
import torch.nn.functional as F

from cnnlib.models import TwoConvCNN, count_parameters
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
