"""Whether an evaluation gives the same answer everywhere, with the figures.

    python same.py OUT [--images N] [--dear N] [--alone N] [--networks ...] [--attacks ...]
        [--parts ...]

Small networks on digits are attacked under several conditions: again, in other batches, on
other numbers of threads, in several workers, in other precisions, on a GPU. Rows of the table
say how many images differ, how many of those lie within rounding of an epsilon, about how many the
attack's draws decide (robustbench_mix/results/agreement.py says how either is shown), and which.
It fails

- where a repeated run, or one with other workers, is not the same to the byte;
- where batches or threads change anything in double precision: what is left there of rounding
  cannot tip an image, a neighbour or a draw that leaks can;
- where an image differs for neither of these reasons;
- where the images that the draws decide fall to one of two conditions too often.

OUT keeps networks and records: a second call does only what is missing. `--dear` is how many
images AutoAttack is given, `--alone` how many are attacked one at a time, which is slow.
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from robustbench_mix.config import protocols
from robustbench_mix.config.model import ModelSpec
from robustbench_mix.config.protocols import Protocol
from robustbench_mix.config.training import Training
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import Dataset
from robustbench_mix.evaluation import search_model
from robustbench_mix.evaluation.attack_plan import attack_plan
from robustbench_mix.evaluation.evaluate import Evaluation
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.evaluation.inputs import Inputs
from robustbench_mix.evaluation.load_model import train_model
from robustbench_mix.evaluation.model_plan import trained_model
from robustbench_mix.evaluation.pending_run import make_run, pending_run
from robustbench_mix.models.given import adapt
from robustbench_mix.results.agreement import (
    SEEDS,
    bracket,
    disputes,
    is_one_sided,
    is_rounding,
    is_undecided,
)
from robustbench_mix.results.markdown import head, line
from robustbench_mix.results.records import Run
from robustbench_mix.runtime import progress
from robustbench_mix.training.load_or_train import TrainedModel

MODEL = "resnet14_w4"
NETWORKS = ("learned", "frozen", "learned adversarial", "frozen adversarial")
ATTACKS = ("fgsm", "pgd", "autoattack")
PARTS = ("repeat", "batch", "threads", "precision", "workers", "cuda")


@dataclass(frozen=True)
class Condition:
    """How a run is computed. `search`: bf16, fp32, or fp64, the network itself in double."""

    search: str = "bf16"
    batch: int = 256
    threads: int = 1
    device: str = "cpu"
    time: int = 1

    @property
    def name(self) -> str:
        """A folder's name."""
        return f"{self.device}-{self.search}-b{self.batch}-t{self.threads}-{self.time}"


@dataclass(frozen=True)
class Comparison:
    """Two conditions; `exactly` if nothing at all may differ, `alone` for the few images."""

    part: str
    words: str
    first: Condition
    second: Condition
    exactly: bool = False
    alone: bool = False


@dataclass(frozen=True)
class Row:
    """What a comparison gave: the images that differ; of those the ones about which the draws
    decide, by the condition that they fell to; and those that nothing explains."""

    part: str
    words: str
    images: int
    differ: list[int]
    to_first: list[int]
    to_second: list[int]
    apart: list[int]
    failed: bool


def comparisons() -> list[Comparison]:
    """All of them, those of a GPU included."""
    base, double = Condition(), Condition("fp64")
    four = replace(base, threads=4)
    repeats = [
        Comparison("repeat", f"again, threads: {one.threads}", one, replace(one, time=2), True)
        for one in (base, four)
    ]
    batches = [
        Comparison(
            "batch", f"batch 256 against {batch}, {one.search}",
            one, replace(one, batch=batch), one is double, alone=batch == 1,
        )
        for one in (base, double)
        for batch in (7, 1)
    ]  # fmt: skip
    threads = [
        Comparison(
            "threads", f"1 thread against {count}, {one.search}",
            one, replace(one, threads=count), one is double,
        )
        for one in (base, double)
        for count in (2, 4)
    ]  # fmt: skip
    precisions = [
        Comparison("precision", f"{one} against {other}", Condition(one), Condition(other))
        for one, other in (("bf16", "fp32"), ("fp32", "fp64"))
    ]
    cuda = replace(base, device="cuda")
    devices = [Comparison("cuda", "again, CUDA", cuda, replace(cuda, time=2), True)] + [
        Comparison("cuda", f"CPU against CUDA, {one.search}", one, replace(one, device="cuda"))
        for one in (base, Condition("fp32"), double)
    ]
    return [*repeats, *batches, *threads, *precisions, *devices]


