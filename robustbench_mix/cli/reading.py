"""The commands that list what there is, and that derive tables from the records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from robustbench_mix.cli.app import app
from robustbench_mix.cli.options import AsJson, existing


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the models, with the trainable parameters of Full, Chans and Space."""
    from robustbench_mix import plugins, show, sources, zoo

    counts = {name: zoo.trainable_parameters(name) for name in zoo.MODELS}
    registered = plugins.packages("model")
    if as_json:
        packages = {name: {"package": package} for name, package in registered.items()}
        print(json.dumps({**packages, **counts}, indent=2))
    else:
        show.models(zoo.MODELS, counts, zoo.GRAMMAR, sources.FORMS, registered)


@app.command()
def attacks(as_json: AsJson = False) -> None:
    """List the attack protocols, and the algorithms of other packages."""
    from robustbench_mix import plugins, protocols, show

    loaded = [protocols.load(name, dataset="") for name in protocols.names()]
    registered = plugins.packages("algorithm")
    if as_json:
        listed: list[dict[str, object]] = [{**p.as_json(), "summary": p.summary} for p in loaded]
        listed += [{"algorithm": name, "package": owner} for name, owner in registered.items()]
        print(json.dumps(listed, indent=2))
    else:
        show.attacks(loaded, registered)


@app.command()
def leaderboard(
    results: Annotated[Path, typer.Argument(help="Results folder.")] = Path("results"),
    check: Annotated[
        bool,
        typer.Option("--check", help="Only compare with what the records give; exit 1 if stale."),
    ] = False,
) -> None:
    """Regenerate leaderboard and curves from the records."""
    from robustbench_mix import leaderboard as board

    if check:
        stale = board.stale(results)
        for path in stale:
            print(f"{path} does not match the records (rbmix leaderboard {results} rewrites it)")
        if stale:
            raise typer.Exit(1)
        print(f"{results}: the leaderboard matches the records")
        return
    from robustbench_mix import plot

    for path in [*board.write(results), *plot.write(results)]:
        print(f"wrote {path}")


@app.command()
def claims(
    results: Annotated[Path, typer.Argument(help="Results folder.")] = Path("results"),
    check: Annotated[
        bool,
        typer.Option("--check", help="Only compare with what the records give; exit 1 if stale."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Test each claim of the paper against the records."""
    from dataclasses import asdict

    from robustbench_mix import claims as tested
    from robustbench_mix import explanations, records, show
    from robustbench_mix.claims import markdown

    runs = records.read_all(existing(results))
    found, why = tested.of(results, runs), explanations.of(results, runs)
    if check:
        if markdown.stale(results, found, why):
            print(f"{results / markdown.NAME} does not match the records")
            raise typer.Exit(1)
        print(f"{results}: the claims match the records")
        return
    path = markdown.write(results, found, why)
    if as_json:
        print(json.dumps([asdict(claim) for claim in found], indent=2))
    else:
        show.claims(found, path)


@app.command()
def report(
    results: Annotated[Path, typer.Argument(help="Results folder.")] = Path("results"),
) -> None:
    """Write everything into one HTML file that needs no network."""
    from robustbench_mix import report as page

    print(f"wrote {page.write(existing(results))}")
