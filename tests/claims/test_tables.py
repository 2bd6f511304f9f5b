"""The tables of the report, and the links from claims to runs."""

from __future__ import annotations

from robustbench_mix.claims import verdicts
from robustbench_mix.claims.report import tables

SHARES = {"learned": (0.9, 0.5, 0.2), "frozen": (0.88, 0.54, 0.22)}


def test_runs_have_a_table_for_each_grid(make_run) -> None:
    """With a column for each epsilon, and a link to their images."""
    runs = [make_run([0, 1, 2, 2]), make_run([0], dataset="cifar10", model="<m>", protocol="fgsm")]
    first, second = tables.runs_tables(runs, [])
    assert (first.title, second.title) == (
        "cifar10, linf epsilon in 1/255", "digits, linf epsilon in 1/255",
    )  # fmt: skip
    assert first.name != second.name
    assert second.columns[8:11] == ["clean", "1", "2"]
    (cells,) = second.rows
    assert len(cells) == len(second.columns)
    assert cells[0] == '<a href="#run-0">resnet14</a>'
    assert cells[9].startswith("75.0 <i>[")
    assert first.rows[0][0] == '<a href="#run-1">&lt;m&gt;</a>'


def test_a_verdict_leads_to_its_runs(planted, make_run) -> None:
    """By model and attack; each finding to those of its own model."""
    runs = planted(SHARES, seeds=2) + planted(SHARES, seeds=2, model="resnet20")
    runs += [make_run([0], protocol="fgsm", protocol_hash="f")]
    of_runs = tables.runs_tables(runs, [])
    claims = {claim.number: claim for claim in verdicts.all_claims(runs, [])}
    link = tables.runs_link(claims["3b"], claims["3b"].findings, of_runs)
    assert link == tables.RunsLink("runs-0", "model:resnet14|resnet20 attack:pgd")
    clean = tables.runs_link(claims["1"], claims["1"].findings[:1], of_runs)
    assert clean == tables.RunsLink("runs-0", "model:resnet14")
    assert tables.runs_link(claims["5"], [], of_runs) is None
    found = tables.findings(claims["3b"], of_runs)
    assert found.columns[-1] == "runs"
    assert found.rows[0][-1] == (
        '<a href="#runs-0" data-filter="model:resnet14 attack:pgd">runs</a>'
    )
    assert all(len(row) == len(found.columns) for row in found.rows)


def test_a_trend_leads_to_the_runs_of_its_doses(planted) -> None:
    """Their names have the depth multiplier."""
    runs = [run for d in (1, 2, 18) for run in planted(SHARES, seeds=2, model=f"resnet14_d{d}")]
    (claim,) = [one for one in verdicts.all_claims(runs, []) if one.number == "6"]
    link = tables.runs_link(claim, claim.findings, tables.runs_tables(runs, []))
    assert link.filter == "model:resnet14_d1|resnet14_d2|resnet14_d18 attack:pgd"


def test_sections_have_names_of_their_own(planted) -> None:
    """Without characters that a link would have to escape."""
    runs = planted(SHARES, seeds=2, dataset="a b#") + planted(SHARES, seeds=2)
    names = [tables.claim_anchor(claim) for claim in verdicts.all_claims(runs, [])]
    assert len(set(names)) == len(names)
    assert "claim-3b-a_b_" in names
