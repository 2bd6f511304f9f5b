"""The documentation: every command in it exists and runs, and the reference is current."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
import typer.cli
from safetensors.torch import save_file
from typer.testing import CliRunner

from robustbench_mix import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# What needs a network, or hours: weights from the hub, a whole benchmark.
LEFT_OUT = ("--pretrained", "bench")
# What "mypackage.nets" stands for.
NETS = """
from torch import nn

def make():
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(8), nn.Flatten(2), nn.AdaptiveAvgPool1d(64), Grey(), nn.Linear(64, 10)
    )

class Grey(nn.Module):
    def forward(self, x):
        return x.mean(1)
"""


def commands(page: Path) -> list[list[str]]:
    """The words of every `rbmix` command in a page's blocks of shell."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        for text in block.replace("\\\n", " ").splitlines():
            words = shlex.split(text, comments=True)
            if words and Path(words[0]).name == "rbmix":
                found.append(words[1:])
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_can_be_given(page: Path) -> None:
    """The command line knows each command, option and kind of value."""
    group: Any = typer.main.get_command(cli.app)
    for name, *words in commands(page):
        if name.startswith("--"):
            continue
        group.commands[name].make_context(name, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_is_missed(page: Path) -> None:
    """Every line of a block that begins with the command's name is one of those checked."""
    blocks = re.findall(r"^```.*?^```", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = re.findall(r"^(?:\S+/)?rbmix (.*)", "\n".join(blocks), re.M)
    found = commands(page)
    assert len(found) == len(lines)
    assert [words[0] for words in found] == [line.split()[0] for line in lines]


def test_the_readme_gives_the_answers_of_the_claims() -> None:
    """The three sentences are those of the page that `rbmix claims results` writes."""
    claims = (ROOT / "results" / "claims.md").read_text(encoding="utf-8")
    answers = [line for line in claims.splitlines() if line.startswith("- **")]
    assert len(answers) == 3
    assert "\n".join(answers) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_reference_is_current() -> None:
    """typer writes it: `typer robustbench_mix.cli utils docs --name rbmix --output docs/cli.md`."""
    words = ["robustbench_mix.cli", "utils", "docs", "--name", "rbmix"]
    made = CliRunner().invoke(typer.cli.app, words).stdout
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written.strip() == made.strip()
    assert "\\`" not in written
    for name in typer.main.get_command(cli.app).commands:  # type: ignore[attr-defined]
        assert f"## `rbmix {name}" in written


def test_the_pages_name_files_that_exist() -> None:
    """Every file of the package, the tests or the protocols that a page names."""
    named = [
        (page.name, path)
        for page in [*PAGES, ROOT / "CONTRIBUTING.md"]
        for path in re.findall(
            r"\b((?:robustbench_mix|tests|attacks)/[\w./-]+\.(?:py|toml|md))\b",
            page.read_text(encoding="utf-8"),
        )
    ]
    assert len(named) > 30
    assert [one for one in named if not (ROOT / one[1]).is_file()] == []


@pytest.mark.slow
@pytest.mark.timeout(1800)  # AutoAttack on a ResNet-18, and a sweep
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_runs(page: Path, tmp_path: Path, monkeypatch, capsys, write_cifar10) -> None:
    """In the page's order, in a folder that holds what is the reader's own, on a tiny CIFAR-10."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RBMIX_HOME", str(tmp_path / "home"))
    write_cifar10(tmp_path / "home" / "data")
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "nets.py").write_text(NETS)
    save_file({"4.weight": torch.randn(10, 64), "4.bias": torch.zeros(10)}, "weights.safetensors")
    for words in commands(page):
        if any(word in LEFT_OUT for word in words):
            continue
        assert cli.main(words) == 0, words
        capsys.readouterr()
