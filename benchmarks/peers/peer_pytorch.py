"""PyTorch's side of the bench, in each setting that may be its best.

Plain, fused and foreach updates; images as NCHW and as channels_last; sequences with the time or
the batch first; and torch.compile for the small nets, where there is a compiler.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pybp.bench.own_ops import Kernel
from pybp.bench.products import Gemm
from pybp.bench.workloads import Workload

NAME, PAUSE = "PyTorch", 0.02
COMPILED = ("a:step", "b", "c", "n", "s", "t")


def version() -> str:
    """Return the version."""
    import torch

    return str(torch.__version__)


def set_threads(count: int) -> None:
    """Use so many threads, and count denormal numbers as zero, as pybp does."""
    import torch

    torch.set_num_threads(count)
    torch.set_flush_denormal(True)


def sides(work: Any, *, quick: bool = False) -> list[Any]:
    """Return the settings for a workload, a product or a kernel; quick ones without compile."""
    import torch_kernels
    import torch_sides

    if isinstance(work, Gemm):
        return [torch_kernels.GemmSide(work)]
    if isinstance(work, Kernel):
        return [torch_kernels.KernelSide(work)]
    kind = torch_sides.SequenceSide if is_sequence(work) else torch_sides.NetSide
    found = [kind(work, setting) for setting in settings(work)]
    if work.name in COMPILED and not quick and can_compile():
        found.append(kind(work, torch_sides.Setting("fused", compiled=True)))
    return found


def is_sequence(work: Workload) -> bool:
    """Tell whether the net has a recurrent layer or an embedding bag."""
    return work.is_sequence or work.is_bag


def settings(work: Workload) -> list[Any]:
    """Return the settings without a compiler."""
    from torch_sides import LAYOUTS, Setting

    if work.is_bag:
        return [Setting("")]  # sparse gradients have no fused update
    if work.is_sequence:
        return [
            Setting(update, time_first=first) for first in (True, False) for update in ("fused", "")
        ]
    updates = [""] if work.optimizer is None else ["fused", "foreach", ""]
    if len(work.shape) == 3:
        return [Setting(update, layout) for layout in LAYOUTS for update in updates[:2]]
    return [Setting(update) for update in updates]


@cache
def can_compile() -> bool:
    """Tell whether torch.compile works here: it needs a compiler."""
    import torch

    try:
        torch.compile(torch.sin)(torch.ones(2))
    except torch._dynamo.exc.TorchDynamoException:
        return False
    return True
