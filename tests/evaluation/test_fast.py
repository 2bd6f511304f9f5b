"""The fast backend: its pieces against known mathematics, its curves against the reference."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import nn

from robustbench_mix.attacks import random as draws
from robustbench_mix.attacks import registry
from robustbench_mix.attacks.base import Target
from robustbench_mix.attacks.native import ensembles
from robustbench_mix.attacks.native.fab import onto_hyperplane
from robustbench_mix.attacks.native.square import square
from robustbench_mix.attacks.native.square_cache import square_recalled
from robustbench_mix.config import protocols
from robustbench_mix.config.epsilon import parse_grid
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import Split
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation.fast import search_all
from robustbench_mix.evaluation.reference import attack_all
from robustbench_mix.evaluation.state import State
from robustbench_mix.models import factory
from robustbench_mix.runtime.devices import has_fast_bfloat16

CPU = torch.device("cpu")
GRID = {"linf": ["0.002", "0.005", "0.01", "0.02", "0.04"], "l2": ["0.02", "0.05", "0.1", "0.2"]}
BRIEF = {"steps": 40, "queries": 50}


def protocol_of(name: str, norm: str = "linf", grid: list[str] | None = None):
    """A shipped protocol with another grid."""
    loaded = protocols.load(name, "")
    return replace(loaded, norm=norm, eps=parse_grid(grid or GRID[norm], norm))


def search(model, split, protocol, rungs, **options) -> State:
    """The fast schedule with everything but the ladder at its plainest."""
    arguments = {"seed": 0, "device": CPU, "batch_size": 64, **options}
    return search_all(model, split, protocol, ladder=rungs, **arguments)


@pytest.mark.default
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("classes", [2, 3, 4, 10])
@pytest.mark.parametrize("name", ["autoattack", "pgd"])
def test_finds_the_boundary(linear_case, name: str, classes: int, norm: str) -> None:
    """Nothing is broken below its exact distance, and all is above it."""
    model, split = linear_case(classes)
    protocol = protocol_of(name, norm)
    options = BRIEF if name == "autoattack" else {"steps": 40, "restarts": 2}
    state = search(model, split, protocol, ensembles.ladder(name, classes, options))
    grid = [eps.value for eps in protocol.eps]
    slack = 1.05 if name == "autoattack" or classes < 4 else 1.6
    distances = model.distances(split.pixels(), split.labels, norm).tolist()
    for level, distance in zip(state.level, distances, strict=True):
        assert level == len(grid) or grid[level] >= distance * (1 - 1e-6)
        assert level == 0 or grid[level - 1] < distance * slack


@pytest.mark.parametrize("name", ["apgd-ce", "apgd-t", "fab-t", "square"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_every_rung_breaks_something(linear_case, name: str, norm: str) -> None:
    """Each attack alone breaks an easy image, beyond what placing has broken."""
    model, split = linear_case(10)
    (rung,) = ensembles.autoattack(10, components=[name], queries=300)
    x, y = split.pixels(), split.labels
    eps = torch.full((len(x),), {"linf": 0.2, "l2": 1.0}[norm])
    x_adv = rung.attack(Target(model), x, y, torch.arange(len(x)), eps=eps, norm=norm)
    assert (model(x_adv).argmax(1) != y).float().mean() > 0.5


@pytest.fixture(scope="module", params=["learned", "adversarial"])
def trained(request, shipped) -> tuple[str, factory.Normalized]:
    """A small network trained on digits, plainly or on PGD examples as `--adversarial` does."""
    return request.param, shipped(request.param).model


# Of the 60 images that these networks see, 10 to 54 stand at each epsilon.
PARITY = {
    ("learned", "linf"): ["0.4/16", "0.8/16"],
    ("learned", "l2"): ["0.2", "0.4"],
    ("adversarial", "linf"): ["1/16", "1.5/16", "2/16"],
    ("adversarial", "l2"): ["0.3", "0.4", "0.6"],
}


HALF = pytest.mark.skipif(
    not has_fast_bfloat16(CPU), reason="without bfloat16 the search is exact anyway"
)


@pytest.mark.default
@pytest.mark.parametrize("exact", [True, pytest.param(False, marks=HALF)])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_curve_is_the_references(
    trained: tuple[str, factory.Normalized], norm: str, exact: bool
) -> None:
    """Image by image: at most one image better off than under the libraries, per epsilon."""
    kind, network = trained
    split = loaders.balanced_subset(loaders.load("digits").test, 60)
    protocol = protocol_of("autoattack", norm, PARITY[kind, norm])
    options = {"steps": 30, "queries": 100, "targets": 3}
    common = {"seed": 0, "device": CPU, "batch_size": 256}
    rungs = ensembles.ladder("autoattack", 10, options)
    fast = search(network, split, protocol, rungs, exact=exact)
    steps = registry.components("autoattack", 10, options)
    slow = attack_all(network, split, protocol, steps=steps, **common)
    assert fast.correct == slow.correct
    for level in range(len(protocol.eps)):
        standing = [
            sum(c and at > level for c, at in zip(s.correct, s.level, strict=True))
            for s in (fast, slow)
        ]
        assert standing[0] <= standing[1] + 1
        better_off = sum(f > level >= s for f, s in zip(fast.level, slow.level, strict=True))
        assert better_off <= 2
        assert 0 < standing[1] < sum(slow.correct)


def test_fgsm_is_the_references(linear_case) -> None:
    """Placing on the grid is FGSM: the same images fall at the same epsilons."""
    model, split = linear_case(10)
    protocol = protocol_of("fgsm")
    fast = search(model, split, protocol, ensembles.ladder("fgsm", 10, {}))
    steps = registry.components("fgsm", 10, {})
    slow = attack_all(model, split, protocol, steps=steps, seed=0, device=CPU, batch_size=64)
    assert fast.level == slow.level


@pytest.mark.default
@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_outcome_does_not_depend_on_batches_or_order(linear_case, norm, batch_size) -> None:
    """In float64 the same images fall to the same attacks in any batch and any order."""
    model, split = linear_case(10, n=20)
    model.double()
    protocol = protocol_of("autoattack", norm)
    rungs = ensembles.ladder("autoattack", 10, {"steps": 10, "queries": 20, "targets": 2})
    reference = search(model, split, protocol, rungs, batch_size=20)
    order = torch.randperm(20)
    shuffled = search(model, split.take(order), protocol, rungs, batch_size=batch_size)
    assert shuffled.level == [reference.level[i] for i in order]
    assert shuffled.component == [reference.component[i] for i in order]


def test_a_stopped_search_ends_as_an_undisturbed_one(linear_case) -> None:
    """Stop after any batch and go on from what was saved: the outcome is the same."""
    model, split = linear_case(10)
    rungs = ensembles.ladder("autoattack", 10, {"steps": 5, "queries": 5, "targets": 2})
    protocol = protocol_of("autoattack")
    saved: list[dict] = []
    whole = search(
        model, split, protocol, rungs, batch_size=5, save=lambda s: saved.append(asdict(s))
    )
    expected = {**asdict(whole), "attack_seconds": 0}
    assert len(saved) > 10
    for state in saved[::3]:
        resumed = search(model, split, protocol, rungs, batch_size=5, state=State(**state))
        assert repr({**asdict(resumed), "attack_seconds": 0}) == repr(expected)


def test_an_image_that_one_step_breaks_is_cheap(linear_case) -> None:
    """Broken at the smallest epsilon by the first step: one gradient, two forward passes."""
    model, split = linear_case(2)
    protocol = protocol_of("autoattack", grid=["0.3", "0.4"])
    state = search(model, split, protocol, ensembles.ladder("autoattack", 2, {}))
    assert state.level == [0] * len(split)
    assert state.passes == {"fgsm": {"forward": 2 * len(split), "gradient": len(split)}}


@pytest.mark.default
def test_exhaustive_spends_what_autoattack_spends(linear_case) -> None:
    """Savings off: per image and epsilon, pass for pass, the cost of the original.

    Figures measured with a counting network around pyautoattack 0.2.0.
    """
    model, split = linear_case(10, n=3)
    protocol = protocol_of("autoattack", grid=["0.0001", "0.3"])
    rungs = ensembles.ladder("autoattack", 10, {}, early_stop=False)
    state = attack_all(
        model, split, protocol, steps=ensembles.as_components(rungs), seed=0, device=CPU,
        batch_size=64, exhaustive=True,
    )  # fmt: skip
    cost = {"apgd-ce": (103, 101), "apgd-t": (920, 909), "fab-t": (1829, 900), "square": (5004, 0)}
    assert state.passes == {
        name: {"forward": 6 * forward, "gradient": 6 * gradient}
        for name, (forward, gradient) in cost.items()
    }
    assert state.forward == [2 * 7856] * 3
    assert state.gradient == [2 * 1910] * 3
    assert state.level == [1] * 3


@pytest.mark.default
def test_the_reference_spends_that_too(linear_case) -> None:
    """The count of the libraries' own passes, on an image that nothing breaks."""
    model, split = linear_case(10, n=2)
    protocol = protocol_of("autoattack", grid=["0.0000001"])
    steps = registry.components("autoattack", 10, {})
    state = attack_all(model, split, protocol, steps=steps, seed=0, device=CPU, batch_size=64)
    cost = {"apgd-ce": (103, 101), "apgd-t": (920, 909), "fab-t": (1829, 900), "square": (5004, 0)}
    assert state.passes == {
        name: {"forward": 2 * forward, "gradient": 2 * gradient}
        for name, (forward, gradient) in cost.items()
    }
    assert state.forward == [None, None]


