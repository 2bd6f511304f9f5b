"""The command that makes an entry for RobustBench of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from robustbench_mix.cli import completion
from robustbench_mix.cli.app import app
from robustbench_mix.cli.options import (
    AsJson,
    Quiet,
    choose_folder,
    paths_json,
    print_answer,
    require_folder,
    whole,
)


@app.command()
def export(
    results: Annotated[
        Optional[Path],
        typer.Argument(
            show_default="results", help="A results folder, or the .parquet file of one run."
        ),
    ] = None,
    model: Annotated[
        Optional[str],
        typer.Option(autocompletion=completion.models, help="The run of this model."),
    ] = None,
    spatial: Annotated[
        Optional[str],
        typer.Option(autocompletion=completion.spatial, help="With these spatial mixers."),
    ] = None,
    channel: Annotated[
        Optional[str],
        typer.Option(autocompletion=completion.channel, help="With these channel mixers."),
    ] = None,
    seed: Annotated[Optional[int], typer.Option(parser=whole, help="Of this seed.")] = None,
    dataset: Annotated[
        Optional[str], typer.Option(autocompletion=completion.datasets, help="On this data set.")
    ] = None,
    attack: Annotated[
        str, typer.Option(autocompletion=completion.attacks, help="Under this protocol.")
    ] = "autoattack",
    backend: Annotated[
        Optional[str], typer.Option(help="By this backend, as the leaderboard names it.")
    ] = None,
    eps: Annotated[
        Optional[str], typer.Option(help="The epsilon of the entry; RobustBench's if it has one.")
    ] = None,
    model_id: Annotated[
        Optional[str], typer.Option(help="Name of the entry, as Author2025Title.")
    ] = None,
    name: Annotated[Optional[str], typer.Option(help="Title of the paper.")] = None,
    authors: Annotated[Optional[str], typer.Option(help="Its authors: A. First, B. Last.")] = None,
    link: Annotated[Optional[str], typer.Option(help="Where it is.")] = None,
    venue: Annotated[Optional[str], typer.Option(help="Where it appeared: ICML 2025.")] = None,
    architecture: Annotated[
        Optional[str], typer.Option(help="Name of the architecture, if not the model's.")
    ] = None,
    additional_data: Annotated[
        Optional[bool],
        typer.Option(
            "--additional-data/--no-additional-data",
            help="Whether training saw other data; no for what rbmix trained.",
        ),
    ] = None,
    reported: Annotated[
        Optional[str], typer.Option(help="The robust accuracy that the paper reports, in %.")
    ] = None,
    footnote: Annotated[Optional[str], typer.Option(help="Before what the flags say.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for DATASET/NORM/NAME.json.")] = Path(
        "model_info"
    ),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make an entry for RobustBench of a run under AutoAttack.

    The numbers come from the records. What they do not know is given by options, or marked
    `TO FILL` in the entry and said.
    """
    from robustbench_mix.cli import render
    from robustbench_mix.results import flags, probes, records
    from robustbench_mix.results.robustbench import model_info

    wanted = {
        "protocol": attack, "dataset": dataset, "model": model, "spatial": spatial,
        "channel": channel, "seed": seed, "backend": backend,
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
        run = records.only(
            require_folder(source), {k: v for k, v in wanted.items() if v is not None}
        )
        transfers = probes.read_all(source, "transfer")
    raised = flags.of_run(run, transfers)
    entry = model_info.of(run, eps, raised, told)
    path = model_info.write(out, model_id or model_info.default_id(run), entry)
    lacks, remarks = model_info.to_fill(entry), model_info.remarks(entry)
    found = {"entry": entry, "to_fill": lacks, "remarks": remarks, **paths_json([path])}
    flagged = [f"flag {name}: {words} (docs/flags.md)" for name, words in raised.items()]
    still = [f"still to be filled: {', '.join(lacks)}"] if lacks else []
    said = [f"wrote {path}", *flagged, *remarks, *still]
    print_answer(as_json, quiet, found, lambda: render.lines(said))
