"""The claims: planted effects are found, absent ones are not, too little is called too little."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from robustbench_mix import cli
from robustbench_mix.claims import accuracy, dose, page, paper, robustness, unshuffling, verdicts
from robustbench_mix.claims.claim import FAILS, HOLDS, IN_PART, OPEN, UNDECIDED
from robustbench_mix.claims.explanations import attacks, overview
from robustbench_mix.claims.pairs import clean_pairs, pairs
from robustbench_mix.results import records
from robustbench_mix.results import unshuffling as decodings
from robustbench_mix.results.headers import UnshufflingHeader
from robustbench_mix.results.unshuffling import Decoding
from robustbench_mix.storage import parquet_table

FULL, CHANS = accuracy.FULL, accuracy.CHANS


def test_a_planted_gain_holds(planted) -> None:
    """Five points at both epsilons, over six seeds."""
    runs = planted({"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.65, 0.35)})
    claim = robustness.more_robust(runs, "pgd")
    assert claim.verdict == HOLDS
    assert [finding.answer for finding in claim.findings] == ["yes", "yes"]
    assert claim.findings[0].difference.point == pytest.approx(0.05, abs=0.02)
    # The epsilon where about half of the images stand is the one that is shown.
    main = claim.findings[0].difference
    ends = (f"{100 * end:+.1f}" for end in (main.point, main.low, main.high))
    assert claim.measured == "resnet14 1/255: {} [{}, {}] pp".format(*ends)
    assert robustness.more_robust(runs, "autoattack").reason == "no records"


def test_a_loss_does_not_hold(planted) -> None:
    """The frozen twin is weaker."""
    runs = planted({"learned": (0.9, 0.65, 0.35), "frozen": (0.9, 0.6, 0.3)})
    assert robustness.more_robust(runs, "pgd").verdict == FAILS


@pytest.mark.default
def test_no_gain_does_not_hold_once_a_point_is_ruled_out(planted) -> None:
    """Equal twins and many images: an interval below one point."""
    shares = {"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.6, 0.3)}
    claim = robustness.more_robust(planted(shares, n=4000), "pgd")
    assert claim.verdict == FAILS
    assert all(finding.difference.high < 0.01 for finding in claim.findings)


def test_a_gain_at_one_epsilon_holds_in_part(planted) -> None:
    """And the reason says where it does not."""
    runs = planted({"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.66, 0.3)}, n=3000)
    claim = robustness.more_robust(runs, "pgd")
    assert claim.verdict == IN_PART
    assert claim.reason.startswith("in 1 of 2 comparisons")


@pytest.mark.parametrize(("seeds", "need"), [(2, "4 more seeds"), (5, "1 more seed")])
def test_too_few_seeds_are_too_little(planted, seeds: int, need: str) -> None:
    """However clear the gap: five seeds say too little about training."""
    runs = planted({"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.8, 0.5)}, seeds=seeds)
    claim = robustness.more_robust(runs, "pgd")
    assert claim.verdict == OPEN
    assert claim.findings[0].need == need


def test_one_seed_decides_nothing(planted) -> None:
    """It is shown, and left out of the verdict; a data set with no more has no row."""
    clear = {"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.65, 0.35)}
    alone = planted(
        {"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.3, 0.1)}, seeds=1, model="resnet20"
    )
    claim = robustness.more_robust(planted(clear) + alone, "pgd")
    assert claim.verdict == HOLDS
    assert claim.reason == "in 2 of 2 comparisons"
    assert [finding.answer for finding in claim.findings] == ["yes", "yes", "one seed", "one seed"]
    assert "resnet20" not in claim.measured
    assert robustness.more_robust(alone, "pgd").reason == "one seed"
    elsewhere = planted(clear, seeds=1, dataset="other")
    rows = [c for c in verdicts.all_claims(planted(clear) + elsewhere, []) if c.number == "3b"]
    assert [row.data for row in rows] == ["digits"]


def test_too_few_images_say_how_many_would_do(planted) -> None:
    """Thirty images leave it open; the need is in images."""
    runs = planted({"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.62, 0.32)}, n=30)
    claim = robustness.more_robust(runs, "pgd")
    assert claim.verdict == OPEN
    assert any("images" in finding.need for finding in claim.findings)


def test_where_both_are_at_zero_nothing_is_left(planted) -> None:
    """The second epsilon is not asked."""
    runs = planted({"learned": (0.9, 0.6, 0.0), "frozen": (0.9, 0.65, 0.0)})
    claim = robustness.more_robust(runs, "pgd")
    assert [finding.answer for finding in claim.findings] == ["yes", "nothing left"]
    assert claim.verdict == HOLDS


def test_adversarially_trained_networks_are_another_matter(planted) -> None:
    """The claims are about standard training."""
    shares = {"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.65, 0.35)}
    runs = planted(shares, adversarial="8/255")
    assert robustness.more_robust(runs, "pgd").findings == []


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


def test_a_trend_over_doses_is_a_slope_per_doubling(planted) -> None:
    """Of the gap: four points for each doubling from 1 to 4, as planted."""
    runs = [
        run
        for dose, gap in ((1, -0.12), (2, -0.08), (4, -0.04))
        for run in planted(
            {"learned": (0.9, 0.5, 0.2), "frozen": (0.9, 0.5 + gap, 0.2 + gap)},
            model=f"resnet14_d{dose}", n=2000,
        )
    ]  # fmt: skip
    claim = dose.gap_closes(runs)
    assert claim.verdict == HOLDS
    assert [finding.where["d"] for finding in claim.findings] == ["1, 2, 4"] * 2
    for finding in claim.findings:
        assert finding.difference.point == pytest.approx(0.04, abs=0.005)
        assert finding.first == pytest.approx(0, abs=0.005)
        assert finding.second == pytest.approx(0.04, abs=0.005)
    assert claim.findings[0].is_main
    two_doses = [run for run in runs if run.header.model != "resnet14_d2"]
    assert dose.gap_closes(two_doses).reason == "no records"


def test_a_trend_needs_the_same_seeds_training_and_images(planted) -> None:
    """What not every dose has is left out."""
    shares = {"learned": (0.9, 0.5, 0.2), "frozen": (0.9, 0.45, 0.15)}
    runs = [
        run
        for dose, seeds in ((1, 6), (2, 4), (4, 6))
        for run in planted(shares, seeds=seeds, model=f"resnet14_d{dose}")
    ]
    runs += planted(shares, model="resnet14_d9", epochs=7)
    runs += planted(shares, model="resnet14_d18", data_hash="others")
    (first, _) = dose.gap_closes(runs).findings
    assert first.where["d"] == "1, 2, 4"
    assert first.difference.seeds == 4


def test_controls_are_of_the_same_seed_and_images(planted) -> None:
    """The learned network nearest in clean accuracy, and the one that trains its norms alone."""
    how = {"backend": "fast", "seeds": 2}
    runs = planted({"learned": (0.9, 0.6, 0.3), "frozen": (0.8, 0.5, 0.2)}, **how)
    assert attacks.controls(runs).rows == []
    runs += planted({"learned": (0.8, 0.4, 0.1)}, **how, model="resnet14_w14")
    runs += planted({"learned": (0.5, 0.2, 0.1)}, **how, model="resnet14_w8")
    runs += planted({"frozen": (0.4, 0.1, 0.0)}, **how, channel="frozen")[:1]
    runs += planted({"learned": (0.8, 0.1, 0.0)}, **how, model="resnet14_w15", data_hash="other")
    runs += planted({"frozen": (0.7, 0.1, 0.0)}, **how, epochs=1)  # nobody is as accurate
    matched, norms = attacks.controls(runs).rows
    assert matched[4:7] == ["2 x 400", "accuracy-matched", "resnet14_w14, 100 x 3"]
    assert norms[4:7] == ["1 x 400", "norms alone trained", "resnet14, 100 x 3"]
    assert 5 < float(matched[9].split()[0]) < 15
    assert 35 < float(norms[8].split()[0]) < 45


def test_accuracy_within_the_margin_holds(planted) -> None:
    """Two points below is almost as well; ten is not."""
    near = planted({"learned": (0.90, 0.5, 0.2), "frozen": (0.88, 0.5, 0.2)})
    far = planted({"learned": (0.90, 0.5, 0.2), "frozen": (0.80, 0.5, 0.2)})
    assert accuracy.almost_as_well(near).verdict == HOLDS
    assert accuracy.almost_as_well(far).verdict == FAILS


def test_near_the_margin_the_need_is_to_tell_the_sides_apart(planted) -> None:
    """Not to find the paper's effect: a loss of 4.5 points against one of 4 allowed."""
    runs = planted({"learned": (0.9, 0.5, 0.2), "frozen": (0.855, 0.5, 0.2)}, n=400)
    (finding,) = accuracy.almost_as_well(runs).findings
    assert finding.answer == UNDECIDED
    off = abs(100 * (finding.difference.point + accuracy.MARGIN))
    assert finding.need.endswith(f"for {max(off, 0.1):.1f} pp")