@pytest.mark.parametrize("exact", [True, False])
def test_passes_are_known_per_image(linear_case, exact: bool) -> None:
    """The images' own counts add up to the components', and the broken cost little."""
    model, split = linear_case(10, n=20)
    rungs = ensembles.ladder("autoattack", 10, BRIEF)
    state = search(model, split, protocol_of("autoattack"), rungs, exact=exact)
    for kind, counts in (("forward", state.forward), ("gradient", state.gradient)):
        assert sum(counts) == sum(spent[kind] for spent in state.passes.values())
    broken = [state.forward[row] for row in range(20) if state.level[row] == 0]
    standing = [state.forward[row] for row in range(20) if state.level[row] > 2]
    assert max(broken) < min(standing)


def test_misclassified_images_are_left_alone(linear_case) -> None:
    """No pass is spent on them and nothing is concluded about them."""
    model, split = linear_case(10)
    wrong = replace(split, labels=(split.labels + (torch.arange(len(split)) == 3)) % 10)
    state = search(model, wrong, protocol_of("pgd"), ensembles.ladder("pgd", 10, {"restarts": 1}))
    assert [row for row, correct in enumerate(state.correct) if not correct] == [3]
    assert (state.failed[3], state.forward[3], state.component[3]) == (-1, 0, "")


