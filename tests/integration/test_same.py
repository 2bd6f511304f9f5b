"""The same answer everywhere, on few images; `tox run -e same` asks at length."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import networks
import pytest
import torch
from torch import Tensor, nn

from robustbench_mix.data import loaders
from robustbench_mix.errors import RbmixError
from robustbench_mix.results import records
from robustbench_mix.results.agreement import (
    bracket,
    disputes,
    is_one_sided,
    is_rounding,
    is_undecided,
)
from robustbench_mix.training.load_or_train import TrainedModel

IMAGES = 12


@pytest.fixture(scope="module")
def same() -> ModuleType:
    """The script behind `tox run -e same`."""
    path = Path(__file__).parents[1] / "same" / "same.py"
    spec = importlib.util.spec_from_file_location("same", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["same"] = module  # its records look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bench(same: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unexamined: None):
    """A function: a small network on digits under an attack."""
    networks.lend(monkeypatch)
    return lambda attack: same.Bench(
        "learned", attack, loaders.load("digits"), tmp_path, epochs=None
    )


def asked(same: ModuleType, *words: str) -> list:
    """The comparisons with these words."""
    found = {one.words: one for one in same.comparisons()}
    return [found[one] for one in words]


def in_float32(same: ModuleType) -> list:
    """Comparisons for a processor that only imitates bfloat16."""
    base = same.Condition("fp32")
    return [
        same.Comparison("repeat", "again", base, replace(base, time=2), exactly=True),
        same.Comparison("batch", "batch 256 against 7", base, replace(base, batch=7)),
        same.Comparison("threads", "1 thread against 2", base, replace(base, threads=2)),
    ]


def check(bench, comparisons: list) -> None:
    """Nothing failed, and there was something to agree on: some images fall, not all at once."""
    rows = [bench.compare(one, IMAGES) for one in comparisons]
    assert [row for row in rows if row.failed] == []
    assert {row.images for row in rows} == {IMAGES}
    survived = bench.run(comparisons[0].first, IMAGES).run.standing()
    assert 0 < survived["4/16"].sum() + survived["1/16"].sum() < 2 * IMAGES


@pytest.mark.default
def test_the_same_answer_everywhere(same: ModuleType, bench) -> None:
    """Repeated, in other batches, on other threads and in double precision."""
    words = ("batch 256 against 1, fp64", "fp32 against fp64")
    check(bench("smoke"), [*in_float32(same), *asked(same, *words)])


@pytest.mark.slow
def test_the_same_answer_in_bfloat16(same: ModuleType, bench) -> None:
    """The same in half precision, and from half to single."""
    words = (
        "again, threads: 1", "batch 256 against 7, bf16", "1 thread against 2, bf16",
        "bf16 against fp32",
    )  # fmt: skip
    check(bench("smoke"), asked(same, *words))


class Leaky(nn.Module):
    """A network whose answer depends on who else is in the batch."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x + 0.3 * x.mean(0, keepdim=True))


@pytest.mark.default
@pytest.mark.parametrize("search", ["fp64", "fp32", pytest.param("bf16", marks=pytest.mark.slow)])
def test_a_defect_does_not_pass_for_rounding(same: ModuleType, bench, search: str) -> None:
    """Neighbours that leak move radii further than rounding does, in double precision too."""
    bench = bench("fgsm")
    model = Leaky(bench.trained.model)
    bench.trained = TrainedModel(model, Path(), bench.trained.header, 0.0)
    base = same.Condition(search)
    one = same.Comparison("batch", "", base, replace(base, batch=7), exactly=search == "fp64")
    row = bench.compare(one, IMAGES)
    assert row.failed
    assert set(row.apart) <= set(row.differ)
    # What need not be exact was attacked again around the epsilons in question.
    grids = {tuple(run.eps) for run in records.read_all(bench.out / one.second.name)}
    assert len(grids) == 1 if one.exactly else len(grids) > 1


