"""The commands that list models and attacks, and that derive tables from the records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from robustbench_mix.cli.answers import (
    choose_folder,
    load_torch,
    paths_json,
    print_answer,
    require_folder,
)
from robustbench_mix.cli.app import (
    LISTS,
    RESULTS,
    command,
    data_option,
    model_option,
    output_option,
)
from robustbench_mix.cli.options import AsJson, Quiet, Results
from robustbench_mix.runtime import progress
from robustbench_mix.storage import remote

Check = Annotated[
    bool,
    output_option("--check", help="Only compare with the records; exit with 1 if a file is stale."),
]


@command(
    LISTS,
    "rbmix models",
    "rbmix models --trained",
)
def models(
    trained: Annotated[
        bool, model_option("--trained", help="List the trained networks of the zoo instead.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List the models, with their numbers of trainable parameters."""
    if trained:
        _list_zoo(as_json, quiet)
        return
    load_torch(as_json or quiet)

    from robustbench_mix.cli import render
    from robustbench_mix.config import catalog
    from robustbench_mix.models import factory
    from robustbench_mix.runtime import plugins

    with progress.report_if_slow("counting the parameters of each model"):
        counts = {name: factory.trainable_parameters(name) for name in catalog.MODELS}
    registered = plugins.registering_packages("model")
    packages = {name: {"package": package} for name, package in registered.items()}
    print_answer(
        as_json,
        quiet,
        {**packages, **counts},
        lambda: render.models(catalog.MODELS, counts, catalog.GRAMMAR, catalog.FORMS, registered),
    )


def _list_zoo(as_json: bool, quiet: bool) -> None:
    """Print the networks of the zoo."""
    from msgspec import to_builtins

    from robustbench_mix.cli.zoo import show_networks
    from robustbench_mix.config.zoo import entries, location

    found, place = entries(), location()
    print_answer(as_json, quiet, to_builtins(found), lambda: show_networks(found, place))


@command(
    LISTS,
    "rbmix attacks",
    "rbmix attacks --json",
)
def attacks(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the attack protocols, and other packages' algorithms."""
    from robustbench_mix.cli import render
    from robustbench_mix.config import protocols
    from robustbench_mix.runtime import plugins

    loaded = [protocols.load(name, dataset="") for name in protocols.names()]
    registered = plugins.registering_packages("algorithm")
    listed: list[dict[str, object]] = [{**p.as_json(), "summary": p.summary} for p in loaded]
    listed += [{"algorithm": name, "package": owner} for name, owner in registered.items()]
    print_answer(as_json, quiet, listed, lambda: render.attacks(loaded, registered))


@command(
    RESULTS,
    "rbmix leaderboard",
    "rbmix leaderboard results --check",
)
def leaderboard(
    results: Results = None,
    beside: Annotated[
        Optional[Path],
        data_option(help="An entry of RobustBench (model_info JSON), or a folder of entries."),
    ] = None,
    check: Check = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Regenerate leaderboard, curves and the un-shuffling table.

    With --beside it also writes beside.md and beside.csv: figures that others report for the same
    data set, norm and epsilon, next to our AutoAttack runs. They never enter the leaderboard.
    """
    folder = require_folder(choose_folder(results, as_json or quiet))
    with progress.report_if_slow(f"reading the records in {remote.portable_name(folder)}"):
        from robustbench_mix.cli import render
        from robustbench_mix.results import gallery, plots
        from robustbench_mix.results.leaderboard import stale, write
        from robustbench_mix.results.robustbench import side_by_side
        from robustbench_mix.storage import files

        tables = side_by_side.content(folder, beside) if beside else {}
        changed = []
        if check:
            changed = [*stale(folder), *gallery.stale(folder), *files.files_that_differ(tables)]
    if check:
        _tell_stale(changed, folder, "leaderboard", as_json, quiet)
        return
    with progress.report_if_slow("drawing the curves"):
        drawn = plots.write(folder)
        written = [*write(folder), *gallery.write(folder), *drawn, *files.write_if_changed(tables)]
    print_answer(as_json, quiet, paths_json(written), lambda: render.regenerated(written))


@command(
    RESULTS,
    "rbmix claims",
    "rbmix claims results --check",
)
def claims(
    results: Results = None,
    check: Check = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Test each claim of the paper against the records."""
    from dataclasses import asdict

    folder = require_folder(choose_folder(results, as_json or quiet))
    with progress.report_if_slow(
        f"testing the claims on the records in {remote.portable_name(folder)}"
    ):
        from robustbench_mix.claims import figures, page
        from robustbench_mix.claims.analysis import analyse
        from robustbench_mix.cli import render
        from robustbench_mix.results import analysis_plan, records

        runs = records.read_all(folder)
        looked = [] if check else analysis_plan.look(folder, runs)
        analysis = analyse(folder, runs, analysis_plan.read_all(folder))
        stale = page.stale(folder, analysis) if check else []
    if check:
        _tell_stale(stale, folder, "claims", as_json, quiet)
        return
    with progress.report_if_slow("drawing the explanations"):
        written = [*looked, *page.write(folder, analysis)]
        found = analysis.claims
        written += page.write_figures(folder, figures.figures(found, runs))
    print_answer(
        as_json, quiet, [asdict(claim) for claim in found], lambda: render.claims(found, written)
    )


@command(
    RESULTS,
    "rbmix report",
    "rbmix report results",
)
def report(results: Results = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Write everything into one HTML file that needs no network."""
    folder = require_folder(choose_folder(results, as_json or quiet))
    with progress.report_if_slow(f"making a page of the records in {remote.portable_name(folder)}"):
        from robustbench_mix.claims import html_report
        from robustbench_mix.cli import render

        written = html_report.write(folder)
    print_answer(as_json, quiet, paths_json(written), lambda: render.regenerated(written))


def _tell_stale(stale: list[Path], results: Path, command: str, as_json: bool, quiet: bool) -> None:
    """Print which files do not match the records, and exit with 1 if there is one."""
    from robustbench_mix.cli import render

    place = remote.portable_name(results)
    rewrites = f"does not match the records (rbmix {command} {place} rewrites it)"
    said = [f"{remote.display_name(path)} {rewrites}" for path in stale]
    said = said or [f"{place}: {command} up to date with the records"]
    data = {"stale": [str(path) for path in stale]}
    print_answer(as_json, quiet and not stale, data, lambda: render.lines(said))
    if stale:
        raise typer.Exit(1)
