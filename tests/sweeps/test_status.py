"""How far a sweep is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from robustbench_mix import cli
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import evaluate
from robustbench_mix.sweeps import status

pytestmark = pytest.mark.default


def test_how_far_a_sweep_is(here: Path, capsys, monkeypatch) -> None:
    """Any machine that sees the results sees it, while it runs and afterwards."""
    really, during = evaluate.evaluate, []

    def watching(plan, results):
        if not during:
            capsys.readouterr()
            assert cli.main(["status", "--json"]) == 0
            during.append(json.loads(capsys.readouterr().out)["sweeps"][0])
        elif plan.model.spec.spatial == "frozen":
            raise RbmixError("the training loss became nan")
        return really(plan, results)

    monkeypatch.setattr(evaluate, "evaluate", watching)
    # A seed of its own: other tests expect that nobody has trained their networks before.
    assert cli.main(["sweep", "tiny.toml", "--seeds", "5"]) == 2
    assert during[0]["sweep"] == "tiny"
    seen = [task["state"] for task in during[0]["pieces"]]
    assert (seen[0], seen[1], seen.count("at work")) == ("done", "at work", 1)
    capsys.readouterr()
    assert cli.main(["status"]) == 0
    said = capsys.readouterr().out
    assert "tiny: 1 process" in said
    assert said.count("failed since") == 2
    assert "the training loss became nan" in said
    (path,) = (here / "results" / "progress").iterdir()
    path.write_text(path.read_text().replace('"done"', '"gone"', 1))
    assert cli.main(["status"]) == 2
    assert f"{Path('results/progress/tiny.json')} is damaged" in capsys.readouterr().err


@dataclass(frozen=True)
class Planned:
    """A task of a plan."""

    description: str
    network: str = "net"
    is_done: bool = False
    estimated_seconds: float = 1.0


def states(results: Path) -> list[str]:
    """The states of the tasks of the one sweep, as they are read."""
    (sweep,) = status.read_all(results)
    return [task["state"] for task in sweep["pieces"]]


@pytest.mark.quick
def test_a_task_that_ctrl_c_stops_is_interrupted(here: Path) -> None:
    """While the sweep runs it is at work; what waits goes on waiting."""
    tasks = [Planned("a"), Planned("b")]
    state = status.start(here, "mine", "1 process", tasks)
    with pytest.raises(KeyboardInterrupt), state.running():
        state.set_state(tasks[0], "at work", "")
        assert states(here) == ["at work", "waiting"]
        raise KeyboardInterrupt
    assert states(here) == ["interrupted", "waiting"]
    (sweep,) = status.read_all(here)
    said = status.describe_unfinished(sweep)
    assert said[0].startswith("interrupted since 2")
    assert said[1:] == ["the same `rbmix sweep` command goes on from there"]


@pytest.mark.quick
def test_a_task_of_a_killed_sweep_is_interrupted(here: Path, monkeypatch) -> None:
    """It could save nothing; of the processes of another machine nothing is known."""
    task = Planned("a")
    status.start(here, "mine", "1 process", [task]).set_state(task, "at work", "")
    assert states(here) == ["interrupted"]
    monkeypatch.setattr(status.socket, "gethostname", lambda: "elsewhere")
    assert states(here) == ["at work"]


@pytest.mark.quick
def test_no_sweep_has_no_status(here: Path, capsys) -> None:
    """It is said in one line, and so is a folder that is not there."""
    (here / "empty").mkdir()
    for folder, said in (("empty", "no sweep has been run into"), ("gone", "does not exist")):
        assert cli.main(["status", folder]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert said in line
