"""What this machine has: devices, a processor, arithmetic in half the bits, and memory kept between two steps."""

import ctypes
import os
import platform
import sys
import time
import warnings
from functools import cache
from pathlib import Path

import torch

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16", "sve")  # those that decide how fast a step is
NO_BFLOAT16 = (
    "AVX2_VNNI_2",
    "AVX512_CORE",
    "AVX512_CORE_VNNI",
)  # limits that hide the instructions, and oneDNN's answer does not tell
TOLD = set()  # what this process has been told by precision_here


def check_device(device):
    """The torch.device of that name.

    device: "cpu", or "cuda" or "mps" where there is one
    Raises ValueError, with torch's reason and what there is, if nothing can be computed on it here.
    Provided.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # some old names earn a warning before their error
            torch.ones(1, device=device).cpu().item()
        return torch.device(device)
    except Exception as error:  # each kind of device has its own way to be missing
        here = ["cpu"] + ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
        reason = str(error).splitlines()[0].split(". ")[0][:120] if str(error) else type(error).__name__
        raise ValueError(f'device is "{device}", which cannot be used here ({reason}): try {quoted(here)}.') from error


def quoted(names):
    """ "a", "b" or "c": the names as a message shows them.

    Provided.
    """
    *most, last = [f'"{name}"' for name in names]
    return f"{', '.join(most)} or {last}" if most else last


def bfloat16_pays(device="cpu"):
    """Whether bfloat16 is quicker than float32 here: only where the processor or the card multiplies in it, and fast.

    Without such instructions a step takes 2 to 15 times as long as in float32; with slow ones, twice as long. A
    processor that has them is therefore timed, once. A limit that ONEDNN_MAX_CPU_ISA sets counts too. On devices where
    it was not measured (mps and others) the answer is no.
    Provided.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    if kind != "cpu" or limit.upper() in NO_BFLOAT16 or not torch.backends.mkldnn.is_available():
        return False
    ask = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)  # yes also without the instructions
    return ask() and bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags())) and quicker_in_bfloat16()


@cache
def quicker_in_bfloat16(side=512, times=8):
    """Whether a matrix product takes at most 0.8 of the time in bfloat16 that it takes in float32; timed once.

    side: of the square matrices    times: the quickest of so many counts, in turns, so that a busy moment does no harm
    Instructions alone do not tell. Where a virtual machine shows a processor's instructions for bfloat16 but hides the
    unit behind its speed (amx), the product takes twice as long as in float32.
    Provided.
    """
    pairs = {dtype: torch.ones(side, side, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)}
    seconds = {dtype: [] for dtype in pairs}
    for _ in range(times):
        for dtype, a in pairs.items():
            start = time.perf_counter()
            a @ a
            seconds[dtype].append(time.perf_counter() - start)
    return min(seconds[torch.bfloat16]) <= 0.8 * min(seconds[torch.float32])


def precision_here(precision, device="cpu", *, again=True):
    """The precision that is computed in: "float32" in place of "bfloat16" where that does not pay, and a line says so.

    again: whether the line comes also if this process has printed it before
    Provided.
    """
    if precision != "bfloat16" or bfloat16_pays(device):
        return precision
    if TOLD and not again:
        return "float32"
    TOLD.add(precision)
    print(
        "bfloat16 would be slower than float32 here, without fast instructions for it: computing in float32.",
        flush=True,
    )
    return "float32"


def flags(device="cpu"):
    """Which of the instructions that matter for training a processor has, as Linux names them; of a card, its version.

    Provided.
    """
    if torch.device(device).type == "cuda":
        return ["sm_{}{}".format(*torch.cuda.get_device_capability(device))]
    told = getattr(torch.cpu, "get_capabilities", dict)()  # from PyTorch 2.9 on, on every system
    found = {name.replace("avx512_f", "avx512f") for name, has in told.items() if has is True}
    found |= set(cpuinfo("flags").split()) | set(cpuinfo("Features").split())
    return [name for name in FLAGS if name in found]


def processor(device="cpu"):
    """The name of the processor or the graphics card, as far as the system tells.

    Provided.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{cpuinfo('model name') or platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def cpuinfo(key):
    """What Linux tells of the first processor under a key of /proc/cpuinfo; empty where there is none.

    Provided.
    """
    path = Path("/proc/cpuinfo")
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")


def keep_memory():
    """Ask Linux's C library to keep freed memory for the next step instead of handing it back to the system.

    A training step frees and takes the same tens of megabytes again; without this, up to half of the time goes into
    the system's page tables. Other systems are left as they are.
    Provided.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-4, 0)  # M_MMAP_MAX: no block gets a mapping of its own, which would be undone when it is freed
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the top of the heap is not handed back either
