"""Notebooks as people write them who know other libraries and have not read the documentation."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib import pyplot

pytestmark = pytest.mark.default

NOTEBOOKS = sorted(Path(__file__).with_name("notebooks").glob("*.py"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_without_a_traceback(notebook: Path, tmp_path, monkeypatch) -> None:
    """Its cells in order in one namespace; what they find out is asserted in them."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    cells = notebook.read_text(encoding="utf-8").split("\n# %%")[1:]
    assert len(cells) >= 5
    with mpl.rc_context():
        mpl.use("agg")
        for number, cell in enumerate(cells):
            exec(compile(f"#{cell}", f"{notebook.stem}, cell {number}", "exec"), names)
    pyplot.close("all")
    assert "assert " in notebook.read_text(encoding="utf-8")


def test_three_kinds_of_people_are_there() -> None:
    """Those who know foolbox, RobustBench, and PyTorch alone."""
    assert [path.stem for path in NOTEBOOKS] == ["foolbox_user", "pytorch_user", "robustbench_user"]
