"""What a network costs and what it sees, in plain numbers."""


def receptive_field(layers, size=None):
    """Follow size, jump and receptive field through a stack of layers, along one axis.

    layers: (kernel, stride, padding, dilation) of each convolution or pooling, in torch's order; what stands at the
    end and is 1, 1, 0, 1 may be left out, so that (3,) is a plain kernel of 3 and (2, 2) a pooling
    size: pixels of the input along the axis, or None
    Returns one dict a layer: "size" of its map (None without a size), "jump" and "field" in input pixels, and "start",
    the first pixel that number 0 of the map sees. Number i sees pixels start + i*jump to start + i*jump + field - 1;
    those below 0 lie in the padding.
    Raises ValueError if an option is out of range, or no window fits.
    Source: Araujo, Norris and Sim, Computing receptive fields of convolutional neural networks (2019).
    Built in chapter 04.
    """
    table, jump, field, start = [], 1, 1, 0
    for layer in layers:
        kernel, stride, padding, dilation = _options(layer)
        span = dilation * (kernel - 1)  # pixels between the first and the last of the window
        if size is not None:
            size = _stops(size, span, stride, padding, layer)
        field += span * jump
        start -= padding * jump
        jump *= stride  # last: the layer's own stride counts for those after it
        table.append({"size": size, "jump": jump, "field": field, "start": start})
    return table


def _options(layer):
    """(kernel, stride, padding, dilation) with what was left out."""
    if not 1 <= len(layer) <= 4:
        raise ValueError(f"layer {layer} has {len(layer)} numbers: want 1 to 4, (kernel, stride, padding, dilation)")
    kernel, stride, padding, dilation = (*layer, *(1, 1, 0, 1)[len(layer) :])
    if kernel < 1 or stride < 1 or padding < 0 or dilation < 1:
        raise ValueError(f"layer {layer}: kernel, stride and dilation must be at least 1, padding at least 0")
    return kernel, stride, padding, dilation


def _stops(size, span, stride, padding, layer):
    room = size + 2 * padding - span - 1
    if room < 0:
        raise ValueError(f"layer {layer} is {-room} pixels too wide for a map of {size}. Try fewer layers or padding")
    return 1 + room // stride