@pytest.mark.default
def test_what_cannot_be_run_is_said(same: ModuleType, tmp_path: Path, capsys, monkeypatch) -> None:
    """A part without its hardware is skipped with a reason, and its rows are not there."""
    monkeypatch.setenv("RBMIX_HOME", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = [str(tmp_path / "out"), "--networks", "learned", "--attacks", "fgsm", "--epochs", "1"]
    assert same.main([*words, "--images", "4", "--parts", "cuda"]) == 0
    out = capsys.readouterr().out
    assert "skipped cuda: this machine has no CUDA device" in out
    assert "CPU against" not in out


def test_disputes_are_listed(make_run) -> None:
    """By image, with the epsilons at which only one of two runs broke it."""
    first = make_run([0, 1, 2, 2, 0], [True, True, True, True, True])
    second = make_run([0, 2, 2, 0, 1], [True, True, True, True, True])
    assert [(d.image, d.eps) for d in disputes(first, second)] == [
        (10, ("2/255",)),
        (30, ("1/255", "2/255")),
        (40, ("1/255",)),
    ]
    assert [d.broken_by_first for d in disputes(first, second)] == [True, False, True]
    (_, far, _) = disputes(first, second)
    assert far.norms[1] == 0.001
    assert far.norms[0] != far.norms[0]
    assert disputes(first, first) == []


def test_a_clean_mistake_is_one_dispute(make_run) -> None:
    """Rounding if the clean margins are all but equal."""
    first, second = make_run([2, 2]), make_run([2, 2], [True, False])
    (found,) = disputes(first, second)
    assert (found.image, found.eps, found.margins) == (10, ("0",), (0.5, -0.25))
    assert not is_rounding(found)
    assert is_rounding(replace(found, margins=(0.004, -0.004)))


def test_only_the_same_thing_is_compared(make_run) -> None:
    """Another protocol, seed or set of images is an error, not a difference."""
    for name, other in (("protocol_hash", "q"), ("seed", 7), ("data_hash", "e")):
        with pytest.raises(RbmixError, match=f"runs of different {name} cannot be compared"):
            disputes(make_run([0]), make_run([0], **{name: other}))


@pytest.mark.parametrize(
    ("levels", "wanted"),
    [((1, 1), True), ((0, 1), False), ((1, 2), False), ((2, 2), False), ((0, 0), False)],
)
def test_what_lies_within_rounding(make_run, levels: tuple[int, int], wanted: bool) -> None:
    """Both runs leave the image standing just below the epsilon and break it just above."""
    (dispute,) = disputes(make_run([0]), make_run([1]))
    assert dispute.needs_bracket == "1/255"
    low, high = (float(text) for text in bracket("1/255"))
    assert (low, high) == pytest.approx((0.98 / 255, 1.02 / 255), abs=1e-9)
    bracketed = tuple(make_run([level], eps=bracket("1/255")) for level in levels)
    assert is_rounding(dispute, bracketed) is wanted
    assert not is_rounding(dispute)  # nobody's word is taken for it


@pytest.mark.parametrize(("falls", "wanted"), [(0, False), (4, False), (11, True), (20, False)])
def test_what_the_draws_decide(make_run, falls: int, wanted: bool) -> None:
    """Often enough broken by the condition that left it standing, and not always."""
    runs = [make_run([0 if seed < falls else 2], seed=seed) for seed in range(20)]
    assert is_undecided(runs) is wanted


def test_luck_has_two_sides() -> None:
    """Eight images to none are one condition's doing; seven, or eight to two, may be chance."""
    assert is_one_sided(8, 0)
    assert is_one_sided(0, 8)
    assert not is_one_sided(7, 0)
    assert not is_one_sided(8, 2)
    assert not is_one_sided(0, 0)


def test_far_apart_is_no_rounding(make_run) -> None:
    """Two epsilons of the grid between the radii need no second look."""
    (dispute,) = disputes(make_run([0]), make_run([2]))
    assert dispute.needs_bracket == ""
    again = make_run([1], eps=bracket("1/255"))
    assert not is_rounding(dispute, (again, again))
