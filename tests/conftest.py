"""Shared fixtures: a fixed seed, a private cache, and models small enough for tests."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import sys
from collections.abc import Callable, Generator
from multiprocessing.process import BaseProcess
from pathlib import Path

# One thread for each test and each process it starts: two that share cores with others wait for
# each other. Before torch is imported, which reads it.
os.environ["OMP_NUM_THREADS"] = "1"

import foolbox  # noqa: F401 - asks git for its version, once for all tests
import networks
import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from hypothesis import settings
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from robustbench_mix.data.dataset import Split
from robustbench_mix.evaluation import sanity_checks
from robustbench_mix.results.headers import RunHeader
from robustbench_mix.results.records import Run
from robustbench_mix.runtime import progress
from robustbench_mix.runtime.provenance import PACKAGES, commit
from robustbench_mix.storage import validation
from robustbench_mix.training.load_or_train import TrainedModel

# How long an example takes says nothing on a shared machine.
settings.register_profile("rbmix", deadline=None)
settings.load_profile("rbmix")

torch.set_num_threads(1)

# A shell that starts the tests in the background has Ctrl-C ignored, by their children too.
signal.signal(signal.SIGINT, signal.default_int_handler)


TIERS = ("quick", "default", "slow", "benchmark")
FEW_STEPS = 20  # of an optimizer, in a quick test
SLOW_STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test is quick unless it, or else its module, is marked for another tier."""
    for item in items:
        if not any(mark.name in TIERS for mark in item.iter_markers()):
            item.add_marker("quick")


class Heavy:
    """What a quick test may not do, counted while one runs."""

    processes = steps = 0
    counts = False


def _on_audit(event: str, _: tuple) -> None:
    Heavy.processes += Heavy.counts and event in SLOW_STARTS


def _on_start(process: BaseProcess, start: Callable = BaseProcess.start) -> None:
    Heavy.processes += Heavy.counts
    start(process)


def _on_step(*_: object) -> None:
    Heavy.steps += Heavy.counts


def pytest_configure() -> None:
    """Notice processes and training, whoever starts them."""
    sys.addaudithook(_on_audit)
    BaseProcess.start = _on_start
    register_optimizer_step_post_hook(_on_step)
    commit()  # asks git, once for all tests


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator:
    """A quick test that starts a process or trains fails: it is to be marked as `default`."""
    Heavy.processes = Heavy.steps = 0
    Heavy.counts = item.get_closest_marker("quick") is not None
    try:
        found = yield
    finally:
        Heavy.counts = False
    if Heavy.processes or Heavy.steps > FEW_STEPS:
        pytest.fail(
            f"{Heavy.processes} processes and {Heavy.steps} steps of training in a quick test: "
            "mark it with pytest.mark.default"
        )
    return found


