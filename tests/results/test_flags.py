"""Flags as pure functions of records."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
from msgspec import structs

from robustbench_mix.results import flags
from robustbench_mix.results.headers import NetworkHeader, TransferHeader
from robustbench_mix.results.probes import Transfer

# What is measured on a network about which there is nothing to say.
SILENT = {
    "images": 40, "classes": 10, "unrepeatable": 0.0, "batch": 0.0, "changed": 0.0,
    "training": 0.0, "probabilities": 0.0, "not_finite": 0.0, "accuracy": 1.0, "rescaled": 0.5,
    "zero_gradient": 0.0, "slope": 0.9, "trained_accuracy": None,
}  # fmt: skip


def test_two_images_are_no_chance(make_run) -> None:
    """One image in 64 may fall to more steps; two are beyond 0.2 % with 95 % confidence."""
    for count, wanted in ((0, []), (1, []), (2, ["more-effort-gains"])):
        found = {**SILENT, "images": 64, "own_gained": count}
        run = make_run([2] * 64, passes={}, diagnostics=found)
        assert list(flags.of_run(run)) == wanted
    # Records from before this was measured are judged by the other APGD, as they were.
    for count, wanted in ((6, []), (9, ["more-effort-gains"])):
        found = {**SILENT, "images": 64, "attacked": 64, "gained": count}
        assert list(flags.of_run(make_run([2] * 64, passes={}, diagnostics=found))) == wanted


def test_few_images_more_are_no_other_scale(make_run) -> None:
    """One of eight is chance; what counts is how sure the gain is."""
    for images, gained, wanted in ((8, 1, []), (8, 3, ["wrong-scale"]), (64, 6, []),
                                   (64, 7, ["wrong-scale"])):  # fmt: skip
        found = {**SILENT, "images": images, "accuracy": 0.25, "rescaled": 0.25 + gained / images}
        run = make_run([2] * 4, passes={}, diagnostics=found)
        assert list(flags.of_run(run)) == wanted, (images, gained)


def test_every_flag_is_explained(checkout: Path) -> None:
    """In the documentation, and nothing that is not a flag."""
    text = (checkout / "docs" / "flags.md").read_text(encoding="utf-8")
    explained = re.findall(r"^## `(.+)`$", text, flags=re.MULTILINE)
    assert explained == [*flags.NAMES, flags.UNCHECKED]


def test_a_twin_whose_examples_fool_more(make_run) -> None:
    """Raised where the twin's examples beat the network's own, on many images."""
    n = 40
    fooled = {"first": [True] * n, "second": [True] * n}
    for made in ("first", "second"):
        for judged in ("first", "second"):
            own = made == judged
            fooled[f"pgd_{made}_{judged}"] = [[own or i < 10] for i in range(n)]
    run = make_run([2] * n, spatial="frozen", passes={}, diagnostics=SILENT)
    header = TransferHeader(
        **{name: getattr(run.header, name) for name in NetworkHeader.__struct_fields__},
        kind="transfer", eps=["1/255"], classes=["a"], shape=[1, 1, 1],
    )  # fmt: skip
    assert flags.of_run(run, [Transfer(header, pd.DataFrame(fooled))]) == {}
    fooled["pgd_second_second"] = [[i >= 20] for i in range(n)]
    fooled["pgd_first_second"] = [[True]] * n
    found = flags.of_run(run, [Transfer(header, pd.DataFrame(fooled))])
    assert list(found) == [flags.TRANSFER]
    other = Transfer(structs.replace(header, seed=9), pd.DataFrame(fooled))
    assert flags.of_run(run, [other]) == {}


def test_what_falls_to_square_or_fab_alone(make_run) -> None:
    """Raised by the records: an image or two is chance, many are masked gradients."""
    for part, flag in (("square", "square-alone"), ("fab-t", "fab-alone")):
        for count, wanted in ((1, []), (20, [flag])):
            passes = {stage: {"forward": 0, "gradient": 0} for stage in ("apgd-ce", part)}
            run = make_run([0] * count + [2] * (100 - count), passes=passes, diagnostics=SILENT)
            names = [[part, part] if at < count else ["", ""] for at in range(100)]
            run.table["component"] = names
            assert list(flags.of_run(run)) == wanted


def test_few_classes(make_run) -> None:
    """DLR-T needs four; other algorithms do not mind."""
    few = {**SILENT, "classes": 2}
    ensemble = {"algorithm": "autoattack"}
    run = make_run([2] * 9, passes={}, diagnostics=few, protocol_spec=ensemble)
    assert list(flags.of_run(run)) == ["few-classes"]
    assert flags.of_run(make_run([2] * 9, passes={}, diagnostics=few)) == {}
