"""What a network costs and what it sees, in plain numbers."""

import inspect
import operator
from contextlib import contextmanager
from typing import NamedTuple


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


class Row(NamedTuple):
    """One line of a ledger: a layer at work, once.

    Provided.
    """

    name: str  # its path in the network, as named_modules gives it
    kind: str  # the class of the layer, or the function that was called outside of one
    shape: tuple  # of its output, without N
    parameters: int  # numbers it learns, counted where they are used first
    macs: int  # multiply-adds
    memory: int  # numbers in its output


class Ledger:
    """The layers of a network in the order of their work, with shapes and costs for one image; prints as a table.

    Iterable, with a length and indices: each entry is a Row.
    parameters: all of the network's, each once, used or not    macs, memory: sums over the rows
    Provided.
    """

    def __init__(self, rows, parameters):
        self.rows, self.parameters = tuple(rows), parameters
        self.macs, self.memory = sum(row.macs for row in self.rows), sum(row.memory for row in self.rows)

    def __iter__(self):
        return iter(self.rows)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]

    def __repr__(self):
        lines = [("layer", "kind", "output", "parameters", "MACs", "memory")]
        for row in self.rows:
            shape = " x ".join(map(str, row.shape))
            lines.append((row.name, row.kind, shape, f"{row.parameters:,}", f"{row.macs:,}", f"{row.memory:,}"))
        rest = self.parameters - sum(row.parameters for row in self.rows)
        if rest:
            lines.append(("", "in no layer above", "", f"{rest:,}", "", ""))
        lines.append(("total", "", "", f"{self.parameters:,}", f"{self.macs:,}", f"{self.memory:,}"))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        texts = ["  ".join(_aligned(line, widths)).rstrip() for line in lines]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        return "\n".join([texts[0], rule, *texts[1:-1], rule, texts[-1]])


def _aligned(line, widths):
    """The texts of one line in their columns: three to the left, numbers to the right."""
    return [text.ljust(w) if k < 3 else text.rjust(w) for k, (text, w) in enumerate(zip(line, widths, strict=True))]


def ledger(model, size):
    """What each layer of a network gives out and costs, measured on one image in evaluation mode.

    model: a torch.nn.Module whose forward takes one tensor    size: (C, H, W) or (C, L) of the image, without N
    Returns a Ledger with a Row for each time a layer works; a layer is a module that calls no other module. A module
    used twice has two rows, and its parameters stand in the first. Convolutions, linear layers and attention called as
    functions outside of a layer have rows too.
    MACs are the multiply-adds of convolutions, transposed convolutions, linear layers, and of attention by torch's own
    module or function with its projections, without biases; all else is 0, products of matrices written out included.
    Shapes are without N; memory counts the numbers of the output.
    Leaves the network as it was: no hooks, its modes, buffers and gradients, and torch's random numbers.
    Raises ValueError if model is no network or needs more than one input, if size cannot be an image, or if the network
    stops on it, with the layer where it did.
    Source: the multiply-adds in torchvision's table of weights are counted by these rules.
    Built in chapter 09.
    """
    import torch

    _check_network(model)
    first = next((t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()), torch.empty(0))
    image = torch.zeros(1, *_image_size(size), dtype=first.dtype, device=first.device)
    watch = _Watch(model)
    with torch.no_grad(), torch.random.fork_rng(devices=[first.device] if first.is_cuda else []), _kept(model):
        try:
            with watch.hooks(), watch.functions():
                model(image)
        except Exception as error:
            raise ValueError(watch.explain(error, tuple(image.shape[1:]))) from error
    return Ledger(watch.table(), sum(p.numel() for p in model.parameters()))


class Meter:
    """Counts the multiply-adds of all that runs within its `with` blocks, a batch as it is, training mode or not.

    Counts what `ledger` counts, and products of matrices written out besides (`@` and the functions of that kind).
    macs: so far, over all blocks
    Provided.
    """

    def __init__(self):
        self.macs, self._open = 0, []

    def __enter__(self):
        from torch.overrides import TorchFunctionMode

        meter, costs = self, _costs() | _written_out()

        class Counting(TorchFunctionMode):
            def __torch_function__(self, function, types, args=(), kwargs=None):
                output = function(*args, **(kwargs or {}))
                if function in costs:
                    meter.macs += int(costs[function](output, *args, **(kwargs or {})))
                return output

        self._open.append(Counting())
        self._open[-1].__enter__()
        return self

    def __exit__(self, *reason):
        self._open.pop().__exit__(*reason)


