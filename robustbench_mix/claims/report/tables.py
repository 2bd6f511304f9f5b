"""The tables of a page, and the links from a claim to the runs behind it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from robustbench_mix.claims import page
from robustbench_mix.claims.attacks import NUMBERS
from robustbench_mix.claims.claim import Claim, Finding
from robustbench_mix.results import curves, flags, twins
from robustbench_mix.results.intervals import wilson
from robustbench_mix.results.probes import Transfer
from robustbench_mix.results.records import Run
from robustbench_mix.storage.files import safe_name


@dataclass(frozen=True)
class Table:
    """A table with a name that is unique on its page; a row has a cell for each column."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]]
    runs: list[Run] = field(default_factory=list)  # those that the rows show


@dataclass(frozen=True)
class RunsLink:
    """A link to a table of runs, and the filter that it sets there.

    A part `column:value` of a filter keeps rows with that value, of several values divided by `|`
    with one of them.
    """

    table: str
    filter: str


def claim_anchor(claim: Claim) -> str:
    """Return the name of a claim's section on the page."""
    return safe_name("claim-" + "-".join(part for part in (claim.number, claim.data) if part))


def findings(claim: Claim, of_runs: list[Table]) -> Table:
    """Return the findings of a claim, each with a link to its runs.

    Args:
        claim: The claim.
        of_runs: All tables of runs (`runs_tables`).
    """
    titles, rows = page.table(claim)
    linked = [
        [*row, _link_cell(runs_link(claim, [finding], of_runs))]
        for row, finding in zip(rows, claim.findings, strict=True)
    ]
    return Table(f"t-{claim_anchor(claim)}", claim.name, [*titles, "runs"], linked)


def runs_link(claim: Claim, found: list[Finding], of_runs: list[Table]) -> RunsLink | None:
    """Return the link to the runs behind findings of a claim; None if no table has them.

    Args:
        claim: The claim.
        found: Some of its findings.
        of_runs: All tables of runs.
    """
    models = list(dict.fromkeys(finding.where["model"] for finding in found))
    if claim.number == "6":  # the models of a family differ in their depth multiplier
        doses = dict.fromkeys(d for f in found for d in f.where.get("d", "").split(", "))
        models = [f"{model}_d{dose}" for model in models for dose in doses]
    named = {number: attack for attack, number in NUMBERS.items()}
    attacks = {f.where.get("attack", named.get(claim.number, "")) for f in found} - {""}
    for table in of_runs:
        fits = [
            run.header
            for run in table.runs
            if run.header.dataset == claim.data
            and run.header.model in models
            and (not attacks or run.header.protocol in attacks)
        ]
        if fits:
            parts = [f"model:{'|'.join(dict.fromkeys(h.model for h in fits))}"]
            parts += [f"attack:{'|'.join(sorted(attacks))}"] if attacks else []
            return RunsLink(table.name, " ".join(parts))
    return None


def runs_tables(runs: list[Run], transfers: list[Transfer]) -> list[Table]:
    """Return a table of all runs for each data set and epsilon grid, with links to their images.

    Args:
        runs: All runs; the page knows each by its place among them.
        transfers: Records of `rbmix explain`, which may raise flags.
    """
    groups: dict[tuple[str, ...], list[tuple[int, Run]]] = {}
    for at, run in enumerate(runs):
        groups.setdefault((run.header.dataset, run.header.norm, *run.eps), []).append((at, run))
    found = []
    for number, ((dataset, norm, *grid), those) in enumerate(sorted(groups.items())):
        labels, unit = curves.ticks(grid)
        found.append(
            Table(
                f"runs-{number}",
                f"{dataset}, {norm} epsilon{f' in {unit}' if unit else ''}",
                ["model", "spatial", "channel", "seed", "trained on", "attack", "backend",
                 "images", "clean", *labels, "flags", "date"],
                [_run_cells(at, run, transfers) for at, run in those],
                [run for _, run in those],
            )
        )  # fmt: skip
    return found


def _run_cells(at: int, run: Run, transfers: list[Transfer]) -> list[str]:
    h = run.header
    return [
        Markup('<a href="#run-{}">{}</a>').format(at, h.model),
        h.spatial, h.channel, str(h.seed),
        twins.training_words(h) or "?",
        h.protocol, run.backend, f"{h.n:,}",
        *(_share_cell(kept) for kept in run.standing().to_numpy(bool).T),
        ", ".join(flags.of_run(run, transfers)), run.date,
    ]  # fmt: skip


def _share_cell(kept: np.ndarray) -> Markup:
    correct, n = int(kept.sum()), len(kept)
    low, high = wilson(correct, n)
    words = Markup("{:.1f} <i>[{:.1f}, {:.1f}]</i>")
    return words.format(100 * correct / n, 100 * low, 100 * high)


def _link_cell(link: RunsLink | None) -> str:
    if link is None:
        return ""
    return Markup('<a href="#{}" data-filter="{}">runs</a>').format(link.table, link.filter)
