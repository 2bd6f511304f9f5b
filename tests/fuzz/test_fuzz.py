"""Bad input by the thousand: everything is read or refused, in one line, and nothing is left.

The inputs are drawn here; `tests/fuzz/fuzz.py` lets coverage guide them, for minutes and hours.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import fuzz_choices
import fuzz_oracle
import pytest
from fuzz_targets import TARGETS, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustbench_mix.errors import RbmixError

pytestmark = pytest.mark.default

FUZZ = Path(__file__).parent
CORPUS = sorted(path for path in (FUZZ / "corpus").glob("*/*") if path.is_dir())
# Where one input takes long, fewer are drawn.
EXAMPLES = dict.fromkeys(("arguments", "training", "model_info", "baseline"), 25) | dict.fromkeys(
    ("sweep", "records", "probes", "decodings"), 15
)


@pytest.mark.parametrize("name", TARGETS)
def test_drawn_inputs(name: str, home: Path) -> None:
    """A few dozen for each kind of input, most of them valid but for one to three changes."""
    outcomes = set()

    @settings(max_examples=EXAMPLES.get(name, 60), suppress_health_check=list(HealthCheck))
    @given(st.binary(min_size=4, max_size=128))
    def one(raw: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            outcomes.add(run(name, raw, Path(folder)))

    one()
    # An oracle that refuses everything, or nothing, would look at little.
    assert outcomes == {"done", "refused"} or name == "arguments"


@pytest.mark.parametrize("name", TARGETS)
def test_an_input_without_changes_is_read(name: str, tmp_path: Path, home: Path) -> None:
    """What the changes start from is valid, so that they are what is refused."""
    if name != "arguments":  # all of these end where the work would begin
        assert run(name, b"", tmp_path) == "done"


@pytest.mark.quick
@pytest.mark.parametrize("case", CORPUS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_broke_it(case: Path, tmp_path: Path, home: Path) -> None:
    """Every input that was ever found keeps to the rules."""
    folder = tmp_path / "case"
    shutil.copytree(case, folder)
    assert TARGETS[case.parent.name].read(folder) in ("done", "refused")


@pytest.mark.quick
def test_the_corpus_is_ours_and_small() -> None:
    """Each kind of input that was broken has its cases; a case is a few kilobytes."""
    assert CORPUS
    assert {path.parent.name for path in CORPUS} <= TARGETS.keys()
    for case in CORPUS:
        assert sum(file.stat().st_size for file in case.rglob("*") if file.is_file()) < 40_000


def raising(error: BaseException):
    """A call that raises it."""

    def call() -> None:
        raise error

    return call


@pytest.mark.quick
@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), RecursionError(), Warning("x")])
def test_the_oracle_notices_other_errors(error: Exception, tmp_path: Path) -> None:
    """Anything but an RbmixError passes through it; that one is an answer."""
    with pytest.raises(type(error)):
        fuzz_oracle.check(raising(error), tmp_path)
    assert fuzz_oracle.check(raising(RbmixError("no\n\x1b[31m")), tmp_path) == "refused"


@pytest.mark.quick
def test_the_oracle_notices_what_is_left(tmp_path: Path, monkeypatch, capsys) -> None:
    """Half-written files, hangs, more than one line, and exit codes of a crash."""
    (tmp_path / ".a.parquet.x.part").write_text("half")
    with pytest.raises(AssertionError, match="half-written"):
        fuzz_oracle.check(lambda: None, tmp_path)
    monkeypatch.setattr(fuzz_oracle, "SECONDS", -1.0)
    with pytest.raises(AssertionError, match="too slow"):
        fuzz_oracle.check(lambda: None, tmp_path)

    def command(said: str, code: int):
        def main(arguments: list[str]) -> int:
            sys.stderr.write(said)
            return code

        return main

    for said, code in (("", 2), ("rbmix: a\nrbmix: b\n", 2), ("rbmix: \x1b[0m\n", 2), ("", 3),
                       ("Traceback\nrbmix: a\n", 2), ("rbmix: a\n", 0)):  # fmt: skip
        monkeypatch.setattr(fuzz_oracle.cli, "main", command(said, code))
        with pytest.raises(AssertionError):
            fuzz_oracle.check_command([], tmp_path)


@pytest.mark.quick
def test_choices_reach_every_value() -> None:
    """Bytes decide everything, and without any nothing is changed."""
    table = {"a": [1, {"b": "c"}], "d": 0.5}
    assert fuzz_choices.mutated(table, fuzz_choices.Choices(b"")) == table
    assert fuzz_choices.mangled(b"abc", fuzz_choices.Choices(b"")) == b"abc"
    seen = {
        repr(fuzz_choices.mutated(table, fuzz_choices.Choices(bytes([1, 0, *rest]))))
        for rest in product(range(4), repeat=4)
    }
    empty = ("''", "{'a': '', 'd': 0.5}", "{'a': ['', {'b': 'c'}], 'd': 0.5}",
             "{'a': [1, {'b': ''}], 'd': 0.5}", "{'a': [1, {'b': 'c'}], 'd': ''}")  # fmt: skip
    assert seen.issuperset(empty)
    assert seen.issuperset(["{'d': 0.5}", "{'a': [1, {'b': 'c'}]}", repr(table)])
    assert table == {"a": [1, {"b": "c"}], "d": 0.5}


@pytest.mark.slow
def test_coverage_guided(tmp_path: Path) -> None:
    """A few hundred inputs of each kind through atheris, where it installs."""
    pytest.importorskip("atheris", reason="atheris does not install here")
    command = [sys.executable, str(FUZZ / "fuzz.py"), "all", "--runs", "300", "--found"]
    done = subprocess.run([*command, f"{tmp_path}/"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert not list(tmp_path.iterdir())