def _written_out():
    """The multiply-adds of products of matrices that are no layer, from their output and their arguments."""
    import torch

    def product(output, first, second, **_):
        return output.numel() * first.shape[-1]

    def turned(output, second, first, **_):
        return output.numel() * first.shape[-1]

    def added(output, _, first, second, **__):
        return output.numel() * first.shape[-1]

    tensor = torch.Tensor
    plain = (torch.matmul, torch.mm, torch.bmm, tensor.matmul, tensor.__matmul__, tensor.mm, tensor.bmm)
    plus = (torch.addmm, torch.baddbmm, tensor.addmm, tensor.baddbmm)
    return dict.fromkeys(plain, product) | {tensor.__rmatmul__: turned} | dict.fromkeys(plus, added)


def _check_network(model):
    """Raise ValueError, with what to try, unless a ledger can be made of the model."""
    import torch

    if isinstance(model, type) and issubclass(model, torch.nn.Module):
        raise ValueError(f"model is the class {model.__name__}, not a network: try {model.__name__}().")
    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"model is a {type(model).__name__}, but a ledger is made of a torch.nn.Module.")
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod"):
            raise ValueError(f"{name or 'the network'} is compiled: make the ledger of the network it was made from.")
    lazy = [name for name, p in model.named_parameters() if torch.nn.parameter.is_lazy(p)]
    if lazy:
        raise ValueError(f"{lazy[0]} has no shape yet, because its layer is lazy: run the network on one batch first.")
    inputs = inspect.signature(model.forward).parameters.values()
    needed = [p.name for p in inputs if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed += [p.name for p in inputs if p.default is p.empty and p.kind is p.KEYWORD_ONLY]
    takes_one = any(p.kind is not p.KEYWORD_ONLY and p.kind is not p.VAR_KEYWORD for p in inputs)
    if len(needed) > 1 or not takes_one:
        raise ValueError(
            f"the forward of {type(model).__name__} wants {len(needed)} inputs ({', '.join(needed) or 'none'}), but a "
            "ledger gives it one image: wrap it in a module whose forward takes one tensor."
        )


def _image_size(size):
    """The numbers of a size as a tuple of int."""
    try:
        numbers = tuple(operator.index(n) for n in size)
    except TypeError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise ValueError(f"size is {size!r}, but it must be whole numbers from 1 up: (C, H, W) or (C, L), without N.")
    return numbers


@contextmanager
def _kept(model):
    """Evaluation mode within a `with` block; then modes and buffers are what they were, after an error too."""
    from cnnlib.models import evaluating

    named = [(module, name, b) for module in model.modules() for name, b in module._buffers.items() if b is not None]
    before = [(*place, place[2]._version, place[2].clone()) for place in named]
    try:
        with evaluating(model):
            yield
    finally:
        for module, name, buffer, version, content in before:
            module._buffers[name] = buffer
            if buffer._version != version:
                buffer.copy_(content)


class _Watch:
    """Follows a network through one run: which module is at work, and which functions that count it calls."""

    def __init__(self, model):
        self.model = model
        self.names = {m: name for name, m in model.named_modules() if "parametrizations" not in name.split(".")}
        self.rows = []  # of what has worked so far: the Row without its parameters, and which they are
        self.open = []  # the modules at work, outermost first
        self.stopped = None  # the innermost module that raised

    @contextmanager
    def hooks(self):
        """Notice when each module starts and ends."""
        handles = []
        try:
            for module in self.names:
                handles.append(module.register_forward_pre_hook(self.enter, prepend=True))
                handles.append(module.register_forward_hook(self.leave, always_call=True))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def functions(self):
        """A mode in which each call of a function that counts is noticed, by a layer or by itself."""
        from torch.overrides import TorchFunctionMode

        watch, costs = self, _costs()

        class Counting(TorchFunctionMode):
            def __torch_function__(self, function, types, args=(), kwargs=None):
                kwargs = kwargs or {}
                output = function(*args, **kwargs)
                if function in costs:
                    watch.called(function, [*args, *kwargs.values()], costs[function](output, *args, **kwargs), output)
                return output

        return Counting()

    def enter(self, module, inputs):
        if self.open:
            self.open[-1]["calls"] = True
        given = [tuple(t.shape) for t in _tensors(inputs)]
        self.open.append({"module": module, "given": given, "first": len(self.rows), "calls": False})

    def leave(self, module, inputs, output):
        work = self.open.pop()
        if output is None:  # it raised, or it gives nothing
            self.stopped = self.stopped or work
            return
        self.stopped = None
        if work["calls"] or _is_empty_sequence(module):
            return
        macs = sum(row.macs for row, _ in self.rows[work["first"] :])
        del self.rows[work["first"] :]  # what a layer calls stands in the layer's own row
        self.note(module, type(module).__name__, macs, output, list(module.parameters()))

    def called(self, function, inputs, macs, output):
        from torch.nn import Parameter

        owned = [t for t in _tensors(inputs) if isinstance(t, Parameter)]
        self.note(self.open[-1]["module"], function.__name__, macs, output, owned)

    def note(self, module, kind, macs, output, owned):
        outputs = _tensors(output)
        shape = tuple(outputs[0].shape) if outputs else ()
        shape = shape[1:] if shape[:1] == (1,) else shape
        memory = sum(t.numel() for t in outputs)
        self.rows.append((Row(self.names[module], kind, shape, 0, macs, memory), owned))

    def table(self):
        """The rows, each with those of its parameters that no row before it has."""
        table, counted = [], set()
        for row, owned in self.rows:
            fresh = {id(p): p.numel() for p in owned if id(p) not in counted}
            counted.update(fresh)
            table.append(row._replace(parameters=sum(fresh.values())))
        return table

    def explain(self, error, size):
        """Where the network stopped on an image of this size, and why, in a sentence or two."""
        work = self.stopped or {"module": self.model, "given": [(1, *size)]}
        kind, name = type(work["module"]).__name__, self.names[work["module"]]
        place = f"in {name} ({kind})" if name else f"in {kind} itself"
        given = " and ".join(map(str, work["given"])) or "no tensor"
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        return (
            f"the network stopped {place}, which was given {given}: {reason}. The image was {size}: "
            "is that the (C, H, W) or (C, L), without N, that this network is made for?"
        )


def _costs():
    """The multiply-adds of each function that counts, from its output and its arguments."""
    import torch.nn.functional as F

    def linear(output, input, weight, *_, **__):
        return input.numel() // max(1, weight.shape[-1]) * weight.numel()

    def convolution(output, input, weight, *_, **__):
        return output.numel() * weight[:1].numel()  # each output number is a sum over one kernel (C/groups, K, L)

    def transposed(output, input, weight, *_, **__):
        return input.numel() * weight[:1].numel()  # each input number is spread by one kernel (F/groups, K, L)

    def attention(output, query, key, value, *_, **__):
        return query.numel() * key.shape[-2] + query.shape[:-1].numel() * value.shape[-2:].numel()

    signature = inspect.signature(F.multi_head_attention_forward)

    def heads(output, *args, **kwargs):
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        query, key, value = (given.arguments[name] for name in ("query", "key", "value"))
        width, batch = query.shape[-1], query.shape[1] if query.dim() == 3 else 1
        places = key.shape[0] + (given.arguments["bias_k"] is not None) + given.arguments["add_zero_attn"]
        projections = (2 * query.numel() + key.numel() + value.numel()) * width  # queries, keys, values, and the output
        return projections + 2 * query.shape[0] * places * width * batch

    direct = {F.conv1d: convolution, F.conv2d: convolution, F.conv3d: convolution}
    adjoint = {F.conv_transpose1d: transposed, F.conv_transpose2d: transposed, F.conv_transpose3d: transposed}
    products = {F.scaled_dot_product_attention: attention, F.multi_head_attention_forward: heads}
    return {F.linear: linear, **direct, **adjoint, **products}


def _tensors(value):
    """The tensors in a value, in tuples, lists and dicts too."""
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _is_empty_sequence(module):
    """Whether it is an nn.Sequential without layers: it hands its input on, and is no layer."""
    from torch.nn import Sequential

    return isinstance(module, Sequential) and len(module) == 0
