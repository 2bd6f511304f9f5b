"""Sweeps: what a file asks for, what is missing, and that nothing is done twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from robustbench_mix import cli
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import evaluate
from robustbench_mix.evaluation.resume import Shard
from robustbench_mix.results import records
from robustbench_mix.runtime import devices
from robustbench_mix.sweeps import cell_plans, definition
from robustbench_mix.sweeps import plan as planning

pytestmark = pytest.mark.default


def test_a_second_call_does_only_what_is_missing(here: Path, capsys) -> None:
    """Everything once; then nothing; then what was deleted, to the same bytes."""
    assert cli.main(["sweep", "tiny.toml"]) == 0
    err = capsys.readouterr().err
    assert "[1/8] train resnet14_w4, spatial learned" in err
    runs = here / "results" / "runs" / "digits"
    before = {path.name: path.read_bytes() for path in runs.glob("*.parquet")}
    assert len(before) == 4
    assert (here / "results" / "leaderboard.md").exists()
    assert (here / "results" / "unshuffle.md").exists()
    assert cli.main(["sweep", "tiny.toml"]) == 0
    out = capsys.readouterr()
    assert "everything is done" in out.out
    assert "[1/" not in out.err
    next(runs.glob("*frozen*fgsm*.parquet")).unlink()
    assert cli.main(["sweep", "tiny.toml"]) == 0
    assert "[1/1] fgsm on resnet14_w4, spatial frozen" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in runs.glob("*.parquet")} == before


def test_what_a_process_killed_at_its_end_left_is_cleared_away(here: Path, capsys) -> None:
    """A task that is done is visited once more, for nothing but that."""
    assert cli.main(["sweep", "tiny.toml"]) == 0
    records = next(here.rglob("runs/*/*.parquet"))
    decoded = next(here.rglob("unshuffle/*/*.parquet"))
    before = {path: path.read_bytes() for path in (records, decoded)}
    left = [records.with_suffix(".partial.json"), decoded.with_suffix(".unfinished.pt")]
    for path in left:
        path.write_bytes(b"half")
    capsys.readouterr()
    assert cli.main(["sweep", "tiny.toml"]) == 0
    assert "[2/2]" in capsys.readouterr().err
    assert not any(path.exists() for path in left)
    assert {path: path.read_bytes() for path in before} == before


def test_the_tasks_of_a_sweep_are_those_of_the_commands(here: Path, capsys) -> None:
    """What `rbmix evaluate` has done counts as done."""
    words = ["--model", "resnet14_w4", "--epochs", "1", "--train-examples", "60"]
    assert cli.main(["evaluate", *words, "--attack", "fgsm", "--examples", "10"]) == 0
    setting = planning.SweepSetting(str(here / "results"), torch.device("cpu"))
    tasks = planning.plan_tasks(cell_plans.plan_sweep(definition.load("tiny.toml", {})), setting)
    done = [(p.kind, p.attack) for p in tasks if p.is_done and "spatial learned" in p.description]
    assert ("attack", "fgsm") in done
    assert ("attack", "smoke") not in done


def test_a_task_that_fails_does_not_stop_the_others(here: Path, capsys, monkeypatch) -> None:
    """It is named at the end, with exit code 2."""
    attacked: list[str] = []
    really = evaluate.evaluate

    def failing(plan, results):
        attacked.append(plan.model.spec.spatial)
        if plan.model.spec.spatial == "learned":
            raise RbmixError("the training loss became nan")
        return really(plan, results)

    monkeypatch.setattr(evaluate, "evaluate", failing)
    assert cli.main(["sweep", "tiny.toml"]) == 2
    out = capsys.readouterr().out
    assert out.count("failed: ") == 2
    assert "the training loss became nan" in out
    assert attacked == ["learned", "learned", "frozen", "frozen"]
    assert len(records.read_all(here / "results")) == 2


@pytest.mark.quick
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fig9"], "unknown sweep 'fig9'; did you mean 'fig8'?"),
        (["./nowhere.toml"], "cannot read sweep"),
        (["tiny.toml", "--dataset", "cifar11"], "unknown data set 'cifar11'"),
        (["tiny.toml", "--attacks", "pdg"], "unknown attack 'pdg'"),
        (["tiny.toml", "--seeds", "one"], "'one' is not a list of whole numbers"),
        (["tiny.toml", "--precision", "fp8"], "unknown precision 'fp8'"),
    ],
)
def test_wrong_words_are_named(here: Path, capsys, words: list[str], message: str) -> None:
    """One line, exit code 2, nothing written."""
    assert cli.main(["sweep", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(here.rglob("*.parquet"))


SPLIT = """
[[grid]]
models = ["resnet14_w4"]
spatial = ["learned"]
attacks = ["smoke", "autoattack-audited"]
epochs = 1
train_examples = 60
examples = 140
"""


def test_a_long_attack_is_split_and_joined(here: Path, capsys, monkeypatch) -> None:
    """Into batches at most; what is killed between is not done again; the bytes are the same."""
    (here / "split.toml").write_text(SPLIT)
    monkeypatch.setattr(devices, "CPU_BATCH", 32)  # 128 digits
    assert cli.main(["sweep", "split.toml", "--attacks", "smoke", "--out", "whole"]) == 0
    monkeypatch.setattr(planning, "MAX_ATTACK_SECONDS", 1e-9)
    capsys.readouterr()
    assert cli.main(["sweep", "split.toml", "--out", "parts", "--plan", "--json"]) == 0
    tasks = json.loads(capsys.readouterr().out)["pieces"]
    # An audit draws its sample from all images: it stays whole.
    assert [task["kind"] for task in tasks] == ["train", "shard", "shard", "attack", "attack"]
    assert [task["words"].split(" of")[0] for task in tasks[1:3]] == ["part 1/2", "part 2/2"]

    attack, calls = evaluate.attack_shard, []

    def once(plan, results, shard):
        calls.append(shard.number)
        if len(calls) == 2:
            raise KeyboardInterrupt
        attack(plan, results, shard)

    monkeypatch.setattr(evaluate, "attack_shard", once)
    words = ["sweep", "split.toml", "--attacks", "smoke", "--out", "parts"]
    assert cli.main(words) == 130
    assert len(list((here / "parts").rglob("*.shard-1-of-2.json"))) == 1
    monkeypatch.setattr(planning, "MAX_ATTACK_SECONDS", 1e9)  # it stays split as it was
    assert cli.main(words) == 0
    assert calls == [1, 2, 2]
    found, wanted = (
        {p.relative_to(here / name): p.read_bytes() for p in (here / name).rglob("*.parquet")}
        for name in ("parts", "whole")
    )
    assert found == wanted
    assert len(found) == 1
    assert not list((here / "parts").rglob("*.shard-*"))
    capsys.readouterr()
    assert cli.main([*words, "--json"]) == 0
    assert all(task["done"] for task in json.loads(capsys.readouterr().out)["pieces"])


@pytest.mark.quick
def test_shards_are_all_images_in_order() -> None:
    """Each image in one of them, as near to equal as can be."""
    for images, of in ((10, 3), (300, 7), (2, 2)):
        parts = [list(Shard(number, of).rows(images)) for number in range(1, of + 1)]
        assert [row for part in parts for row in part] == list(range(images))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
