"""Playgrounds: figures that one moves, alive in the book without Python and in JupyterLab with one's own arrays."""

from cnnlib.playground.blocks import BlocksPlayground, blocks_playground
from cnnlib.playground.buys import BuysPlayground, buys_playground
from cnnlib.playground.channels import ChannelsPlayground, channels_playground
from cnnlib.playground.depth import DepthPlayground, depth_playground
from cnnlib.playground.digit import DigitPlayground, digit_playground
from cnnlib.playground.field import FieldPlayground, field_playground
from cnnlib.playground.generate import GeneratePlayground, generate_playground
from cnnlib.playground.gradient import GradientPlayground, gradient_playground
from cnnlib.playground.kernel import KernelPlayground, kernel_playground
from cnnlib.playground.learn import LearnPlayground, learn_playground
from cnnlib.playground.look import LookPlayground, look_playground
from cnnlib.playground.matrices import MatricesPlayground, matrices_playground
from cnnlib.playground.paint import PaintPlayground, paint_playground
from cnnlib.playground.pooling import PoolingPlayground, pooling_playground
from cnnlib.playground.tracer import TracerPlayground, tracer_playground

__all__ = [
    "BlocksPlayground",
    "BuysPlayground",
    "ChannelsPlayground",
    "DepthPlayground",
    "DigitPlayground",
    "FieldPlayground",
    "GeneratePlayground",
    "GradientPlayground",
    "KernelPlayground",
    "LearnPlayground",
    "LookPlayground",
    "MatricesPlayground",
    "PaintPlayground",
    "PoolingPlayground",
    "TracerPlayground",
    "blocks_playground",
    "buys_playground",
    "channels_playground",
    "depth_playground",
    "digit_playground",
    "field_playground",
    "generate_playground",
    "gradient_playground",
    "kernel_playground",
    "learn_playground",
    "look_playground",
    "matrices_playground",
    "paint_playground",
    "pooling_playground",
    "tracer_playground",
]
