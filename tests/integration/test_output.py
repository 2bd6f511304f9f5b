"""What the command line says and where: JSON, silence, lines without a terminal, completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from robustbench_mix import cli
from robustbench_mix.config import catalog, protocols
from robustbench_mix.results import records
from robustbench_mix.sweeps import status

pytestmark = pytest.mark.default

COMMANDS: dict[str, Any] = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
SMALL = ["--model", "resnet14_w4", "--epochs", "1", "--train-examples", "100"]
# A call of each command that takes seconds, in the order in which one builds on another.
CALLS = {
    "evaluate": [*SMALL, "--attack", "smoke", "--examples", "10"],
    "train": SMALL,
    "explain": [*SMALL, "--examples", "10", "--eps", "1/16"],
    "baseline": [*SMALL, "--attack", "smoke", "--examples", "10", "--out", ".", "--replace"],
    "check": ["--baseline", "resnet14_w4-learned-learned-s0-digits-smoke.csv"],
    "sweep": ["quick", "--models", "resnet14_w4", "--seeds", "0", "--plan"],
    "status": [],
    "unshuffle": [
        "--width", "8", "--depth", "1", "--kernel", "3", "--epochs", "1", "--train-examples", "60",
        "--examples", "10",
    ],
    "bench": ["--quick", "--parts", "steps", "--examples", "2"],
    "describe": ["resnet14_w4"],
    "datasets": [],
    "sweeps": [],
    "flags": [],
    "models": [],
    "attacks": [],
    "zoo": ["--folder", "zoo"],
    "leaderboard": [],
    "claims": [],
    "report": [],
    "export": ["--attack", "autoattack", "--eps", "1/255"],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_run) -> Path:
    """One working folder with the records of a run, in which each network is trained once."""
    folder = tmp_path_factory.mktemp("output")
    run = make_run([0, 1, 2], protocol="autoattack", protocol_spec={"algorithm": "autoattack"})
    records.write(run, records.run_path(folder / "results", run.header, "k"))
    status.start(folder / "results", "quick", "1 process", [])
    (folder / "zoo").mkdir()
    return folder


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch, cached: Path, unexamined: None) -> Path:
    """In that folder, with the shared cache of checkpoints."""
    monkeypatch.chdir(folder)
    return folder


def strict(text: str) -> Any:
    """The one JSON value of a text; NaN and infinity are none."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)


@pytest.mark.quick
def test_every_command_is_called_below() -> None:
    """A new command cannot be forgotten."""
    assert CALLS.keys() == COMMANDS.keys()


@pytest.mark.quick
@pytest.mark.parametrize("name", CALLS)
def test_every_command_has_json_and_quiet(name: str) -> None:
    """Under these names, in one meaning."""
    options = {word: p.help for p in COMMANDS[name].params for word in p.opts}
    assert options["--json"] == "Print one JSON value and nothing else."
    assert options["--quiet"].startswith("Print only errors")


@pytest.mark.parametrize("name", CALLS)
def test_json_is_one_value_and_quiet_is_silent(name: str, here: Path, capfd) -> None:
    """On the real streams: what a library prints would be seen too."""
    if name == "check":
        assert cli.main(["baseline", *CALLS["baseline"], "--quiet"]) == 0
    assert cli.main([name, *CALLS[name], "--json"]) == 0
    out, err = capfd.readouterr()
    assert isinstance(strict(out), dict | list)
    assert err == ""
    assert cli.main([name, *CALLS[name], "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")


def test_quiet_keeps_errors_and_failed_checks(here: Path, capsys) -> None:
    """Silence is for what went well."""
    assert cli.main(["leaderboard", "nowhere", "--quiet"]) == 2
    assert "nowhere" in capsys.readouterr().err
    for name in ("leaderboard", "claims"):
        assert cli.main([name, "--quiet"]) == 0
        assert cli.main([name, "--check", "--quiet"]) == 0
        assert capsys.readouterr() == ("", "")
        path = here / "results" / f"{name}.md"
        path.write_text("x")
        assert cli.main([name, "--check", "--quiet"]) == 1
        assert f"{name}.md does not match the records" in capsys.readouterr().out
        assert cli.main([name, "--check", "--json"]) == 1
        assert strict(capsys.readouterr().out) == {"stale": [str(Path("results", f"{name}.md"))]}
        assert cli.main([name, "--quiet"]) == 0


def run(*words: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, without a terminal."""
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    return subprocess.run(
        [sys.executable, "-m", "robustbench_mix", *words],
        capture_output=True, text=True, cwd=folder, env={**environment, **variables},
    )  # fmt: skip


def test_no_color_without_a_terminal_or_with_the_variable(tmp_path: Path) -> None:
    """A pipe gets no escape sequences; forced colours go again where NO_COLOR is set."""
    for words in (["attacks"], ["attacks", "--nothing"]):
        for variables in ({}, {"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "xterm-256color"}):
            done = run(*words, folder=tmp_path, **variables)
            assert "\x1b[3" not in done.stdout + done.stderr
    assert "\x1b" not in run("attacks", folder=tmp_path).stdout


def complete(line: str, folder: Path) -> list[str]:
    """What bash is told for the last word of a command line."""
    count = len(line.split()) - (not line.endswith(" "))
    variables = {"COMP_WORDS": line, "COMP_CWORD": str(count)}
    done = run(folder=folder, _RBMIX_COMPLETE="complete_bash", **variables)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rbmix eval", ["evaluate"]),
        ("rbmix evaluate --exh", ["--exhaustive"]),
        ("rbmix evaluate --model resnet1", ["resnet14", "resnet18"]),
        ("rbmix evaluate --attack fg", ["fgsm"]),
        ("rbmix train --dataset ci", ["cifar10", "cifar100"]),
        ("rbmix train --spatial fro", ["frozen"]),
        ("rbmix sweep --models resnet14,resnet2", ["resnet14,resnet20", "resnet14,resnet26"]),
        ("rbmix sweep fi", ["fig8"]),
    ],
)
def test_bash_completes(line: str, words: list[str], tmp_path: Path) -> None:
    """Commands, options, and names as their values; lists go on after a comma."""
    assert complete(line, tmp_path) == words


def test_everything_named_is_offered(tmp_path: Path) -> None:
    """All models and all protocols, and nothing for what is a file."""
    assert set(catalog.MODELS) <= set(complete("rbmix train --model ", tmp_path))
    assert complete("rbmix evaluate --attack ", tmp_path) == protocols.names()
    assert complete("rbmix evaluate --attack ./mi", tmp_path) == []


def test_completion_does_not_import_torch(tmp_path: Path) -> None:
    """A key is answered at once."""
    code = (
        "import sys, atexit; atexit.register(lambda: print('torch' in sys.modules));"
        "from robustbench_mix.cli import main; main([])"
    )
    variables = {"COMP_WORDS": "rbmix train --model ", "COMP_CWORD": "3"}
    environment = {**os.environ, **variables, "_RBMIX_COMPLETE": "complete_bash"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "resnet18" in done.stdout
    assert done.stdout.split()[-1] == "False"