def test_the_papers_figures_stand_beside(planted) -> None:
    """For networks and data that the paper has, as a share."""
    runs = planted({"learned": (0.9, 0.5, 0.2), "frozen": (0.88, 0.5, 0.2)}, dataset="cifar10-jpeg")
    (finding,) = accuracy.almost_as_well(runs).findings
    assert finding.paper == pytest.approx(0.8986 - 0.9112)
    assert paper.fgsm("resnet20", "cifar10", "4/255", "frozen") == pytest.approx(0.1757)
    assert paper.fgsm("resnet20", "cifar10", "8/255", "frozen") is None
    assert paper.clean("resnet20", "digits", "frozen") is None
    assert paper.clean("convmixer6", "cifar100", "learned", "frozen") == pytest.approx(0.5277)
    assert paper.clean("resnet14", "cifar10", "same") is None
    assert paper.static("cifar100", "box") == pytest.approx(0.3445)
    assert paper.smoothing(6, "2/255") == pytest.approx(0.255)
    assert paper.psnr("cifar10", 8, 256, 7, "frozen") == pytest.approx(23.09)
    assert "2503.16760" in paper.source()


def test_static_filters_fall_step_by_step(planted) -> None:
    """Learned > Different > Same > Box > Identity; a reversal is found."""
    fall = {
        "learned": (0.9, 0.5, 0.2), "frozen": (0.85, 0.5, 0.2), "same": (0.7, 0.5, 0.2),
        "box": (0.6, 0.5, 0.2), "identity": (0.55, 0.5, 0.2),
    }  # fmt: skip
    claim = accuracy.static_structure(planted(fall))
    assert claim.verdict == HOLDS
    assert len(claim.findings) == 4
    fall["box"] = (0.75, 0.5, 0.2)
    assert accuracy.static_structure(planted(fall)).verdict == IN_PART


