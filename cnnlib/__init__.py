"""The helper package of Convolutional Neural Networks, from the Kernel Up."""

__version__ = "0.1.0"
