"""Playgrounds: figures that one moves, alive in the book without Python and in JupyterLab with one's own arrays."""

from cnnlib.playground.kernel import KernelPlayground, kernel_playground

__all__ = ["KernelPlayground", "kernel_playground"]
