"""The commands that list names: data sets, sweeps and flags."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from robustbench_mix.cli import completion
from robustbench_mix.cli.answers import print_answer
from robustbench_mix.cli.app import LISTS, command
from robustbench_mix.cli.options import AsJson, Quiet


@command(LISTS, "rbmix datasets", "rbmix datasets --json")
def datasets(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the data sets, and the forms of your own."""
    from robustbench_mix.cli import render
    from robustbench_mix.config import catalog

    listed = [{"dataset": name, "what": words} for name, words in catalog.DATASETS.items()]
    own = [{"dataset": form, "what": words} for form, words in catalog.OWN_DATA.items()]
    print_answer(as_json, quiet, listed, lambda: render.listing([*listed, *own]))


@command(LISTS, "rbmix sweeps", "rbmix sweeps --json")
def sweeps(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the shipped sweeps, with their numbers of networks."""
    from robustbench_mix.cli import render
    from robustbench_mix.sweeps import definition

    loaded = [definition.load(name, {}) for name in definition.shipped_sweeps()]
    listed = [
        {
            "sweep": one.name,
            "networks": len(one.cells) + len(one.unshuffling_cells),
            "what": one.summary,
        }
        for one in loaded
    ]
    print_answer(as_json, quiet, listed, lambda: render.listing(listed))


@command(LISTS, "rbmix flags", "rbmix flags at-chance")
def flags(
    name: Annotated[
        Optional[str],
        typer.Argument(autocompletion=completion.flags, help="A flag, to be explained in full."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List the flags of an evaluation, or explain one of them.

    A flag is a reason not to trust a number yet.
    """
    from robustbench_mix.cli import render
    from robustbench_mix.results import flag_guide

    if name is not None:
        text = flag_guide.section(name)
        print_answer(
            as_json,
            quiet,
            {"flag": name, "what": text},
            lambda: render.page(f"**{name}**\n\n{text}"),
        )
        return
    guide = flag_guide.sections().items()
    listed = [{"flag": flag, "what": flag_guide.first_sentence(text)} for flag, text in guide]
    print_answer(as_json, quiet, listed, lambda: render.listing(listed))