def test_the_model_leaves_the_search_as_it_came() -> None:
    """Mode, gradient flags, gradients, buffers and the random state are untouched."""
    model = factory.build(
        ModelSpec("resnet14_w4", spatial="frozen"),
        factory.Shape(1, 6, 4),
        torch.zeros(1),
        torch.ones(1),
    ).train()
    model.net.norm.eval()
    next(model.parameters()).grad = torch.ones_like(next(model.parameters()))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flags = [p.requires_grad for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    images = torch.randint(0, 256, (6, 1, 6, 6), dtype=torch.uint8)
    split = Split(images, torch.arange(6) % 4, torch.arange(6), 255)
    torch.manual_seed(11)
    expected = torch.rand(4)
    torch.manual_seed(11)
    for name in ("fgsm", "pgd", "autoattack", "autoattack-audited"):
        options = {"steps": 3, "queries": 3} if name.startswith("auto") else {}
        rungs = ensembles.ladder(name, 4, options)
        search(model, split, protocol_of("fgsm"), rungs)
    assert torch.equal(torch.rand(4), expected)
    assert [p.requires_grad for p in model.parameters()] == flags
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(next(model.parameters()).grad, torch.ones_like(next(model.parameters())))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_batches_halve_when_memory_runs_out(linear_case) -> None:
    """The run goes on with smaller batches to the same outcome; one image too many is an error."""
    model, split = linear_case(10, n=20)
    rungs = ensembles.ladder("autoattack", 10, {"steps": 5, "queries": 5, "targets": 2})
    protocol = protocol_of("autoattack")
    expected = search(model, split, protocol, rungs)
    sizes: list[int] = []

    def limited(limit: int) -> list[ensembles.Rung]:
        def attack(target, x, y, seeds, *, eps, norm, real):
            sizes.append(len(x))
            if len(x) > limit:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return real.attack(target, x, y, seeds, eps=eps, norm=norm)

        return [ensembles.Rung(rung.name, partial(attack, real=rung)) for rung in rungs]

    state = search(model, split, protocol, limited(3))
    assert state.level == expected.level
    assert state.passes == expected.passes
    assert sizes[0] > 3 >= max(sizes[5:])
    with pytest.raises(RbmixError, match="out of memory with a batch of one image"):
        search(model, split, protocol, limited(0))


@pytest.mark.default
def test_conclusions_are_checked(linear_case, monkeypatch) -> None:
    """Some conclusions from a larger to a smaller epsilon are attacked outright."""
    monkeypatch.setattr("robustbench_mix.evaluation.fast.ONE_IN", 1)
    model, split = linear_case(10, n=40)
    protocol = protocol_of("autoattack")
    state = search(model, split, protocol, ensembles.ladder("autoattack", 10, BRIEF))
    concluded = [failed for failed in state.failed if failed > 0]
    assert len(concluded) > 3
    assert state.checked.count("confirmed") == len(concluded)


def test_false_conclusions_are_refuted(linear_case, monkeypatch) -> None:
    """An attack that only works in small balls is caught by the check."""
    monkeypatch.setattr("robustbench_mix.evaluation.fast.ONE_IN", 1)
    model, split = linear_case(10, n=40)
    protocol = protocol_of("pgd", grid=["0.0001", "0.03", "0.04"])

    def odd(target, x, y, seeds, *, eps, norm):
        (rung,) = ensembles.pgd(10, restarts=1)
        x_adv = rung.attack(target, x, y, seeds, eps=eps, norm=norm)
        return torch.where((eps < 0.035)[:, None, None, None], x_adv, x)

    monkeypatch.setattr("robustbench_mix.evaluation.fast._place", _no_placing)
    state = search(model, split, protocol, [ensembles.Rung("odd", odd)])
    assert state.checked.count("refuted") > 0
    assert all(state.level[row] < 2 for row in range(40) if state.checked[row] == "refuted")


def _no_placing(job, state, rows, x, y) -> None:
    for row in rows:
        state.stage[row] = 0


@pytest.mark.default
@pytest.mark.parametrize("channels", [1, 2, 12])
def test_square_that_remembers_is_square(channels: int) -> None:
    """Not asking twice changes no point that is found, and saves passes on small images."""
    torch.manual_seed(channels)
    model = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 4))
    x = torch.rand(40, channels, 6, 6)
    y = model(x).argmax(1)
    eps, seeds = torch.full((40,), 0.06 / channels**0.5), torch.arange(40)
    spent, found = [], []
    for attack in (square, square_recalled):
        target = Target(model, images=40)
        more = {"norm": "linf", "early_stop": False} if attack is square else {}
        found.append(attack(target, x, y, seeds, eps=eps, queries=700, **more))
        spent.append(target.passes.each[0])
    broken = [model(x_adv).argmax(1) != y for x_adv in found]
    assert torch.equal(*broken)
    assert 3 <= int(broken[0].sum()) <= 37
    # Without an early stop the first point is replaced by later ones: only who falls compares.
    standing = ~broken[0]
    assert (spent[0][standing] == 701).all()
    # What was asked ahead in vain is at most one query in sixteen.
    assert (spent[1][standing] < (300 if channels == 1 else 701 * 17 / 16)).all()


