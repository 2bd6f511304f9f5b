"""The claims: planted effects are found, absent ones are not, too little is called too little."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from robustbench_mix import cli
from robustbench_mix.claims import verdicts
from robustbench_mix.claims.claim import HOLDS, OPEN
from robustbench_mix.claims.explanations import attacks
from robustbench_mix.results import analysis_plan
from robustbench_mix.results.analysis_plan import PlannedSet


@pytest.mark.default
def test_other_depth_multipliers_have_a_claim_of_their_own(planted) -> None:
    """The verdicts on the paper's claims leave them out; a table shows them all."""
    alike = {"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.6, 0.3)}
    worse = {"learned": (0.9, 0.6, 0.3), "frozen": (0.6, 0.3, 0.0)}
    ours = planted(alike)
    runs = ours + planted(worse, model="resnet14_d1") + planted(alike, model="resnet14_d18")
    runs += planted(worse, model="resnet14_d9", epochs=1)
    *of_the_paper, trend = verdicts.all_claims(runs, [])
    assert of_the_paper == verdicts.all_claims(ours, [])[:-1]
    assert trend.verdict == HOLDS
    table = attacks.capacity(runs)
    assert [row[2:5] for row in table.rows] == [
        [d, f"100 x {epochs}", "6 x 400"] for d, epochs in (("1", 3), ("9", 3), ("9", 1), ("18", 3))
    ]
    assert -35 < float(table.rows[0][5].split()[0]) < -25
    assert attacks.capacity(ours).rows == []


@pytest.mark.quick
def test_a_verdict_says_how_many_of_the_planned_seeds_it_has(planted) -> None:
    """Fewer make it interim; an open one on all of them says what it would take."""
    runs = planted({"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.6, 0.3)}, n=60)
    reasons = {}
    for seeds in (6, 8):
        one = PlannedSet(
            "digits", "resnet14", "pgd", 100, 3, None, ["learned/learned", "frozen/learned"],
            list(range(seeds)), "",
        )  # fmt: skip
        plan = analysis_plan.make("a sweep", [one], {})
        (claim,) = (c for c in verdicts.all_claims(runs, [], [plan]) if c.number == "3b")
        reasons[seeds] = claim.reason, claim.verdict
    assert reasons[6][1] == OPEN
    assert "resnet14 has all 6 planned seeds; needed: " in reasons[6][0]
    assert "(interim: 6 of 8 planned seeds of resnet14, 100 x 3)" in reasons[8][0]


@pytest.mark.default
def test_command_writes_the_verdicts(results: Path, capsys) -> None:
    """Each data set has its own; the file is a function of the records; --check sees staleness."""
    assert cli.main(["claims", str(results), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    pgd = {c["data"]: c["verdict"] for c in found if c["number"] == "3b"}
    assert pgd == {"cifar10-jpeg": HOLDS, "digits": HOLDS}
    assert [c["reason"] for c in found if c["number"] == "3c"] == ["no records"]
    text = (results / "claims.md").read_text()
    assert len(text.splitlines()) < 60
    assert text.count("[3b. Random spatial mixers are more robust: PGD](claims/3b.md)") == 2
    assert "**holds** on digits: in 2 of 2 comparisons." in (results / "claims/3b.md").read_text()
    assert cli.main(["claims", str(results), "--check"]) == 0
    assert cli.main(["claims", str(results)]) == 0
    assert (results / "claims.md").read_text() == text
    (results / "claims/3b.md").write_text(text + "\n")
    assert cli.main(["claims", str(results), "--check"]) == 1
    assert "does not match the records" in capsys.readouterr().out


def test_no_records_no_verdicts(tmp_path: Path, capsys) -> None:
    """An empty folder has every claim open; a missing one is named."""
    (tmp_path / "results").mkdir()
    found = verdicts.all_claims([], [])
    assert {(c.verdict, c.reason) for c in found} == {(OPEN, "no records")}
    assert len(found) == 12
    assert cli.main(["claims", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.default
def test_claims_start_without_torch(results: Path) -> None:
    """Reading records needs no deep-learning library."""
    code = (
        "import sys; from robustbench_mix.cli import main; "
        f"assert main(['claims', {str(results)!r}]) == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
