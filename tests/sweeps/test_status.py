"""How far a sweep is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robustbench_mix import cli
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import evaluate

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


@pytest.mark.quick
def test_no_sweep_has_no_status(here: Path, capsys) -> None:
    """It is said in one line, and so is a folder that is not there."""
    (here / "empty").mkdir()
    for folder, said in (("empty", "no sweep has been run into"), ("gone", "does not exist")):
        assert cli.main(["status", folder]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert said in line
