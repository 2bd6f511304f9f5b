"""Check the words of commands that need no evaluation plan, before torch is imported."""

from __future__ import annotations

from robustbench_mix.config import catalog
from robustbench_mix.config.catalog import RUNNERS
from robustbench_mix.config.training import check_precision
from robustbench_mix.errors import RbmixError, unknown


def check_runner(name: str, workers: int | None, address: str | None) -> None:
    """Raise RbmixError for an unknown runner, or options that it does not accept."""
    if name not in RUNNERS:
        raise unknown("runner", name, RUNNERS)
    if workers is not None and workers < 1:
        raise RbmixError(f"number of workers {workers} must be at least 1")
    if address is not None and name != "ray":
        raise RbmixError(f"--address {address} goes with --runner ray")


BENCHMARKS = (
    "two-step", "autoattack", "adversarial", "training", "audited", "command", "pgd", "steps",
    "memory",
)  # fmt: skip


def benchmark(
    *, dataset: str, examples: int, parts: list[str] | None, precision: str, device: str
) -> None:
    """Raise RbmixError for a wrong word of `rbmix bench`."""
    if examples < 1:
        raise RbmixError(f"number of examples {examples} must be at least 1")
    for part in parts or []:
        if part not in BENCHMARKS:
            raise RbmixError(f"part {part!r} is not one of {', '.join(BENCHMARKS)}")
    if precision != "auto":
        check_precision(precision)
    catalog.check_device(device)
    catalog.check_dataset(dataset)
