"""The command that fills a zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from robustbench_mix.cli.answers import load_torch, paths_json, print_answer
from robustbench_mix.cli.app import NETWORKS, command, output_option
from robustbench_mix.cli.options import AsJson, Quiet
from robustbench_mix.config.zoo import Entry, location
from robustbench_mix.errors import RbmixError, one_line
from robustbench_mix.storage import remote
from robustbench_mix.storage.paths import is_folder, parse_path


@command(
    NETWORKS,
    "rbmix zoo",
    "rbmix zoo ~/.cache/rbmix/checkpoints/*.safetensors",
)
def zoo(
    checkpoints: Annotated[
        Optional[list[Path]],
        typer.Argument(help="Checkpoints to add, as `rbmix train` names them."),
    ] = None,
    folder: Annotated[
        Optional[str],
        output_option(
            show_default="results/checkpoints of the checkout, or RBMIX_ZOO",
            help="Folder of the zoo.",
        ),
    ] = None,
    name: Annotated[
        Optional[str],
        output_option(help="Name of a single checkpoint; by default it is made of its settings."),
    ] = None,
    check: Annotated[
        bool, output_option("--check", help="Only compare; exit with 1 if the table is stale.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Add checkpoints to a zoo, and write the table of its networks."""
    place = folder or location()
    if remote.is_url(place):
        raise RbmixError(f"zoo {place} is a URL; --folder names a folder to add to")
    if check and checkpoints:
        raise RbmixError("--check only compares, leave out the checkpoints")
    if not checkpoints and not is_folder(parse_path(place)):
        raise RbmixError(f"zoo {place} is no folder")
    load_torch(as_json or quiet)

    from robustbench_mix.cli import render
    from robustbench_mix.models import zoo_folder
    from robustbench_mix.storage import files

    home = parse_path(place)
    if check:
        stale = files.files_that_differ(zoo_folder.content(home))
        said = [f"{path} does not match the networks (rbmix zoo rewrites it)" for path in stale]
        said = said or [f"{home}: the table matches the networks"]
        print_answer(
            as_json,
            quiet and not stale,
            {"stale": [str(path) for path in stale]},
            lambda: render.lines(said),
        )
        if stale:
            raise typer.Exit(1)
        return
    written = zoo_folder.add(checkpoints or [], home, name)
    print_answer(as_json, quiet, paths_json(written), lambda: render.regenerated(written))


def show_networks(found: list[Entry], place: str) -> None:
    """Print the networks of the zoo at `place`."""
    from rich.table import Table

    from robustbench_mix.cli import render

    table = Table(title=f"The zoo at {one_line(place)}")
    for column in ("--weights", "images x epochs", "clean", "hash"):
        table.add_column(column, no_wrap=column in ("--weights", "hash"))  # to be copied
    for one in found:
        training = f"{one.train_examples:,} x {one.epochs}"
        if one.adversarial:
            training += f", adversarial {one.adversarial}"
        table.add_row(f"zoo:{one.name}", training, f"{one.test_accuracy:.2%}", one.weights_hash)
    render.screen().print(table)
