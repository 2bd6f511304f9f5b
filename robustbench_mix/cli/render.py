"""Print the results of commands: tables for people, one JSON object for programs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from robustbench_mix.claims.explanations.table import Explanation
from robustbench_mix.claims.verdicts import Claim
from robustbench_mix.config.training import adversarial_words
from robustbench_mix.errors import one_line
from robustbench_mix.results.regression import ci_report
from robustbench_mix.results.regression.comparison import Verdict
from robustbench_mix.runtime.output import answer_stream
from robustbench_mix.storage import remote

if TYPE_CHECKING:  # it imports torch
    from robustbench_mix.models.checkpoint import CheckpointHeader


def training(header: CheckpointHeader, path: Path) -> None:
    """Print a summary of a checkpoint and its path."""
    spec, recipe = header.spec, header.recipe
    assert spec is not None and recipe is not None  # it was trained here
    attacked = f", adversarial {adversarial_words(recipe)}" if recipe.perturbation else ""
    screen().print(
        f"{spec.model} on {header.train_examples:,} images of "
        f"{header.dataset}, {recipe.epochs} epochs{attacked}: "
        f"{header.test_accuracy:.2%} clean accuracy\n{one_line(str(path))}",
        soft_wrap=True,
    )


def decodings(rows: list[dict[str, Any]], written: list[Path], read: list[Path]) -> None:
    """Print how well each network un-shuffles."""
    table = Table(title="Un-shuffling: PSNR of test images, dB")
    columns = ("dataset", "depth", "width", "kernel", "reach", "spatial", "n")
    for column in (*columns, "PSNR", "95 % interval"):
        table.add_column(column, justify="right")
    for row in rows:
        interval = f"{row['low']:.2f} to {row['high']:.2f}"
        table.add_row(*(str(row[name]) for name in columns), f"{row['psnr']:.2f}", interval)
    screen().print(table)
    saved(written, read)


def explanations(tables: list[Explanation], written: list[Path], read: list[Path]) -> None:
    """Print the tables that explain a gap, each with what it shows, and the files.

    Args:
        tables: The explanations; none for a learned network, which has no twin beside it.
        written: The files that were written.
        read: The existing files that were read.
    """
    console = screen()
    for one in tables:
        first = dict(zip(one.columns, one.rows[0], strict=True))
        table = Table(
            title=f"{one.title}: {first['model']} on {first['data']}",
            caption=f"{one.shows} {one.cannot}",
            caption_justify="left",
        )
        # All rows are of one seed of one model.
        shown = [
            at for at, name in enumerate(one.columns) if name not in ("data", "model", "seeds")
        ]
        for at in shown:
            table.add_column(one.columns[at], overflow="fold")
        for row in one.rows:
            table.add_row(*(row[at] for at in shown))
        console.print(table)
    if not tables:
        lines(["a learned network alone explains no gap; --spatial frozen measures its twin too"])
    saved(written, read)


def claims(found: list[Claim], written: list[Path]) -> None:
    """Print the verdicts on the claims, and the files that were written."""
    table = Table(title="The claims of the paper")
    for column in ("claim", "data", "verdict", "where", "measured"):
        table.add_column(column)
    for claim in found:
        table.add_row(claim.name, claim.data, claim.verdict, claim.reason, claim.measured)
    screen().print(table)
    regenerated(written)


def saved(written: Iterable[Path], read: Iterable[Path] = ()) -> None:
    """Print which files were written, and which existing records were read."""
    lines(f"read {remote.display_name(path)}" for path in read)
    lines(f"wrote {remote.display_name(path)}" for path in written)


def regenerated(written: list[Path]) -> None:
    """Print which derived files changed, if any."""
    saved(written)
    if not written:
        lines(["nothing has changed"])


def lines(texts: Iterable[str]) -> None:
    """Print each text on a line of its own, however long."""
    console = screen()
    for text in texts:
        console.print(one_line(text), soft_wrap=True)


def verdicts(found: list[Verdict], written: list[Path]) -> None:
    """Print what got worse since each baseline, and other differences."""
    console = screen()
    for verdict in found:
        table = Table(title=one_line(str(verdict.path)))
        for column in ci_report.COLUMNS:
            table.add_column(column)
        for check in verdict.checks:
            table.add_row(*ci_report.cells(check))
        console.print(table)
        worse = [f"WORSE {check.name}: {check.worse}" for check in verdict.worse]
        for line in [*verdict.notes, *(worse or ["nothing got worse"])]:
            console.print(line, soft_wrap=True)
    saved(written)


def models(
    summaries: dict[str, str],
    counts: dict[str, dict[str, int]],
    grammar: str,
    forms: str,
    registered: dict[str, str],
) -> None:
    """Print the models with their numbers of trainable parameters, and the other model words.

    Args:
        summaries: A summary of each model, by name.
        counts: The trainable parameters of each model's variants, by name.
        grammar: The rules for further names.
        forms: The forms of other model words.
        registered: The packages that register models, by the model's name.
    """
    table = Table(title="Trainable parameters for 32x32 colour images and 10 classes")
    table.add_column("model")
    for variant in ("full", "chans", "space"):
        table.add_column(variant, justify="right")
    table.add_column("what it is")
    for name, summary in summaries.items():
        table.add_row(name, *(f"{count:,}" for count in counts[name].values()), summary)
    console = screen()
    console.print(table)
    console.print("full: all learned; chans: --spatial frozen; space: --channel frozen")
    console.print(grammar)
    console.print(f"also: {forms}")
    _registered("model", registered)


def description(found: dict[str, Any]) -> None:
    """Print the layers of a network, its separable convolutions, and its costs."""
    images = " x ".join(str(length) for length in found["image"])
    name = network_name(found["model"], found["spatial"], found["channel"])
    layers = Table(title=f"{name} for images of {images}, {found['classes']} classes")
    for column in ("layer", "kind", "what"):
        layers.add_column(column, overflow="fold")
    for column in ("trainable", "frozen"):
        layers.add_column(column, justify="right")
    layers.add_column("note")
    for layer in found["layers"]:
        counts = (f"{layer[name]:,}" for name in ("trainable", "frozen"))
        layers.add_row(layer["name"], layer["kind"], layer["what"], *counts, layer["note"])
    costs = Table(title="Separable convolutions: multiply-adds for one image")
    costs.add_column("layer", overflow="fold")
    for column in ("composed", "two-step"):
        costs.add_column(column, justify="right")
    costs.add_column("runs")
    for cost in found["separable"]:
        counts = (f"{cost[name]:,}" for name in ("composed", "two_step"))
        costs.add_row(cost["name"], *counts, cost["runs"])
    console = screen()
    console.print(layers)
    if found["separable"]:
        console.print(costs)
    variants = ", ".join(
        f"{name.capitalize()} {'not possible' if count is None else format(count, ',')}"
        for name, count in found["parameters"].items()
    )
    adds = {name: f"{count:,}" for name, count in found["multiply_adds"].items()}
    console.print(
        f"parameters: {found['trainable']:,} trainable and {found['frozen']:,} frozen here; "
        f"trainable in {variants}\n"
        f"multiply-adds for one image: {adds['as_it_runs']} as it runs, {adds['composed']} with "
        f"every separable convolution composed, {adds['two_step']} with each in two steps; "
        f"composing takes {adds['composing_a_batch']} a batch\n"
        f"precision: {found['precision']}, not in TF32",
        highlight=False,
    )


def attacks(protocols: list[Any], registered: dict[str, str]) -> None:
    """Print the shipped protocols, and the algorithms that packages register."""
    table = Table()
    for column in ("attack", "norm", "eps", "what it does"):
        table.add_column(column)
    for protocol in protocols:
        grid = ", ".join(eps.text for eps in protocol.eps)
        table.add_row(protocol.name, protocol.norm, grid, protocol.summary)
    screen().print(table)
    _registered("algorithm", registered)


def listing(rows: list[dict[str, Any]]) -> None:
    """Print rows with the same keys as a table; the keys are its titles."""
    table = Table()
    for title, value in rows[0].items():
        table.add_column(title, justify="right" if isinstance(value, int) else "left")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    screen().print(table)


def page(text: str) -> None:
    """Print Markdown."""
    screen().print(Markdown(text))


def _registered(kind: str, registered: dict[str, str]) -> None:
    for name, package in registered.items():
        screen().print(f"{kind} {name}, of {package}")


def screen() -> Console:
    """Return a console on standard output that takes no text for markup."""
    return Console(file=answer_stream(), markup=False, emoji=False, highlight=False)


def network_name(model: str, spatial: str, channel: str) -> str:
    """Return the words for a network in titles; an external one has no words for its mixers."""
    return model if spatial == "external" else f"{model} (spatial {spatial}, channel {channel})"
