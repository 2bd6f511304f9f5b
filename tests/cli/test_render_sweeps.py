"""What the commands print of sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from robustbench_mix.claims.recommend import Recommendation
from robustbench_mix.cli import render_sweeps
from robustbench_mix.results.design import Costs, Design


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which no cell is broken."""
    monkeypatch.setenv("COLUMNS", "200")


def row(network: str, trained: list[int], attacked: list[int], seconds: float) -> dict[str, Any]:
    """A row of a plan."""
    return {"network": network, "trained": trained, "attacked": attacked, "seconds": seconds}


def test_a_plan_counts_what_is_left(capsys) -> None:
    """Of each network and in all, with the work and what it takes with several at once."""
    rows = [row("a", [1, 2], [0, 3], 90.0), row("[red]b", [2, 2], [1, 3], 30.0)]
    render_sweeps.plan("quick", "a few", rows, 4, 60.0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "quick: a few"
    assert [cell.strip() for cell in lines[-3].split("│")[1:-1]] == ["[red]b", "2/2", "1/3", "30 s"]
    assert lines[-1] == "6 left to do, about 2.0 min of work, 60 s with 4 at once"
    render_sweeps.plan("quick", "a few", rows, 1, 120.0)
    assert capsys.readouterr().out.splitlines()[-1] == "6 left to do, about 2.0 min of work"


def test_a_plan_with_nothing_left_says_so(capsys) -> None:
    """However many could be done at once."""
    render_sweeps.plan("quick", "a few", [row("a", [2, 2], [3, 3], 0.0)], 4, 0.0)
    assert capsys.readouterr().out.splitlines()[-1] == "everything is done"


def test_an_end_names_files_and_failures(capsys) -> None:
    """Each on a line of its own, however long."""
    failure = "train a: " + "long " * 80
    render_sweeps.sweep({}, [failure], [Path("results/leaderboard.md")], "results")
    assert capsys.readouterr().out.splitlines() == [
        "wrote results/leaderboard.md",
        f"failed: {failure}".strip(),
        "next: the same command tries again what failed",
    ]
    render_sweeps.sweep({}, [], [], None)
    assert capsys.readouterr().out == "next: the same command without --plan runs it\n"


def test_an_end_is_a_table_and_the_next_command(capsys) -> None:
    """Accuracies of each network under each attack, in the order in which they come."""
    row = {"network": "[red]net", "attack": "pgd", "seeds": 2, "n": 1000}
    row["accuracy"] = {"0": 0.875, "1/255": 0.5, "2/255": 0.25}
    decoded = {"dataset": "d", "depth": 4, "width": 8, "kernel": 3, "reach": 4}
    decoded |= {"spatial": "learned", "n": 9, "psnr": 20.125, "low": 20.0, "high": 20.25}
    shown = {"networks": [row], "unshufflings": [decoded]}
    render_sweeps.sweep(shown, [], [], "results")
    out = capsys.readouterr().out
    (line,) = (line for line in out.splitlines() if "[red]net" in line)
    cells = [cell.strip() for cell in line.split("│")[1:-1]]
    assert cells == ["pgd", "[red]net", "2 x 1,000", "87.5", "1/255: 50.0, 2/255: 25.0"]
    assert "20.00 to 20.25" in out
    assert out.splitlines()[-1] == "next: `rbmix claims results` tests the claims on these records"


def test_the_status_counts_states_and_names_what_runs_and_failed(capsys) -> None:
    """Names are no markup; what is done or failed takes no more time."""
    task = {"network": "[red]net", "since": "12:00", "error": ""}
    tasks = [
        {**task, "state": "done", "words": "train", "seconds": 1000.0},
        {**task, "state": "at work", "words": "attack 1", "seconds": 30.0},
        {**task, "state": "failed", "words": "attack 2", "seconds": 1000.0, "error": "no [b]"},
        {**task, "state": "waiting", "words": "attack 3", "seconds": 50.0},
        {**task, "state": "interrupted", "words": "attack 4", "seconds": 10.0},
    ]
    about = {"sweep": "mine", "runner": "2 workers", "machine": "[b]m", "began": "11:00"}
    render_sweeps.status([{**about, "changed": "12:30", "pieces": tasks}])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "mine: 2 workers, on [b]m"
    (counted,) = (line for line in lines if "net" in line and "│" in line)
    cells = [cell.strip() for cell in counted.split("│")[1:-1]]
    assert cells == ["[red]net", "1", "1", "1", "1", "1", "90 s"]
    assert lines[-5:] == [
        "began 11:00, last change 12:30",
        "at work since 12:00: attack 1",
        "failed since 12:00: attack 2 (no [b])",
        "interrupted since 12:00: attack 4",
        "the same `rbmix sweep` command goes on from there",
    ]
    render_sweeps.status([{**about, "changed": "12:30", "pieces": tasks[:1]}])
    titles = capsys.readouterr().out.splitlines()[2].split("┃")[1:-1]
    assert [title.strip() for title in titles] == ["network", "done", "left, about"]


def test_a_design_says_what_it_gives_where_it_is_too_wide(capsys) -> None:
    """In points, with names as they are; without records there is none."""
    where = {"model": "[red]net", "data": "digits", "trained on": "9 x 1"}
    where |= {"attack": "pgd", "eps": "1/255"}
    found = [
        Recommendation(where, (0.01, 0.2, 0.3), Costs(1.0, 1.0), Design(6, 1000, width, 90.0))
        for width in (0.02, 0.05)
    ]
    render_sweeps.design(found, 0.02)
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.strip() == "frozen minus learned to within 2 points"
    first, second = ([cell.strip() for cell in line.split("│")[1:-1]] for line in lines[-3:-1])
    assert first == [
        "[red]net, digits, 9 x 1", "pgd 1/255", "1.0", "20.0", "30.0", "6 seeds x 1,000 images",
        "90 s",
    ]  # fmt: skip
    assert second[5] == "6 seeds x 1,000 images give 5.0"
    render_sweeps.design([], 0.02)
    assert capsys.readouterr().out == ""