@contextmanager
def under(condition: Condition) -> Iterator[None]:
    """Compute as the condition says within the block."""
    threads, has_bfloat16 = torch.get_num_threads(), search_model.has_fast_bfloat16
    torch.set_num_threads(condition.threads)
    search_model.has_fast_bfloat16 = lambda _: condition.search == "bf16"
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        search_model.has_fast_bfloat16 = has_bfloat16


class Bench:
    """One network under one protocol, to be attacked under any condition."""

    def __init__(
        self, network: str, attack: str, dataset: Dataset, out: Path, epochs: int | None
    ) -> None:
        spatial, _, adversarial = network.partition(" ")
        self.label = Label(MODEL, spatial, "learned", 0)
        self.dataset, self.out = dataset, out / network.replace(" ", "-")
        self.protocol = protocols.load(attack, dataset.name)
        training = Training(epochs, adversarial=bool(adversarial))
        model = trained_model(ModelSpec(MODEL, spatial), training)
        with under(Condition()), progress.silenced():
            self.trained = train_model(model, dataset, torch.device("cpu"))

    def run(
        self, condition: Condition, images: int, eps: list[str] | None = None, seed: int = 0
    ) -> Evaluation:
        """The run of this network under a condition, read if it is there."""
        grid = self.protocol.eps if eps is None else tuple(protocols.parse_grid(eps, "linf"))
        protocol: Protocol = replace(self.protocol, eps=grid)
        model = copy.deepcopy(self.trained.model)
        if condition.search == "fp64":
            model = adapt(model.double(), self.dataset.test.pixels(0, 2))
        with under(condition), progress.silenced():
            asked = pending_run(
                replace(self.label, seed=seed),
                TrainedModel(model, Path(), self.trained.header, 0.0),
                Inputs(self.dataset, images, torch.device(condition.device)),
                attack_plan(protocol), self.out / condition.name, batch_size=condition.batch,
            )  # fmt: skip
            run, reused = make_run(asked)
            return Evaluation(run, asked.path, reused, len(self.dataset.test))

    def undecided(self, image: int, eps: str, standing: Condition) -> bool:
        """Whether the attack's draws decide about an image under this condition."""
        alone = copy.copy(self)
        chosen = self.dataset.test.take(torch.nonzero(self.dataset.test.index == image)[:, 0])
        alone.dataset = replace(self.dataset, test=chosen)
        return is_undecided([alone.run(standing, 1, [eps], seed).run for seed in range(SEEDS)])

    def compare(self, asked: Comparison, images: int) -> Row:
        """Both runs, and where they differ both again around the epsilon in question."""
        conditions = (asked.first, asked.second)
        one, other = (self.run(condition, images) for condition in conditions)
        found = disputes(one.run, other.run)
        to_first: list[int] = []
        to_second: list[int] = []
        apart: list[int] = []
        for dispute in found:
            again: tuple[Run, Run] | None = None
            if dispute.needs_bracket and not asked.exactly:
                below, above = bracket(dispute.needs_bracket)
                again = tuple(self.run(c, images, [below, above]).run for c in conditions)
            if not asked.exactly and is_rounding(dispute, again):
                continue
            if again is None or not self.undecided(
                dispute.image, dispute.needs_bracket, conditions[dispute.broken_by_first]
            ):
                apart.append(dispute.image)
            elif dispute.broken_by_first:
                to_first.append(dispute.image)
            else:
                to_second.append(dispute.image)
        failed = bool(apart)
        if asked.first.time != asked.second.time:
            failed |= one.path.read_bytes() != other.path.read_bytes()
        differ = [dispute.image for dispute in found]
        return Row(asked.part, asked.words, images, differ, to_first, to_second, apart, failed)


