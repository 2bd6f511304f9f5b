"""The comparison with a baseline, as a pure function, and its stated power."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from kept import HEADER, kept_of
from scipy.stats import binomtest

from robustbench_mix.results.regression import baselines, comparison
from robustbench_mix.results.regression.comparison import Check, Verdict, compare


def found(verdict: Verdict) -> dict[str, str]:
    """What got worse, by the name of the check."""
    return {check.name: check.worse for check in verdict.worse}


def test_the_same_run_is_not_worse(run, path: Path) -> None:
    """Every check is asked, none finds anything, and nothing differs."""
    verdict = compare(path, baselines.read(path), run)
    names = ["protocol", "weights", "clean logits", "clean", "eps 1/255", "eps 2/255", "flags"]
    assert [check.name for check in verdict.checks] == names
    assert (found(verdict), verdict.notes) == ({}, [])


@pytest.mark.parametrize("tolerance", [0, 1, 2, 3])
@pytest.mark.parametrize(("changed", "words"), [(0, "stronger"), (2, "the attack became weaker")])
def test_with_the_same_weights_images_are_counted(
    make_run, path: Path, tolerance: int, changed: int, words: str
) -> None:
    """Two images that change sides are found where the tolerance is below two, either way."""
    levels = [2] + [0, 1, 2] * 6 + [2]
    # Images 2 and 5 fell within 2/255 alone.
    assert levels[2] == levels[5] == 1
    levels[2] = levels[5] = changed
    now = make_run(levels, [False] + [True] * 19, **HEADER)
    verdict = compare(path, baselines.read(path), now, tolerance=tolerance)
    eps = "eps 2/255" if changed == 2 else "eps 1/255"
    assert found(verdict).keys() == ({eps} if tolerance < 2 else set())
    assert all(words in worse and "(20, 50)" in worse for worse in found(verdict).values())


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (Check("weights", "a", "a"), "as before"),
        (Check("weights", "a", "b"), "other than before"),
        (Check("weights", "a", "b", worse="why"), "WORSE"),
        (Check("flags", "at-chance", "none"), "other than before"),
        (Check("clean logits", now="moved by up to 0.001"), "as before"),
        (Check("clean logits", skipped="the weights differ"), "the weights differ"),
        (Check("eps 1/255", "5/9", "5/9", close=0), "as before"),
        (Check("eps 1/255", "5/9", "5/9", lost=[1], gained=[2], close=0), "not worse"),
        (Check("eps 1/255", "5/9", "4/9", close=1), "not worse"),
    ],
)
def test_as_before_is_only_what_has_not_changed(check: Check, words: str) -> None:
    """Weights that differ, or images within the tolerance, are not as before."""
    assert check.verdict == words


def test_close_calls_do_not_count(run, make_run, tmp_path: Path) -> None:
    """With the same weights a close verdict may turn; it is told, not counted."""
    kept = kept_of(run)
    kept.clear.loc[[20, 50], "2/255"] = False
    levels = [2] + [0, 1, 2] * 6 + [2]
    levels[2] = levels[5] = 2
    now = make_run(levels, [False] + [True] * 19, **HEADER)
    verdict = compare(tmp_path / "x.csv", kept, now, tolerance=0)
    assert found(verdict) == {}
    assert {check.name: check.close for check in verdict.checks}["eps 2/255"] == 2


@pytest.mark.parametrize(("lost", "gained"), [(6, 0), (7, 0), (8, 1), (9, 1), (0, 12)])
def test_other_weights_are_tested(make_run, tmp_path: Path, lost: int, gained: int) -> None:
    """One-sided exact McNemar over the images, Holm over the epsilons; a gain is no loss."""
    before = make_run([2] * 30 + [0] * 30, spatial="external", **HEADER)
    after = [0] * lost + [2] * (30 - lost) + [2] * gained + [0] * (30 - gained)
    now = make_run(after, spatial="external", checkpoint_hash="other", **HEADER)
    verdict = compare(tmp_path / "x.csv", kept_of(before), now)
    p = binomtest(lost, lost + gained, alternative="greater").pvalue
    # The clean images are the same ones: of three tests two have this p.
    assert comparison.mcnemar(lost, gained) == pytest.approx(p)
    assert found(verdict).keys() == ({"eps 1/255", "eps 2/255"} if 3 * p < 0.05 else set())
    assert verdict.checks[2].skipped == "the weights differ"
    assert compare(tmp_path / "x.csv", kept_of(before), now, tolerance=40).worse == []


def test_a_kept_checkpoint_may_not_change(run, make_run, tmp_path: Path) -> None:
    """The checkpoint of a baseline is fixed, unless another one is given in its place."""
    levels = [2] + [0, 1, 2] * 6 + [2]
    now = make_run(levels, [False] + [True] * 19, checkpoint_hash="other", **HEADER)
    place = tmp_path / "x.csv"
    assert found(compare(place, kept_of(run), now)).keys() == {"weights"}
    assert found(compare(place, kept_of(run), now, replaced=True)) == {}


def test_protocol_logits_flags_and_versions(run, make_run, tmp_path: Path) -> None:
    """A changed protocol, moved logits and a new flag are worse; another version is a note."""
    levels = [2] + [0, 1, 2] * 6 + [2]
    spec = {"algorithm": "pgd", "options": {"steps": 3, "restarts": 5}}
    header = HEADER | {"protocol_spec": spec, "protocol_hash": "q", "diagnostics": FLAGGED}
    versions = {**run.header.versions, "torch": "2.0"}
    now = make_run(levels, [False] + [True] * 19, versions=versions, **header)
    now.table.loc[3, "margin"] *= 1.1
    kept = kept_of(make_run(levels, [False] + [True] * 19, **HEADER | {"diagnostics": SOUND}))
    verdict = compare(tmp_path / "x.csv", kept, now)
    worse = found(verdict)
    assert worse.keys() == {"protocol", "clean logits", "flags"}
    assert "from 'pgd restarts=5 steps=40' to 'pgd restarts=5 steps=3'" in worse["protocol"]
    assert "1 of 20 clean images moved, by up to 10%" in worse["clean logits"]
    assert "zero-gradients: share of images without gradient: 0.5" in worse["flags"]
    assert verdict.notes == ["torch: 1.0 then, 2.0 now"]


SOUND = {
    "zero_gradient": 0.0, "slope": None, "probabilities": 0.0, "unrepeatable": 0.0, "batch": 0.0,
    "changed": 0.0, "training": 0.0, "not_finite": 0.0, "rescaled": 0.0, "accuracy": 1.0,
    "classes": 10, "images": 20, "trained_accuracy": None,
}  # fmt: skip
FLAGGED = {**SOUND, "zero_gradient": 0.5}


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_power_agrees_with_simulation(share: float) -> None:
    """The stated probabilities are those of the checks themselves, over drawn images."""
    random = np.random.default_rng(0)
    lost = random.random((4000, 64)) < share
    same = (lost.sum(1) > 1).mean()
    assert comparison.power_same_weights(64, share) == pytest.approx(same, abs=0.03)
    gained = ~lost & (random.random((4000, 64)) < 0.02 / (1 - share))
    pairs = list(zip(lost.sum(1).tolist(), gained.sum(1).tolist(), strict=True))
    red = [a - b > 1 and 4 * comparison.mcnemar(a, b) < 0.05 for a, b in pairs]
    assert comparison.power_other_weights(64, share, 0.02, levels=4) == pytest.approx(
        np.mean(red), abs=0.03
    )


def test_the_stated_power_is_what_is_computed(checkout: Path) -> None:
    """Every row of the tables in the docs."""
    text = (checkout / "docs/regression-gate.md").read_text()
    table = text[text.index("| images that change") :].split("\n\n")[0].splitlines()[2:]
    assert len(table) == 6
    for row in table:
        share, *stated = [int(cell.removesuffix(" % ")) / 100 for cell in row.split("|")[1:-1]]
        found = [comparison.power_same_weights(60, share)]
        found += [
            comparison.power_other_weights(64, share, gained, levels=4) for gained in (0.0, 0.05)
        ]
        assert stated == [round(p, 2) for p in found]
