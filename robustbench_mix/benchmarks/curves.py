"""Benchmark whole curves against other libraries: AutoAttack and PGD."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from robustbench_mix.attacks import registry
from robustbench_mix.benchmarks import peers
from robustbench_mix.benchmarks.table import Row, join
from robustbench_mix.config import protocols
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation.borrow import borrow
from robustbench_mix.evaluation.fast import search_all
from robustbench_mix.evaluation.harness import Settings
from robustbench_mix.evaluation.state import State
from robustbench_mix.models.separable import SeparableConv2d, compose
from robustbench_mix.runtime.devices import default_batch_size
from robustbench_mix.runtime.progress import silenced
from robustbench_mix.runtime.timing import time_call, time_ratios

PGD_STEPS, PGD_STEP_SIZE = 20, 0.125
FAILING_RUN_PASSES = (
    7856 + 1910
)  # passes of pyautoattack 0.2.0 over an image that it does not break


def as_two_steps(model: nn.Module) -> nn.Module:
    """Return a copy that runs depthwise, then pointwise, as in the paper, in the default layout."""
    written = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    for module in written.modules():
        if isinstance(module, SeparableConv2d):
            module.forward = module.two_step  # type: ignore[method-assign]
    # Code that reads this attribute would change the layout again.
    setattr(written, "channels_last", False)  # noqa: B010
    return written


def as_dense(model: nn.Module) -> nn.Module:
    """Return the equal network of dense convolutions."""
    return compose(copy.deepcopy(model))


def run_fast_engine(
    model: nn.Module, split: Split, protocol: Protocol, device: torch.device
) -> State:
    """Run our fast backend as `rbmix evaluate` does."""
    stages = registry.fast_stages(protocol.algorithm, 10, protocol.options)
    batch_size = default_batch_size(int(split.images.shape[-1]), device)
    return search_all(model, split, protocol, stages, Settings(0, device, batch_size))


def count_robust(state: State, epsilons: int) -> list[int]:
    """Count the robust images at each epsilon of the grid."""
    pairs = list(zip(state.correct, state.level, strict=True))
    return [sum(c and level > at for c, level in pairs) for at in range(epsilons)]


def autoattack_rows(
    words: str,
    model: nn.Module,
    split: Split,
    dataset: str,
    device: torch.device,
    *,
    as_written: bool,
    targets: tuple[str, str],
    repeats: int,
) -> list[Row]:
    """Compare the curve of AutoAttack with a loop over pyautoattack.

    Args:
        words: The network in words, for the table.
        model: The network.
        split: The images.
        dataset: Name of the data set.
        device: The device to run on.
        as_written: Run pyautoattack on the two-step network, otherwise on the composed one.
        targets: The ratios of time and of passes to reach, as texts.
        repeats: Number of repetitions.
    """
    target, passes_target = targets
    protocol = protocols.load("autoattack", dataset)
    grid = [eps.value for eps in protocol.eps]
    x, y = split.pixels().to(device), split.labels.to(device)
    with borrow(model, device), silenced():
        net = (as_two_steps if as_written else as_dense)(model).requires_grad_(False)
        theirs = peers.with_pass_counter(net)
        found, their_curve, state = time_ratios(
            lambda: peers.pyautoattack_curve(theirs, x, y, grid),
            lambda: run_fast_engine(model, split, protocol, device),
            repeats, device,
        )  # fmt: skip
    ours = count_robust(state, len(grid))
    against = "pyautoattack, looped, " + ("two-step" if as_written else "composed")
    curves = f"{len(split)} images, {join(ours)} robust against {join(their_curve)}"
    work = f"AutoAttack curve, {len(grid)} epsilons, {words}"
    rows = [Row(work, against, target, found, curves)]
    if not as_written:
        spent = sum(p["forward"] + p["gradient"] for p in state.passes.values())
        reference = (theirs.passes.forward + theirs.passes.gradient) / repeats
        easy = [
            (state.forward[row] or 0) + (state.gradient[row] or 0)
            for row in range(len(split))
            if state.correct[row] and state.level[row] == 0 and state.component[row] == "fgsm"
        ]
        floor = (
            sum(c and at > 0 for c, at in zip(state.correct, state.level, strict=True))
            * FAILING_RUN_PASSES
            / reference
        )
        note = (
            f"{spent / len(split):,.0f} of {reference / len(split):,.0f} an image; one failing "
            f"run for each image that withstands anything is {floor:.3f}x"
        )
        if easy:
            note += f"; at most {max(easy)} for an image that one step breaks at once"
        rows.append(
            Row(f"passes of that curve, {words}", "reference", passes_target,
                [spent / reference], note)
        )  # fmt: skip
    return rows


def pgd_row(
    words: str,
    model: nn.Module,
    split: Split,
    dataset: str,
    device: torch.device,
    repeats: int,
) -> tuple[Row, list[str]]:
    """Compare PGD-20 with the fastest library that is installed.

    Args:
        words: The network in words, for the table.
        model: The network.
        split: The images.
        dataset: Name of the data set.
        device: The device to run on.
        repeats: Number of repetitions.

    Returns:
        The row, and the names of the libraries that are not installed.
    """
    options = {"steps": PGD_STEPS, "restarts": 1, "step_size": PGD_STEP_SIZE}
    protocol = replace(protocols.load("pgd", dataset), options=options)
    grid = [eps.value for eps in protocol.eps]
    x, y = split.pixels().to(device), split.labels.to(device)
    missing = [name for name in peers.PGD if not peers.is_usable(name)]
    there = {name: run for name, run in peers.PGD.items() if name not in missing}
    with borrow(model, device), silenced():
        net = peers.with_pass_counter(as_dense(model).requires_grad_(False))

        def run_peer(name: str) -> list[int]:
            return there[name](net, x, y, grid, PGD_STEPS, PGD_STEP_SIZE)

        times = {name: time_call(partial(run_peer, name), device)[0] for name in there}
        fastest = min(times, key=lambda name: times[name])
        found, theirs, state = time_ratios(
            lambda: run_peer(fastest),
            lambda: run_fast_engine(model, split, protocol, device),
            repeats, device,
        )  # fmt: skip
    order = ", ".join(
        f"{name} {times[name] / times[fastest]:.2f}"
        for name in sorted(times, key=lambda n: times[n])
    )
    note = (
        f"{len(split)} images, {join(count_robust(state, len(grid)))} robust against "
        f"{join(theirs)}; peers' times relative to the fastest: {order}"
    )
    work = f"PGD-{PGD_STEPS} curve, {len(grid)} epsilons, {words}"
    return Row(work, f"{fastest}, composed", "≥ 5x", found, note), missing