def workers(networks: list[str], attacks: list[str], images: int, out: Path, epochs: int) -> Row:
    """A sweep in one worker against the same in four, on one thread each, to the byte."""
    grids = [
        f'[[grid]]\nmodels = ["{MODEL}"]\nspatial = ["{network.partition(" ")[0]}"]\n'
        f"attacks = {attacks}\nexamples = {images}\nepochs = {epochs}\n"
        f"adversarial = {'true' if ' ' in network else 'false'}\n"
        for network in networks
    ]
    (out / "sweep.toml").write_text("\n".join(grids).replace("'", '"'))
    left = []
    for count in (1, 4):
        place = out / f"workers-{count}"
        words = ["--workers", str(count), "--out", str(place / "results"), "--device", "cpu"]
        environment = {
            **os.environ, "OMP_NUM_THREADS": "1", "RBMIX_HOME": str(place / "home"),
            "SOURCE_DATE_EPOCH": "1800000000",
        }  # fmt: skip
        subprocess.run(
            [sys.executable, "-m", "robustbench_mix", "sweep", str(out / "sweep.toml"), *words],
            env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        files = (path for path in (place / "results").rglob("*") if path.is_file())
        # The date and the durations lie beside the records, in JSON.
        left.append(
            {path.relative_to(place): path.read_bytes() for path in files if path.suffix != ".json"}
        )
    count = images * len(networks) * len(attacks)
    return Row(
        "workers", "1 worker against 4, to the byte", count, [], [], [], [], left[0] != left[1]
    )


def skipped(part: str) -> str:
    """Why a part cannot be run here, '' if it can."""
    if part == "cuda" and not torch.cuda.is_available():
        return "this machine has no CUDA device"
    return ""


def show(where: str, row: Row) -> None:
    """One line of the table."""
    drawn = len(row.to_first) + len(row.to_second)
    within = len(row.differ) - drawn - len(row.apart)
    which = " ".join(map(str, row.differ)) or "-"
    verdict = "FAILED" if row.failed else "ok"
    counts = (row.images, len(row.differ), within, drawn)
    print(line([where, row.words, *map(str, counts), which, verdict]), flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 if anything differs that may not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--dear", type=int, default=64)
    parser.add_argument("--alone", type=int, default=16)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--attacks", nargs="+", default=list(ATTACKS))
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    os.environ["RBMIX_HOME"] = str(given.out / "home")
    dataset = loaders.load("digits")
    missing = {part: why for part in given.parts if (why := skipped(part))}
    asked = [c for c in comparisons() if c.part in given.parts and c.part not in missing]
    counts = ["images", "differ", "within rounding", "draws decide"]
    titles = ["network, attack", "compared", *counts, "which", ""]
    print("\n".join(head(titles)), flush=True)
    failed = False
    luck: dict[str, list[int]] = {}
    for network in given.networks:
        for attack in given.attacks:
            bench = Bench(network, attack, dataset, given.out, given.epochs)
            for one in asked:
                most = given.dear if attack.startswith("autoattack") else given.images
                row = bench.compare(one, min(given.alone, most) if one.alone else most)
                failed |= row.failed
                fell = luck.setdefault(one.words, [0, 0])
                fell[0] += len(row.to_first)
                fell[1] += len(row.to_second)
                show(f"{network}, {bench.protocol.name}", row)
    if "workers" in given.parts:
        epochs = given.epochs or 4
        row = workers(given.networks, given.attacks, given.alone, given.out, epochs)
        failed |= row.failed
        show("all of them, trained too", row)
    for words, fell in luck.items():
        if any(fell):
            verdict = "FAILED, too many for luck" if is_one_sided(*fell) else "ok"
            print(f"\n{words}: of those that the draws decide {fell[0]} fell to the first alone, "
                  f"{fell[1]} to the second: {verdict}")  # fmt: skip
            failed |= is_one_sided(*fell)
    for part, why in missing.items():
        print(f"\nskipped {part}: {why}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
