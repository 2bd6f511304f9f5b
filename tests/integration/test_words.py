"""Wrong words are answered at once: before PyTorch is imported, whatever the command."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Refuses PyTorch, and whatever else of that size, as if it were broken.
WITHOUT = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "torchvision", "timm", "foolbox", "pandas", "matplotlib"):
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, Refused())
from robustbench_mix.cli import main

for line in sys.stdin.read().splitlines():
    words = line.split("\\t")
    print("\\t".join([str(main(words)), *words]), flush=True)
    print("---", file=sys.stderr, flush=True)
"""
WRONG = {
    "evaluate": [
        (["--model", "resnet81"], "unknown model 'resnet81'"),
        (["--model", "hf:timm"], "model 'hf:timm' is not of the form hf:owner/name"),
        (["--model", "nowhere:make"], "cannot import model 'nowhere:make': ModuleNotFoundError"),
        (["--model", "nowhere:"], "is not of the form package.module:callable"),
        (["--attack", "autoatack"], "unknown attack 'autoatack'"),
        (["--attack", "./no.toml"], "no.toml"),
        (["--dataset", "digts"], "unknown data set 'digts'"),
        (["--dataset", "./digts"], "data set folder './digts' does not exist"),
        (["--spatial", "frozn"], "unknown spatial 'frozn'"),
        (["--channel", "x"], "unknown channel 'x'"),
        (["--eps", "abc"], "epsilon 'abc' is not a positive number"),
        (["--norm", "l2"], "give one with --eps"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--device", "cuda:x"], "unknown device 'cuda:x'"),
        (["--examples", "0"], "number of examples 0 must be at least 1"),
        (["--batch-size", "0"], "batch size 0 must be at least 1"),
        (["--seed", "-3"], "seed -3 is out of range"),
        (["--backend", "quick"], "unknown backend 'quick'"),
        (["--attack", "noise", "--backend", "fast"], "has no fast backend"),
        (["--attack", "autoattack-audited", "--backend", "reference"], "has no reference backend"),
        (["--exhaustive", "--backend", "reference"], "--exhaustive goes with the fast backend"),
        (["--randomised", "--exhaustive"], "--randomised goes with the reference backend"),
        (["--epochs", "0"], "epochs 0 must be at least 1"),
        (["--lr", "nan"], "learning rate nan must be a positive number"),
        (["--precision", "fp8"], "unknown precision 'fp8'"),
        (["--adversarial-eps", "1/16"], "needs --adversarial"),
        (["--weights", "w.pt"], "checkpoint w.pt does not exist"),
        (["--weights", "w.pt", "--epochs", "3"], "comes with its weights"),
        (["--pretrained"], "--pretrained goes with your own model"),
        (["--input-size", "0"], "input size 0 is not in 1 to 1024"),
        (["--mean", "0.5"], "--mean needs --std beside it"),
    ],
    "train": [
        (["--model", "resnet81"], "unknown model 'resnet81'"),
        (["--dataset", "digts"], "unknown data set 'digts'"),
        (["--spatial", "frozn"], "unknown spatial 'frozn'"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--precision", "fp8"], "unknown precision 'fp8'"),
        (["--train-examples", "-1"], "number of examples -1 must be at least 1"),
    ],
    "explain": [
        (["--model", "resnet81"], "unknown model 'resnet81'"),
        (["--dataset", "digts"], "unknown data set 'digts'"),
        (["--spatial", "frozn"], "unknown spatial 'frozn'"),
        (["--eps", "abc"], "epsilon 'abc' is not a positive number"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--examples", "0"], "number of examples 0 must be at least 1"),
        (["--epochs", "0"], "epochs 0 must be at least 1"),
    ],
    "unshuffle": [
        (["--width", "0"], "width 0 must be at least 1"),
        (["--spatial", "frozn"], "unknown spatial 'frozn'"),
        (["--dataset", "digts"], "unknown data set 'digts'"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--examples", "0"], "number of examples 0 must be at least 1"),
        (["--lr", "-1"], "learning rate -1.0 must be a positive number"),
    ],
    "sweep": [
        (["quik"], "unknown sweep 'quik'"),
        (["quick", "--models", "resnet81"], "unknown model 'resnet81'"),
        (["quick", "--models", "nowhere:make"], "is code, which no sweep imports"),
        (["quick", "--attacks", "autoatack"], "unknown attack 'autoatack'"),
        (["quick", "--dataset", "digts"], "unknown data set 'digts'"),
        (["quick", "--runner", "rai"], "unknown runner 'rai'"),
        (["quick", "--workers", "0"], "number of workers 0 must be at least 1"),
        (["quick", "--address", "here:1"], "--address here:1 goes with --runner ray"),
        (["quick", "--device", "tpu"], "unknown device 'tpu'"),
        (["quick", "--precision", "fp8"], "unknown precision 'fp8'"),
    ],
    "baseline": [
        (["--model", "resnet81"], "unknown model 'resnet81'"),
        (["--attack", "autoatack"], "unknown attack 'autoatack'"),
        (["--dataset", "digts"], "unknown data set 'digts'"),
        (["--spatial", "frozn"], "unknown spatial 'frozn'"),
        (["--eps", "abc"], "epsilon 'abc' is not a positive number"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--backend", "quick"], "unknown backend 'quick'"),
    ],
    "describe": [
        (["resnet81"], "unknown model 'resnet81'"),
        (["resnet14", "--spatial", "frozn"], "unknown spatial 'frozn'"),
        (["resnet14", "--dataset", "digts"], "unknown data set 'digts'"),
        (["resnet14", "--classes", "1"], "number of classes 1 must be at least 2"),
    ],
    "bench": [
        (["--parts", "step"], "part 'step' is not one of"),
        (["--dataset", "digts"], "unknown data set 'digts'"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--precision", "fp8"], "unknown precision 'fp8'"),
        (["--examples", "0"], "number of examples 0 must be at least 1"),
    ],
}  # fmt: skip
ALL = [([command, *words], said) for command, cases in WRONG.items() for words, said in cases]


@pytest.mark.default
def test_no_wrong_word_imports_torch(tmp_path: Path) -> None:
    """In a process in which that fails: each is one line that names it, and exit code 2."""
    given = "".join("\t".join(words) + "\n" for words, _ in ALL)
    command = [sys.executable, "-c", WITHOUT]
    done = subprocess.run(command, input=given, capture_output=True, text=True, cwd=tmp_path)
    answers = done.stderr.split("---\n")[:-1]
    assert len(answers) == len(ALL), done.stderr
    codes = [line.split("\t")[0] for line in done.stdout.splitlines()]
    for (words, said), answer, code in zip(ALL, answers, codes, strict=True):
        assert said in answer, words
        assert (answer.count("\n"), code) == (1, "2"), words
    assert not list(tmp_path.iterdir())


@pytest.mark.default
def test_words_of_a_check_too(checkout: Path, tmp_path: Path) -> None:
    """A baseline is a table, which takes pandas, but no network yet."""
    (baseline, *_) = sorted((checkout / "results" / "baselines").glob("*.csv"))
    code = WITHOUT.replace('"foolbox", "pandas", ', "")
    cases = [
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--examples", "1000"], "number of examples 1000 must be 1 to"),
        (["--batch-size", "0"], "batch size 0 must be at least 1"),
        (["--weights", "w.pt"], "checkpoint w.pt does not exist"),
    ]
    words = [["check", "--baseline", str(baseline), *given] for given, _ in cases]
    given = "".join("\t".join(line) + "\n" for line in words)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=given, capture_output=True, text=True, cwd=tmp_path)
    answers = done.stderr.split("---\n")[:-1]
    assert len(answers) == len(cases), done.stderr
    for (_, said), answer in zip(cases, answers, strict=True):
        assert said in answer


@pytest.mark.default
@pytest.mark.parametrize("words", [["evaluate", "--model", "resnet81"], ["sweep", "quik"]])
def test_a_typo_is_answered_within_a_second_and_a_half(words: list[str], tmp_path: Path) -> None:
    """Of processor time: what else runs here does not count."""
    command = [sys.executable, "-m", "robustbench_mix", *words]
    before = os.times()
    started = time.perf_counter()
    subprocess.run(command, capture_output=True, cwd=tmp_path)
    wall = time.perf_counter() - started
    after = os.times()
    spent = (after.children_user - before.children_user) + (
        after.children_system - before.children_system
    )
    assert min(spent, wall) < 1.5