@pytest.mark.default
def test_smoothing_is_compared_with_the_frozen_twin(planted) -> None:
    """Gain and cost apart."""
    runs = planted(
        {"frozen": (0.9, 0.5, 0.2), "smoothed:6": (0.9, 0.6, 0.3)}, model="convmixer4",
        protocol="fgsm", dataset="cifar10", n=3000,
    )  # fmt: skip
    gains, cost = robustness.smoothing_gains(runs), robustness.smoothing_is_free(runs)
    assert gains.verdict == HOLDS
    assert gains.findings[0].where["filters"] == "smoothed:6"
    # The paper: +10 % of the accuracy at 1/255.
    assert gains.findings[0].paper == pytest.approx(0.1 * gains.findings[0].first)
    assert cost.verdict == HOLDS
    assert len(cost.findings) == 1


def test_smoothing_costs_are_counted_on_most_images(planted) -> None:
    """A clean accuracy does not depend on the attack: the larger evaluation is taken."""
    shares = {"frozen": (0.9, 0.5, 0.2), "smoothed:6": (0.9, 0.6, 0.3)}
    runs = planted(shares, protocol="autoattack", n=50) + planted(shares, protocol="fgsm", n=500)
    (cost,) = robustness.smoothing_is_free(runs).findings
    assert cost.difference.images == 500


