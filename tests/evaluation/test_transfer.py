"""How the examples of twins fool each other."""

from __future__ import annotations

from pathlib import Path

from robustbench_mix.evaluation import transfer
from robustbench_mix.evaluation.identity import Label
from robustbench_mix.results import probes

LABEL = Label("resnet14", "frozen", "learned", 0)
EPS = ["0.01", "0.02"]


def test_a_transfer_tries_the_examples_of_both_on_both(twins, tmp_path: Path) -> None:
    """Each fools its own maker most; pictures are of images that both have right."""
    model, twin, inputs = twins
    path = transfer.transfer(LABEL, model, twin, inputs, EPS, tmp_path)
    found = probes.read_transfer(path)
    assert (found.header.classes, found.header.shape) == (list("abcd"), [2, 5, 5])
    assert found.table["second"].all()  # the network itself; the twin is the first
    own = sum(map(sum, found.table["pgd_second_second"]))
    other = sum(map(sum, found.table["pgd_first_second"]))
    assert own >= other
    assert own > 0
    shown = found.table["clean"].notna()
    assert shown.any()
    assert not (shown & ~(found.table["first"] & found.table["second"])).any()
