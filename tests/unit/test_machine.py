"""What the machine has: devices, the processor, and whether bfloat16 pays on it."""

import os
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pytest
import torch

from cnnlib import machine

RUN = """
import sys, torch
from cnnlib import machine, train
model, seen = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(72, 3)), set()
model[0].register_forward_hook(lambda layer, inputs, out: seen.add(out.dtype))
x, y = torch.randn(12, 1, 8, 8), torch.arange(12) % 3
config = train.Config(epochs=2, batch_size=4, optimizer="muon", precision="bfloat16")
train.fit(model, x, y, config, validation=(x, y))
print(seen, machine.bfloat16_pays())
"""


def in_a_process(code, **environment):
    """Standard output of a piece of Python, with some environment variables set; its standard error stays empty."""
    clean = {key: value for key, value in os.environ.items() if not key.endswith("_MAX_CPU_ISA")}
    done = subprocess.run([sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("limit", [("ONEDNN", "AVX2"), ("ONEDNN", "avx512_core"), ("DNNL", "AVX2")])
def test_a_run_on_a_processor_without_instructions_is_in_float32_and_says_so_in_one_line(limit):
    line, dtypes = in_a_process(RUN, **{f"{limit[0]}_MAX_CPU_ISA": limit[1]})
    assert "bfloat16 would be slower than float32 here" in line
    assert dtypes == "{torch.float32} False"


def test_each_run_says_that_it_falls_back_and_predictions_say_it_once():
    code = """
        import torch
        from cnnlib.train import Config, fit, predict
        model, x, y = torch.nn.Linear(4, 2), torch.zeros(8, 4), torch.zeros(8, dtype=torch.long)
        predict(model, x, precision="bfloat16")
        predict(model, x, precision="bfloat16")
        print("fit")
        for _ in range(2):
            fit(model, x, y, Config(precision="bfloat16", batch_size=8, epochs=1))
        predict(model, x, precision="bfloat16")
    """
    first, fit, *runs = in_a_process(textwrap.dedent(code), ONEDNN_MAX_CPU_ISA="AVX2")
    assert fit == "fit"
    assert runs == [first, first]


def test_the_command_line_says_that_it_falls_back_and_scores_all_the_same():
    code = """
        from cnnlib import __main__, recipes, train
        x, y = recipes.torch.zeros(4, 1, 28, 28), recipes.torch.arange(4)
        images = recipes.data.Images(x.numpy(), y.numpy(), tuple("0123456789"), "mnist")
        recipes.tensors = lambda name, split: (x, y, images)
        train.load_card = lambda name: {"test_accuracy": 0.25, "test_images": 4}
        print(__main__.main(["evaluate", "two_conv", "--precision", "bfloat16"]))
    """
    said, score, code = in_a_process(textwrap.dedent(code), ONEDNN_MAX_CPU_ISA="AVX2")
    assert "computing in float32" in said
    assert score.startswith("two_conv: 25.00%")
    assert code == "0"


def processor_with(monkeypatch, *flags, limit=None, onednn=True, quicker=True):
    """Pretend to be on a processor with these flags, whose oneDNN says that it can compute in bfloat16, or not.

    quicker: whether its products are quicker in bfloat16
    """
    monkeypatch.setattr(machine, "quicker_in_bfloat16", lambda: quicker)
    monkeypatch.setattr(machine, "flags", lambda device="cpu": list(flags))
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    operators = SimpleNamespace() if onednn is None else SimpleNamespace(_is_mkldnn_bf16_supported=lambda: onednn)
    monkeypatch.setattr(torch.ops, "mkldnn", operators)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if limit:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)


@pytest.mark.parametrize(
    ("flags", "settings", "pays"),
    [
        (["avx2", "avx512f", "avx512_bf16"], {}, True),
        (["avx2", "avx512f", "avx512_bf16"], {"limit": "AVX512_CORE_BF16"}, True),
        (["avx2", "avx512f", "avx512_bf16"], {"limit": "no such limit"}, True),  # which oneDNN passes over
        (["avx2", "avx512f", "avx512_bf16"], {"limit": "AVX512_CORE"}, False),
        (["avx2", "avx512f", "avx512_bf16"], {"limit": "Avx512_Core_Vnni"}, False),
        (["avx2", "avx512f", "avx512_bf16"], {"onednn": False}, False),  # a limit of AVX2
        (["avx2", "avx512f", "avx512_bf16"], {"onednn": None}, False),  # a PyTorch without the question
        (["avx2", "avx512f", "avx512_bf16", "amx_bf16"], {}, True),
        (["avx2", "avx512f", "avx512_bf16"], {"quicker": False}, False),  # an Intel whose amx a virtual machine hides
        (["avx2", "avx512f"], {}, False),  # oneDNN says yes, and takes 3 times as long
        (["avx2"], {"onednn": False}, False),
        (["asimd", "bf16"], {}, True),
        (["asimd"], {"onednn": False}, False),
        ([], {}, False),
    ],
)
def test_bfloat16_pays_where_the_processor_multiplies_in_it(monkeypatch, flags, settings, pays):
    processor_with(monkeypatch, *flags, **settings)
    assert machine.bfloat16_pays() is pays


@pytest.mark.parametrize(("seconds", "quicker"), [((1.0, 0.4), True), ((1.0, 0.9), False), ((1.0, 2.0), False)])
def test_bfloat16_is_timed_against_float32(monkeypatch, seconds, quicker):
    clock = [0.0]

    class Matrix:
        def __init__(self, dtype):
            self.takes = dict(zip((torch.float32, torch.bfloat16), seconds, strict=True))[dtype]

        def __matmul__(self, other):
            clock[0] += self.takes * (1 if clock[0] else 50)  # the first product is slow everywhere

    monkeypatch.setattr(machine.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(machine.torch, "ones", lambda *shape, dtype: Matrix(dtype))
    assert machine.quicker_in_bfloat16.__wrapped__() is quicker


def test_bfloat16_pays_on_a_card_that_multiplies_in_it_and_nowhere_it_was_not_measured(monkeypatch):
    processor_with(monkeypatch, "avx512_bf16")
    for answer in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, answer=answer: answer)
        assert machine.bfloat16_pays("cuda:0") is answer
    assert not machine.bfloat16_pays("mps")


def test_the_flags_are_those_of_this_processor():
    assert set(machine.flags()) <= set(machine.FLAGS)
    if torch.backends.cpu.get_cpu_capability() == "AVX512":
        assert {"avx2", "avx512f"} <= set(machine.flags())


def test_the_flags_are_read_from_linux_where_torch_does_not_tell(monkeypatch):
    monkeypatch.setattr(machine, "cpuinfo", {"flags": "fpu avx2 avx512f avx512_bf16 ht", "Features": ""}.get)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert machine.flags() == ["avx2", "avx512f", "avx512_bf16"]


@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:99", "", "vulkan", "mkldnn", "hpu", 3.5])
def test_a_device_that_torch_refuses_is_answered_in_one_line_with_those_there_are(device):
    with pytest.raises(ValueError, match=r'cannot be used here .*: try "cpu"') as error:
        machine.check_device(device)
    assert len(str(error.value).splitlines()) == 1


def test_the_processor_is_a_device():
    assert machine.check_device("cpu") == torch.device("cpu")
    assert machine.check_device(torch.device("cpu")) == torch.device("cpu")


def test_names_are_listed_as_one_says_them():
    assert [machine.quoted(names) for names in ("a", "ab", "abc")] == ['"a"', '"a" or "b"', '"a", "b" or "c"']