@pytest.mark.default
def test_attacks_are_compared_on_the_same_images(planted) -> None:
    """Not FGSM on many images against AutoAttack on few of them."""
    few, many = {"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.7, 0.4)}, (0.9, 0.6, 0.3)
    runs = [
        run
        for attack in ("fgsm", "autoattack")
        for run in planted(few, protocol=attack, protocol_hash=attack)
    ]
    more = {"learned": many, "frozen": many}
    runs += planted(more, protocol="fgsm", protocol_hash="fgsm", n=4000, data_hash="more")
    row = attacks.strength(runs).rows[0]
    assert row[3] == row[5]
    assert row[3].startswith("+")


def test_twins_share_everything_but_their_mixers(planted, make_run) -> None:
    """Other epochs, other images or another backend make no pair; the larger set is taken."""
    shares = {"learned": (0.9, 0.5, 0.2), "frozen": (0.9, 0.5, 0.2)}
    assert pairs(
        planted({"learned": (0.9, 0.5, 0.2)}) + planted({"frozen": (0.9, 0.5, 0.2)}, epochs=9),
        FULL, CHANS,
    ) == []  # fmt: skip
    both = planted(shares, n=50, backend="reference") + planted(shares, n=80, data_hash="more")
    (pair,) = pairs(both, FULL, CHANS)
    assert pair.first["0"].shape == (6, 80)
    under = planted(shares, n=50) + planted(shares, n=60, protocol="fgsm", data_hash="more")
    assert [p.header.n for p in clean_pairs(under, FULL, CHANS)] == [60]


def decoding(spatial: str, seed: int, psnr: float, n: int = 60) -> Decoding:
    """A record of un-shuffling whose images all come out about as well."""
    noise = np.random.default_rng([seed, len(spatial)]).normal(0, 0.3, n)
    header = UnshufflingHeader(
        model="convmixer128_4_k5_p1", channel="learned", seed=seed, dataset="cifar10",
        data_hash="d", train_examples=9, epochs=2, device="cpu", spatial=spatial,
        depth=4, width=128, kernel=5, patch=1, reach=8, n=n, image=[1, 1, 1],
    )  # fmt: skip
    empty = dict.fromkeys(decodings.PICTURES, [None] * n)
    mse = 10 ** (-(psnr + noise) / 10)
    return Decoding(header, pd.DataFrame({"image": range(n), "mse": mse, **empty}))


def test_un_shuffling_within_two_decibels_holds() -> None:
    """The paper's figure for this network is -0.70 dB."""

    def twins(gap: float, seeds: int = 6) -> list[Decoding]:
        return [
            decoding(spatial, seed, 18 - gap * (spatial == "frozen"))
            for seed in range(seeds)
            for spatial in ("learned", "frozen")
        ]

    claim = unshuffling.nearly_as_well(twins(1.0))
    assert claim.verdict == HOLDS
    assert claim.findings[0].paper == pytest.approx(17.02 - 17.72)
    assert unshuffling.nearly_as_well(twins(4.0)).verdict == FAILS
    assert unshuffling.nearly_as_well(twins(1.0, seeds=5)).verdict == OPEN


@pytest.fixture
def results(planted, tmp_path: Path) -> Path:
    """A results folder with records of two data sets and one pair of un-shufflers."""
    folder = tmp_path / "results"
    shares = {"learned": (0.9, 0.6, 0.3), "frozen": (0.9, 0.65, 0.35)}
    for dataset in ("cifar10-jpeg", "digits"):
        for run in planted(shares, dataset=dataset, n=200):
            key = f"{run.header.spatial}{run.header.seed}"
            records.write(run, records.run_path(folder, run.header, key))
    for spatial in ("learned", "frozen"):
        one = decoding(spatial, 0, 18)
        path = decodings.path_for(folder, "cifar10", one.header.model, spatial, 0, "k")
        parquet_table.write(path, one.header, one.table, {})
    return folder


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
    found = verdicts.claims_of(tmp_path / "results", [])
    assert {(c.verdict, c.reason) for c in found} == {(OPEN, "no records")}
    assert len(found) == 12
    assert cli.main(["claims", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_every_claim_appears_once_for_each_data_set(results: Path) -> None:
    """In the order of the paper, also where there are no records for it."""
    runs = records.read_all(results)
    found = verdicts.claims_of(results, runs)
    assert list(dict.fromkeys(c.number for c in found)) == [
        "1", "1, contrast", "2", "3a", "3b", "3c", "3d", "3e", "4a", "4b", "5", "6",
    ]  # fmt: skip
    assert len({(c.number, c.data) for c in found}) == len(found)
    written = page.content(results, found, overview.explanations_of(results, runs), [], [])
    for claim in found:
        name = claim.number.replace(", ", "-")
        text = written[results / "claims" / f"{name}.md"]
        assert text.startswith(f"# {claim.name}\n\n{claim.statement}\n")
        assert claim.reason in text
        assert f"](claims/{name}.md)" in written[results / "claims.md"]


@pytest.mark.default
def test_claims_start_without_torch(results: Path) -> None:
    """Reading records needs no deep-learning library."""
    code = (
        "import sys; from robustbench_mix.cli import main; "
        f"assert main(['claims', {str(results)!r}]) == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
