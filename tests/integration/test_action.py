"""The GitHub Action of the regression gate: what it runs, and how the pages say to use it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from robustbench_mix import cli

RECORDER = '#!/usr/bin/env bash\nfor word in "$@"; do printf "%s\\n" "$word"; done > words.txt\n'


@pytest.fixture
def action(checkout: Path) -> dict[str, Any]:
    """The action, as GitHub reads it."""
    return yaml.safe_load((checkout / ".github/actions/check/action.yml").read_text())


@pytest.fixture
def words(action: dict[str, Any], tmp_path: Path):
    """A function: the words that the action gives to rbmix, for its inputs."""
    (tmp_path / "bin").mkdir()
    for name in ("rbmix", "python"):
        (tmp_path / "bin" / name).write_text(RECORDER)
        (tmp_path / "bin" / name).chmod(0o755)

    def run(step: str, **inputs: str) -> list[str]:
        (script,) = (one for one in action["runs"]["steps"] if one.get("name") == step)
        given = {name: str(one["default"]) for name, one in action["inputs"].items()}
        given |= {name.replace("_", "-"): text for name, text in inputs.items()}
        variables = {
            variable: given[re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", text)[1]]
            for variable, text in script["env"].items()
        }
        path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script["run"]], check=True, cwd=tmp_path,
            env={**os.environ, **variables, "PATH": path, "GITHUB_ACTION_PATH": "/a/b/c/d"},
        )  # fmt: skip
        return (tmp_path / "words.txt").read_text().splitlines()

    return run


@pytest.mark.default
def test_the_action_checks_every_baseline(words, tmp_path: Path) -> None:
    """All files of the pattern, with a report; the command line knows every word."""
    (tmp_path / "baselines").mkdir()
    files = [f"baselines/{name}.csv" for name in ("a", "b")]
    for name in files:
        (tmp_path / name).write_text("")
    named = ["--baseline", files[0], "--baseline", files[1]]
    step = "Did anything get worse?"
    assert words(step) == ["check", *named, "--junit", "robustness.xml"]
    more = {"weights": "my weights.pt", "fail_under": "0.95@0 0.40@4/255", "report": ""}
    found = words(step, **more, options="--tolerance 2 --batch-size 8")
    least = ["--fail-under", "0.95@0", "--fail-under", "0.40@4/255"]
    rest = ["--weights", "my weights.pt", "--tolerance", "2", "--batch-size", "8"]
    assert found == ["check", *named, *least, *rest]
    group: Any = typer.main.get_command(cli.app)
    group.commands["check"].make_context("check", found[1:])


@pytest.mark.default
def test_inputs_are_no_code(words, tmp_path: Path) -> None:
    """Whatever they contain, it stays a word."""
    found = words("Did anything get worse?", weights="$(touch x); `touch x`", baselines="a;touch")
    assert found[1:3] == ["--baseline", "a;touch"]
    assert "$(touch x); `touch x`" in found
    assert not (tmp_path / "x").exists()


@pytest.mark.default
def test_the_action_installs_itself(words) -> None:
    """From the checkout that the action lies in, and what the network imports."""
    install = ["-m", "pip", "install", "--quiet", "/a/b/c/d/../../.."]
    assert words("Install rbmix") == install
    assert words("Install rbmix", install=". timm") == [*install, ".", "timm"]


def test_the_action_lies_three_folders_deep(action: dict[str, Any], checkout: Path) -> None:
    """So that it finds what it installs."""
    folder = checkout / ".github/actions/check"
    assert (folder / "../../.." / "pyproject.toml").is_file()
    assert "::" not in json.dumps(action)


def test_our_own_workflow_uses_it(action: dict[str, Any], checkout: Path) -> None:
    """On the committed baselines, with inputs that it has."""
    workflow = yaml.safe_load((checkout / ".github/workflows/ci.yml").read_text())
    (step,) = (
        one
        for job in workflow["jobs"].values()
        for one in job["steps"]
        if one.get("uses") == "./.github/actions/check"
    )
    assert set(step["with"]) <= set(action["inputs"])
    assert list(checkout.glob(step["with"]["baselines"]))


def test_the_page_shows_a_use_of_three_lines(action: dict[str, Any], checkout: Path) -> None:
    """That GitHub could read, with inputs that the action has."""
    page = (checkout / "docs" / "regression-gate.md").read_text()
    (use,) = re.findall(r"^```yaml\n(- uses: .*?)^```", page, re.M | re.S)
    assert len(use.splitlines()) == 3
    (step,) = yaml.safe_load(use)
    assert step["uses"].endswith("/.github/actions/check@main")
    assert set(step["with"]) <= set(action["inputs"])
    table = set(re.findall(r"^\| `([\w-]+)` \|", page, re.M))
    assert set(action["inputs"]) <= table
