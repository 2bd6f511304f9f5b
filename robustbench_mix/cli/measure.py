"""The command that measures speed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

from robustbench_mix.cli.answers import choose_folder, load_torch, print_answer
from robustbench_mix.cli.app import GATE, attack_option, command, data_option, output_option
from robustbench_mix.cli.options import (
    AsJson,
    DatasetName,
    Device,
    Precision,
    Quiet,
    split_list,
    whole,
)


@command(
    GATE,
    "rbmix bench --quick",
    "rbmix bench --parts pgd,autoattack --dataset cifar10",
)
def bench(
    dataset: DatasetName = "digits",
    examples: Annotated[
        int, data_option(parser=whole, help="Number of test images for AutoAttack; PGD uses 128.")
    ] = 16,
    quick: Annotated[
        bool,
        data_option("--quick", help="Use a tiny network and few images; this gives no evidence."),
    ] = False,
    parts: Annotated[
        Optional[str], attack_option(help="Run only these parts, as in steps,pgd,autoattack.")
    ] = None,
    out: Annotated[
        Optional[Path], output_option(show_default="results", help="Folder for benchmarks.md.")
    ] = None,
    precision: Precision = "auto",
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare the speed of rbmix with that of other libraries."""
    from robustbench_mix.config import command_checks

    words: dict[str, Any] = {
        "dataset": dataset, "examples": examples, "precision": precision, "device": device,
        "parts": None if parts is None else split_list(parts),
    }  # fmt: skip
    command_checks.benchmark(**words)
    results = choose_folder(out, as_json or quiet)
    load_torch(as_json or quiet)

    from robustbench_mix.benchmarks import run, table

    measured = run.run_benchmarks(**words, quick=quick, results=results)
    print_answer(
        as_json, quiet, table.to_json(measured), lambda: print(table.to_markdown(measured))
    )
