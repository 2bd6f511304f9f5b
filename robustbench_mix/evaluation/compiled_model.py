"""Compile a copy of a network for runs of many forward passes on a CPU.

Attacks that need no gradient ask thousands of times for logits alone. PyTorch's compiler then
gains a third of the time in float32 and almost half in bfloat16. It takes about as long as some
thousand images do, so only long runs use it. If anything goes wrong, the network itself is used.
"""

from __future__ import annotations

import copy
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from robustbench_mix.attacks.counted_model import CountedModel
from robustbench_mix.attacks.passes import Count
from robustbench_mix.data.shape import Shape
from robustbench_mix.models.equality import COARSE_TOLERANCE, EXACT_TOLERANCE, nearly_equal
from robustbench_mix.models.operations import count_multiply_adds
from robustbench_mix.models.prepacked import unpacked
from robustbench_mix.runtime.progress import report_if_slow

CHUNK = 64  # images that the compiled program takes at once
# Multiplications and additions of a run of such passes that are worth the compilation: it takes
# about 20 s, and a core does 1e11 of them a second in float32 and three times as many in bfloat16.
WORTH = 5e13

Program = Callable[[Tensor], Tensor]
Compile = Callable[[nn.Module, Tensor], Program]


class Chunked(nn.Module):
    """Map images (B, C, H, W) to logits (B, classes) by `program`, in chunks of its fixed size.

    A rest of at least half a chunk is padded; a smaller one goes through `net`.
    """

    def __init__(self, net: nn.Module, program: Program, chunk: Tensor) -> None:
        super().__init__()
        self.net = net
        self.program = program
        # The program was made for this layout in memory, which a slice may not have.
        self.chunk = torch.empty_like(chunk)

    def forward(self, x: Tensor) -> Tensor:
        size = len(self.chunk)
        if torch.is_grad_enabled() or x.shape[1:] != self.chunk.shape[1:]:
            return self.net(x)  # type: ignore[no-any-return]
        parts = []
        for part in x.split(size):  # type: ignore[no-untyped-call]
            if len(part) < size // 2:
                parts.append(self.net(part))
                continue
            self.chunk[: len(part)] = part
            parts.append(self.program(self.chunk)[: len(part)].clone())
        return torch.cat(parts) if parts else self.net(x)


class ForwardOnly:
    """Lend a model the compiled copy of its network; compile it at the first use.

    Args:
        model: The model that attacks search, on a CPU.
        x: A few images, (B, C, H, W), of the network's dtype.
        images: Number of images of the whole run, even if this process attacks only a part of
            them: the outcome must not depend on the parts.
        compile_: The compiling function; tests replace it.
    """

    def __init__(
        self, model: CountedModel, x: Tensor, images: int, compile_: Compile | None = None
    ) -> None:
        self.model, self.x, self.images = model, x, images
        self.compile = compile_ or compile_ahead

    @contextmanager
    def lend(self, passes: Count) -> Iterator[None]:
        """Use the compiled copy within the block if so many passes per image are worth it."""
        net = self.model.net
        if not passes.gradient and self._is_worth(passes.forward) and self._compiled is not None:
            self.model.net = self._compiled
        try:
            yield
        finally:
            self.model.net = net

    def _is_worth(self, forward: float) -> bool:
        return self._flops * forward * self.images >= WORTH

    @cached_property
    def _flops(self) -> float:
        """Estimate the floating-point operations of one image; 0 if nothing can be compiled."""
        if self.x.device.type != "cpu" or shutil.which("g++") is None:
            return 0.0
        _, channels, size, _ = self.x.shape
        try:
            done = count_multiply_adds(unpacked(self.model.net), Shape(channels, size, 0))
        except Exception:  # a network that cannot be looked into is not compiled either
            return 0.0
        return 2.0 * (done.rest + sum(cost.as_it_runs for cost in done.separable))

    @cached_property
    def _compiled(self) -> Chunked | None:
        with report_if_slow("compiling the network for forward passes"):
            return compile_model(self.model.net, self.x, tolerance_of(self.model), self.compile)


def tolerance_of(model: CountedModel) -> float:
    """Return how far logits may differ from those of the network, as a share of the largest."""
    return EXACT_TOLERANCE if model.judge is None else COARSE_TOLERANCE


def compile_model(net: nn.Module, x: Tensor, tolerance: float, compile_: Compile) -> Chunked | None:
    """Return `net` with a compiled program, or None if that fails or its logits differ.

    Args:
        net: The network, (B, C, H, W) -> (B, classes), in eval mode.
        x: A few images.
        tolerance: Largest allowed difference of logits, as a share of the largest logit.
        compile_: Makes the program from a copy of the network and a chunk of images.
    """
    repeats = -(-CHUNK // len(x))
    chunk = x.repeat(repeats, 1, 1, 1)[:CHUNK].contiguous(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    fresh = torch.rand(chunk.shape, generator=generator).to(chunk)
    try:
        with torch.no_grad():
            made = Chunked(net, compile_(copy.deepcopy(unpacked(net)), chunk), chunk)
            # Check on other images than those it was compiled with, and at other batch sizes.
            for batch in (chunk, fresh, fresh.flip(0)[: CHUNK - 1], fresh[:2]):
                if not nearly_equal(net(batch), made(batch), tolerance):
                    return None
    except Exception:  # compilers fail in many ways
        return None
    return made


def compile_ahead(net: nn.Module, chunk: Tensor) -> Program:
    """Compile a network for batches like `chunk`, ahead of time and without guards.

    A program of PyTorch's just-in-time compiler would be compiled again whenever the number of
    threads changes.
    """
    from torch._inductor import aoti_compile_and_package, aoti_load_package

    options = {"freezing": True, "cpp.dynamic_threads": True, "compile_threads": 1}
    with tempfile.TemporaryDirectory() as folder, _quiet_compiler():
        exported = torch.export.export(net, (chunk,))
        path = aoti_compile_and_package(
            exported, package_path=str(Path(folder) / "net.pt2"), inductor_configs=options
        )
        return aoti_load_package(path)


@contextmanager
def _quiet_compiler() -> Iterator[None]:
    """Silence the compiler's log, which no user can act on."""
    logger = logging.getLogger("torch")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