@settings(max_examples=60)
@given(seed=st.integers(0, 2**31), size=st.integers(1, 6))
def test_projection_onto_a_hyperplane_is_minimal(seed: int, size: int) -> None:
    """Within the box and l-infinity, a linear program finds no shorter step."""
    random = np.random.default_rng(seed)
    point, normal = random.random(size), random.normal(size=size)
    offset = float(normal @ random.random(size))
    step = onto_hyperplane(
        torch.tensor(point)[None],
        torch.tensor(normal)[None],
        torch.tensor([offset], dtype=torch.float64),
        "linf",
    )[0].numpy()
    assert normal @ (point + step) == pytest.approx(offset, abs=1e-9)
    assert (point + step >= -1e-12).all()
    assert (point + step <= 1 + 1e-12).all()
    # Variables: the step and its largest absolute entry, which is minimised.
    identity, ones = np.eye(size), np.ones((size, 1))
    program = linprog(
        [0] * size + [1],
        A_ub=np.block([[identity, -ones], [-identity, -ones]]),
        b_ub=np.zeros(2 * size),
        A_eq=np.append(normal, 0)[None],
        b_eq=[offset - normal @ point],
        bounds=[(-p, 1 - p) for p in point] + [(0, None)],
    )
    assert np.abs(step).max() == pytest.approx(program.fun, abs=1e-7)


