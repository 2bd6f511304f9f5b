"""Fill a zoo, list it, and attack one of its networks."""

from __future__ import annotations

import json
from pathlib import Path

import networks
import pytest

from robustbench_mix import cli, evaluate
from robustbench_mix.errors import RbmixError
from robustbench_mix.results import records

FROZEN = "resnet14_w4-frozen-learned-s0-digits"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """A working folder, and the name of a zoo in it that is not yet there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RBMIX_ZOO", str(tmp_path / "zoo"))
    return tmp_path


def rbmix(capsys, *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process: exit code, standard output, standard error."""
    code = cli.main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_fill_list_and_check(here: Path, capsys) -> None:
    """The table is derived: a stale one is named, exit code 1, and written anew."""
    files = [str(networks.path(name)) for name in ("frozen", "learned")]
    code, out, _ = rbmix(capsys, "zoo", *files, "--json")
    assert code == 0
    assert len(json.loads(out)["paths"]) == 3
    code, out, _ = rbmix(capsys, "models", "--trained")
    assert code == 0
    assert f"zoo:{FROZEN}" in out
    listed = json.loads(rbmix(capsys, "models", "--trained", "--json")[1])
    assert listed[0]["name"] == FROZEN
    assert rbmix(capsys, "zoo", "--check")[0] == 0
    (here / "zoo" / f"{FROZEN}.safetensors").unlink()
    code, out, _ = rbmix(capsys, "zoo", "--check")
    assert code == 1
    assert "zoo.csv does not match the networks (rbmix zoo rewrites it)" in out
    assert rbmix(capsys, "zoo")[0] == 0
    assert rbmix(capsys, "zoo", "--check")[0] == 0


@pytest.mark.usefixtures("unexamined")
@pytest.mark.default
def test_a_network_of_the_zoo_is_attacked(here: Path, capsys) -> None:
    """Its words follow from its name; two people attack the same bits."""
    rbmix(capsys, "zoo", str(networks.path("frozen")))
    words = ["--attack", "smoke", "--examples", "10", "--out", "out"]
    code, _, _ = rbmix(capsys, "evaluate", "--weights", f"zoo:{FROZEN}", *words)
    assert code == 0
    (run,) = records.read_all(here / "out")
    header = run.header
    assert (header.model, header.spatial, header.channel) == ("resnet14_w4", "frozen", "learned")
    assert header.checkpoint_hash == "68cb11770066"
    found = evaluate("resnet14_w4", protocol="smoke", weights=f"zoo:{FROZEN}", examples=10)
    assert found.run.header.checkpoint_hash == header.checkpoint_hash
    with pytest.raises(RbmixError, match="has model resnet14_w4, not resnet14"):
        evaluate("resnet14", protocol="smoke", weights=f"zoo:{FROZEN}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["models", "--trained"], "is no folder (RBMIX_ZOO names"),
        (["evaluate", "--weights", "zoo:a"], "is no folder (RBMIX_ZOO names"),
        (["zoo", "no.safetensors"], "cannot read checkpoint no.safetensors"),
        (["zoo", "--check", "a.safetensors"], "--check only compares"),
        (["zoo", "--check"], "zoo is no folder"),
        (["zoo", "--folder", "s3://a/b"], "is a URL; --folder names a folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(here: Path, capsys, arguments, said: str) -> None:
    """A zoo that is not there, a file that is not there, a folder that cannot be filled."""
    code, out, err = rbmix(capsys, *arguments)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1]
    assert not (here / "zoo").exists()
