"""The audited estimate: its sample, its bound, and the full run once the sample disagrees."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scipy.stats import binom

from robustbench_mix.attacks import registry
from robustbench_mix.attacks.base import Stage
from robustbench_mix.config import protocols
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.evaluation import sample_audit
from robustbench_mix.evaluation.fast import search_all
from robustbench_mix.evaluation.harness import Settings
from robustbench_mix.results.intervals import at_most

CPU = torch.device("cpu")
OPTIONS = {"steps": 20, "queries": 20, "targets": 2, "sample": 6}


@pytest.fixture(autouse=True)
def _without_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conclusions are not checked here: it would cost passes that these tests count."""
    monkeypatch.setattr("robustbench_mix.evaluation.fast_plan.ONE_IN", 10**9)


def search(model, split, stages, seed=0):
    """The fast schedule over three epsilons around the images' distances."""
    protocol = protocols.load("autoattack-audited", "")
    protocol = replace(protocol, eps=parse_grid(["0.005", "0.01", "0.02"], "linf"))
    return search_all(model, split, protocol, stages, Settings(seed, CPU, 16))


def idle(model, batch):
    """An attack that does nothing."""
    return batch.x


def test_the_expensive_stages_are_for_a_sample(linear_case) -> None:
    """Only sampled images meet FAB-T and Square; the rest of the curve is APGD's."""
    model, split = linear_case(10, n=40)
    stages = registry.fast_stages("autoattack-audited", 10, OPTIONS)
    assert [stage.sample for stage in stages] == [0, 0, 6, 6]
    state = search(model, split, stages)
    cheap = search(model, split, stages[:2])
    assert state.level == cheap.level
    chosen = sample_audit.audited_rows(state, split, stages, 0)
    assert len(chosen) == 6
    survivors = [row for row in chosen if state.level[row] > 0]
    queries = OPTIONS["queries"] + 2  # the start, and the verdict
    assert 0 < state.passes["square"]["forward"] <= queries * len(survivors)
    assert state.passes["fab-t"]["gradient"] == 20 * 2 * len(survivors)
    found = sample_audit.findings(state, split, stages, 0, 3)
    for at, one in enumerate(found):
        sampled = sum(state.level[row] > at for row in chosen)
        standing = sum(level > at for level in state.level)
        assert (one.sampled, one.broken) == (sampled, 0)
        share = 1 - 0.05 ** (1 / sampled) if sampled else 1
        assert one.bound == pytest.approx(share * (standing - sampled) / 40)
    assert found[0].bound > 0


def test_a_hit_in_the_sample_leads_to_the_full_run(linear_case) -> None:
    """Where an expensive stage breaks what the cheap ones could not, every image meets it."""
    model, split = linear_case(10, n=40)
    real = registry.fast_stages("autoattack", 10, {"steps": 20, "queries": 20, "targets": 2})
    stages = [Stage("idle", idle), replace(real[1], sample=6)]
    state = search(model, split, stages)
    full = search(model, split, [Stage("idle", idle), real[1]])
    assert state.level == full.level
    found = sample_audit.findings(state, split, stages, 0, 3)
    assert sum(one.broken for one in found) > 0
    assert all(one.bound == 0 for one in found)


def test_without_a_sample_there_is_nothing_to_report(linear_case) -> None:
    """Plain ensembles have no audit, and a sample of everybody leaves no doubt."""
    model, split = linear_case(10, n=12)
    stages = registry.fast_stages("autoattack", 10, {"steps": 5, "queries": 5, "targets": 2})
    assert sample_audit.findings(search(model, split, stages), split, stages, 0, 3) == []
    stages = registry.fast_stages("autoattack-audited", 10, {**OPTIONS, "sample": 99})
    state = search(model, split, stages)
    assert all(one.bound == 0 for one in sample_audit.findings(state, split, stages, 0, 3))


@pytest.mark.parametrize(("count", "n"), [(0, 1), (0, 40), (3, 40), (39, 40)])
def test_the_bound_is_clopper_and_pearsons(count: int, n: int) -> None:
    """At the bound, so few hits have a chance of 5 %."""
    assert binom.cdf(count, n, at_most(count, n)) == pytest.approx(0.05, abs=1e-6)
    assert at_most(0, 0) == at_most(5, 5) == 1