@pytest.fixture(autouse=True)
def _same_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts from the same random state, on one thread like what it starts.

    And with the same import path: a model of the user's own adds the current folder to it, from
    which later tests would import the checkout where a wheel is to be tested.
    """
    torch.manual_seed(0)
    monkeypatch.setattr(sys, "path", [*sys.path])
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _loud() -> None:
    """A command run with --json must not silence the next test."""
    progress.set_quiet(False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own."""
    monkeypatch.setenv("RBMIX_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests that may share trained checkpoints, whichever worker runs them."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each has a folder of its own in the one of the run
        folder = folder.parent
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return home


@pytest.fixture
def cached(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use the shared cache."""
    monkeypatch.setenv("RBMIX_HOME", str(shared_home))
    return shared_home


@pytest.fixture(scope="session")
def shipped() -> Callable[[str], TrainedModel]:
    """A function: a network of `tests/weights` by its name, a copy of the test's own."""
    return networks.load


@pytest.fixture
def unexamined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations without the attacks of their diagnostics, which take longer than a short one."""
    monkeypatch.setattr(sanity_checks, "of_attacks", lambda *_: {})


@pytest.fixture
def write_cifar10(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], np.ndarray]:
    """A function that writes tiny files in CIFAR-10's own format, checksums registered.

    It returns the ten test images, (10, 3072) uint8.
    """

    def write(root: Path) -> np.ndarray:
        folder = root / "cifar-10-batches-py"
        folder.mkdir(parents=True)
        random = np.random.default_rng(0)

        def pickled(name: str, content: dict) -> list[str]:
            raw = pickle.dumps(content)
            (folder / name).write_bytes(raw)
            return [name, hashlib.md5(raw).hexdigest()]

        def batch() -> dict:
            images = random.integers(0, 256, (10, 3072), dtype=np.uint8)
            return {"data": images, "labels": list(range(10))}

        content = [batch() for _ in range(6)]
        source = torchvision.datasets.CIFAR10
        names = [pickled(f"batch_{i}", content[i]) for i in range(6)]
        name, digest = pickled("batches.meta", {"label_names": [f"class{i}" for i in range(10)]})
        meta = {"filename": name, "key": "label_names", "md5": digest}
        for what, value in (("train_list", names[:5]), ("test_list", names[5:]), ("meta", meta)):
            monkeypatch.setattr(source, what, value)
        return content[5]["data"]

    return write


class Linear(nn.Module):
    """logits = W x: the nearest adversarial example is known in closed form."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ self.weight.T

    def distances(self, x: torch.Tensor, y: torch.Tensor, norm: str) -> torch.Tensor:
        """Distance from each image to the nearest other class, ignoring the box."""
        weight = self.weight.detach().double()
        logits = x.flatten(1).double() @ weight.T
        margins = logits.gather(1, y[:, None]) - logits
        dual = 1 if norm == "linf" else 2
        lengths = (weight[y][:, None] - weight[None]).norm(p=dual, dim=2)
        return (margins / lengths.clamp_min(1e-30)).masked_fill(lengths == 0, torch.inf).amin(1)


@pytest.fixture
def linear_case():
    """A function (classes, n) -> linear model and a split it classifies, far from the box."""

    def make(classes: int, n: int = 16) -> tuple[Linear, Split]:
        generator = torch.Generator().manual_seed(classes)
        weight = torch.randn(classes, 2 * 5 * 5, generator=generator)
        # Rows that sum to zero: grey is on every boundary, so no image is far from one.
        model = Linear(weight - weight.mean(1, keepdim=True))
        images = torch.randint(96, 160, (n, 2, 5, 5), generator=generator, dtype=torch.uint8)
        labels = model(images.float() / 255).argmax(1).detach()
        return model, Split(images, labels, torch.arange(n), grey_levels=255)

    return make


@pytest.fixture
def write_folder(tmp_path: Path):
    """A function that writes a small class-folder data set of random images."""
    import numpy as np
    from PIL import Image

    def write(
        name: str = "tiny",
        classes: tuple[str, ...] = ("cat", "dog", "owl", "yak"),
        train: int = 6,
        test: int = 4,
        size: tuple[int, int] = (8, 8),
    ) -> Path:
        random = np.random.default_rng(0)
        folder = tmp_path / name
        for split, count in (("train", train), ("test", test)):
            for label, cls in enumerate(classes):
                (folder / split / cls).mkdir(parents=True)
                for i in range(count):
                    pixels = random.integers(0, 120, (*size, 3)) + 30 * label
                    image = Image.fromarray(pixels.astype("uint8"))
                    image.save(folder / split / cls / f"{i}.png")
        return folder

    return write


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the checkout the tests lie in."""
    return Path(__file__).resolve().parent.parent


GRID = ["1/255", "2/255"]


def _make_run(levels: list[int], correct: list[bool] | None = None, **header) -> Run:
    """A run over len(levels) images; level 2 is never broken."""
    n = len(levels)
    correct = correct or [True] * n
    nan = float("nan")
    table = pd.DataFrame(
        {
            "image": [10 * i for i in range(n)],
            "label": [0] * n,
            "prediction": [0 if c else 1 for c in correct],
            "margin": [0.5 if c else -0.25 for c in correct],
            "correct": correct,
            "broken": [[e >= level for e in range(2)] for level in levels],
            "component": [["pgd-0" if e >= level else "" for e in range(2)] for level in levels],
            "norm": [[0.001 if e >= level else nan for e in range(2)] for level in levels],
            "inferred": [[False, False] for _ in levels],
            "forward": pd.array([7] * n, dtype="Int64"),
            "gradient": pd.array([None] * n, dtype="Int64"),
        }
    )
    words = {
        "model": "resnet14", "spatial": "learned", "channel": "learned", "seed": 0,
        "dataset": "digits", "protocol": "pgd", "norm": "linf", "eps": GRID, "n": n,
        "protocol_hash": "p", "checkpoint_hash": "c", "data_hash": "d", "batch_size": 8,
        "train_examples": 100, "epochs": 3, "device": "cpu", "commit": "abc",
        "versions": dict.fromkeys(PACKAGES, "1.0"), "protocol_spec": {"algorithm": "pgd"},
        "passes": {"pgd-0": {"forward": 5 * n, "gradient": 4 * n}},
    }  # fmt: skip
    typed = validation.decode({**words, **header}, RunHeader, "a run made by hand is wrong")
    return Run(typed, table, date="2026-01-31", time_seconds={"attack": 1.5})


@pytest.fixture(scope="session")
def make_run():
    """The function that makes a run by hand."""
    return _make_run
