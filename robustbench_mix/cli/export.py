"""The command that writes an entry for RobustBench from a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from robustbench_mix.cli import completion
from robustbench_mix.cli.answers import choose_folder, paths_json, print_answer, require_folder
from robustbench_mix.cli.app import (
    RESULTS,
    attack_option,
    command,
    data_option,
    entry_option,
    model_option,
    output_option,
)
from robustbench_mix.cli.options import AsJson, Quiet, whole


@command(
    RESULTS,
    "rbmix export --model resnet18 --spatial frozen --dataset cifar10",
    "rbmix export results/runs/cifar10/RUN.parquet --model-id Author2025Title",
)
def export(
    results: Annotated[
        Optional[Path],
        typer.Argument(
            show_default="results", help="Folder of results, or the .parquet file of one run."
        ),
    ] = None,
    model: Annotated[
        Optional[str],
        model_option(autocompletion=completion.models, help="Model of the run."),
    ] = None,
    spatial: Annotated[
        Optional[str],
        model_option(autocompletion=completion.spatial, help="Spatial mixers of the run."),
    ] = None,
    channel: Annotated[
        Optional[str],
        model_option(autocompletion=completion.channel, help="Channel mixers of the run."),
    ] = None,
    seed: Annotated[Optional[int], model_option(parser=whole, help="Seed of the run.")] = None,
    dataset: Annotated[
        Optional[str], data_option(autocompletion=completion.datasets, help="Data set of the run.")
    ] = None,
    attack: Annotated[
        str, attack_option(autocompletion=completion.attacks, help="Protocol of the run.")
    ] = "autoattack",
    backend: Annotated[
        Optional[str], attack_option(help="Backend of the run, as the leaderboard names it.")
    ] = None,
    eps: Annotated[
        Optional[str],
        attack_option(help="Epsilon of the entry; by default the one that RobustBench uses."),
    ] = None,
    model_id: Annotated[
        Optional[str], entry_option(help="Name of the entry, as in Author2025Title.")
    ] = None,
    name: Annotated[Optional[str], entry_option(help="Title of the paper.")] = None,
    authors: Annotated[
        Optional[str], entry_option(help="Authors of the paper, as in A. First, B. Last.")
    ] = None,
    link: Annotated[Optional[str], entry_option(help="Link to the paper.")] = None,
    venue: Annotated[
        Optional[str], entry_option(help="Venue of the paper, as in ICML 2025.")
    ] = None,
    architecture: Annotated[
        Optional[str], entry_option(help="Name of the architecture; by default that of the model.")
    ] = None,
    additional_data: Annotated[
        Optional[bool],
        entry_option(
            "--additional-data/--no-additional-data",
            help="Whether training used additional data; no by default if rbmix trained the model.",
        ),
    ] = None,
    reported: Annotated[
        Optional[str], entry_option(help="Robust accuracy that the paper reports, in %.")
    ] = None,
    footnote: Annotated[
        Optional[str], entry_option(help="Footnote; the flags are added to it.")
    ] = None,
    out: Annotated[Path, output_option(help="Folder for DATASET/NORM/NAME.json.")] = Path(
        "model_info"
    ),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write an entry for RobustBench from a run under AutoAttack.

    All numbers come from the records. Options give the rest; what is missing is marked `TO FILL`
    in the entry and listed.
    """
    from robustbench_mix.cli import render
    from robustbench_mix.results import flags, probes, records
    from robustbench_mix.results.robustbench import model_info

    wanted = {
        "model": model, "dataset": dataset, "spatial": spatial, "channel": channel, "seed": seed,
        "protocol": attack, "backend": backend,
    }  # fmt: skip
    told: dict[str, Any] = {
        "name": name, "authors": authors, "link": link, "venue": venue,
        "architecture": architecture, "additional_data": additional_data,
        "reported": reported, "footnote": footnote,
    }  # fmt: skip
    source = choose_folder(results, as_json or quiet)
    if source.suffix == ".parquet":
        run, transfers = records.read(source), []
    else:
        run = records.select_run(
            require_folder(source), {k: v for k, v in wanted.items() if v is not None}
        )
        transfers = probes.read_transfers(source)
    raised = flags.of_run(run, transfers)
    entry = model_info.entry_of(run, eps, raised, told)
    path = model_info.write(out, model_id or model_info.default_id(run), entry)
    lacks, remarks = model_info.missing_fields(entry), model_info.remarks(entry)
    found = {"entry": entry, "to_fill": lacks, "remarks": remarks, **paths_json([path])}
    flagged = [flags.line(name, words) for name, words in raised.items()]
    still = [f"still to be filled: {', '.join(lacks)}"] if lacks else []
    said = [f"wrote {path}", *flagged, *remarks, *still]
    print_answer(as_json, quiet, found, lambda: render.lines(said))
