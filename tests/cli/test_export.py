"""The command that makes an entry for RobustBench: which run it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robustbench_mix.results import records


@pytest.fixture
def results(tmp_path: Path, make_run) -> Path:
    """Twins under AutoAttack, and one of them under PGD."""
    folder = tmp_path / "results"
    spec = {"algorithm": "autoattack"}
    for levels, header in (
        ([0, 1, 2, 2], {"spatial": "learned", "protocol": "autoattack", "protocol_spec": spec}),
        ([1, 1, 2, 2], {"spatial": "frozen", "protocol": "autoattack", "protocol_spec": spec}),
        ([2, 2, 2, 2], {"spatial": "frozen"}),
    ):
        run = make_run(levels, **header)
        records.write(run, records.run_path(folder, run.header, "k"))
    return folder


def test_options_choose_the_run(rbmix, results: Path, tmp_path: Path) -> None:
    """Of a folder; what is not known of the paper is listed and marked."""
    words = ["export", results, "--spatial", "frozen", "--eps", "1/255", "--out", tmp_path / "mi"]
    code, out, _ = rbmix(*words, "--name", "T", "--no-additional-data", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["entry"]["autoattack_acc"] == "100.00"
    assert (found["entry"]["name"], found["entry"]["additional_data"]) == ("T", False)
    assert set(found["to_fill"]) == {"link", "authors", "venue"}
    (path,) = map(Path, found["paths"])
    assert json.loads(path.read_text()) == found["entry"]


def test_a_file_is_its_run(rbmix, results: Path, tmp_path: Path) -> None:
    """Whatever the other options say."""
    (path,) = results.glob("runs/*/*learned-learned*.parquet")
    words = ["export", path, "--eps", "1/255", "--model-id", "Me2025", "--out", tmp_path / "mi"]
    code, out, _ = rbmix(*words)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"wrote {tmp_path / 'mi' / 'digits' / 'Linf' / 'Me2025.json'}"
    assert (
        "flag unchecked: no diagnostics in its records (`rbmix flags unchecked` explains it)"
        in lines
    )
    assert lines[-1].startswith("still to be filled: ")


def test_a_model_without_such_a_run_is_not_unknown(rbmix, results: Path, make_run) -> None:
    """The attack is missing, not the model; of a name that no run has the nearest is told."""
    run = make_run([1, 1, 2, 2], model="resnet20", protocol="fgsm")
    records.write(run, records.run_path(results, run.header, "k"))
    code, _, err = rbmix("export", results, "--model", "resnet20")
    line = f"no run in {results} with model resnet20 has protocol autoattack (there are: fgsm)"
    assert (code, err) == (2, f"rbmix: {line}\n")
    code, _, err = rbmix("export", results, "--model", "resnet26")
    assert code == 2
    assert err.startswith(f"rbmix: no run in {results} has model resnet26; did you mean 'resnet2")


def test_several_runs_are_no_run(rbmix, results: Path, tmp_path: Path) -> None:
    """One line, exit code 2, nothing written."""
    code, out, err = rbmix("export", results, "--eps", "1/255", "--out", tmp_path / "mi")
    assert (code, out) == (2, "")
    assert "2 runs fit" in err
    assert not (tmp_path / "mi").exists()