def test_projection_onto_a_free_hyperplane_is_orthogonal() -> None:
    """Far from the box the l2 step is along the normal."""
    normal = torch.tensor([[3.0, -4.0]], dtype=torch.float64)
    point = torch.full((1, 2), 0.5, dtype=torch.float64)
    step = onto_hyperplane(point, normal, torch.tensor([0.0], dtype=torch.float64), "l2")
    torch.testing.assert_close(step, 0.5 / 25 * normal)


def test_unreachable_hyperplanes_end_in_the_corner() -> None:
    """Where the box does not reach the plane, every coordinate goes as far as it can."""
    point = torch.tensor([[0.2, 0.7]], dtype=torch.float64)
    normal = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    step = onto_hyperplane(point, normal, torch.tensor([9.0], dtype=torch.float64), "linf")
    torch.testing.assert_close(point + step, torch.tensor([[1.0, 0.0]], dtype=torch.float64))


def test_draws_are_uniform_and_belong_to_the_image() -> None:
    """Means, variances and correlations of a uniform law; the same in any batch."""
    seeds = torch.arange(200)
    sample = draws.uniform(seeds, 3, 500)
    assert torch.equal(draws.uniform(seeds[[7, 3]], 3, 500), sample[[7, 3]])
    assert 0 <= sample.min() < 1e-4
    assert 1 - 1e-4 < sample.max() < 1
    assert abs(sample.mean() - 0.5) < 0.005
    assert abs(sample.var() - 1 / 12) < 0.002
    for other in (draws.uniform(seeds, 4, 500), draws.uniform(seeds + 1, 3, 500)):
        assert abs(torch.corrcoef(torch.stack([sample.flatten(), other.flatten()]))[0, 1]) < 0.01
    gauss = draws.normal(seeds, 0, 501)
    assert gauss.shape == (200, 501)
    assert abs(gauss.mean()) < 0.01
    assert abs(gauss.std() - 1) < 0.01
    assert set(draws.signs(seeds, 0, 9).unique().tolist()) == {-1, 1}
    assert not torch.equal(draws.derive(seeds, 1), draws.derive(seeds, 2))


def test_algorithms_without_a_fast_form_are_named() -> None:
    """Noise has none, and a wrong option is refused as in the reference."""
    with pytest.raises(RbmixError, match="'noise' has no fast backend"):
        ensembles.ladder("noise", 10, {})
    with pytest.raises(RbmixError, match="unexpected keyword argument 'stepz'"):
        ensembles.ladder("pgd", 10, {"stepz": 1})
