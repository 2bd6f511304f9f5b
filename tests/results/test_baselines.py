"""Baselines as files, the comparison as a pure function, and what build servers are told."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from msgspec import structs
from scipy.stats import binomtest

from robustbench_mix import cli
from robustbench_mix.cli import render
from robustbench_mix.config.canonical import short_hash
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import balanced_subset
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import regression_gate
from robustbench_mix.evaluation.plan import baseline_plan
from robustbench_mix.results.regression import baselines, ci_report, comparison
from robustbench_mix.results.regression.baselines import ELSEWHERE, Baseline
from robustbench_mix.results.regression.comparison import Check, Verdict, compare
from robustbench_mix.storage import reading

SPEC = {"algorithm": "pgd", "options": {"steps": 40, "restarts": 5}}
HEADER = {"protocol_spec": SPEC, "backend": "fast", "diagnostics": None}


def kept_of(run, around=None, weights: str = "") -> Baseline:
    """The baseline of a run; without `around` no verdict is a close one."""
    if around is None:
        table = run.table.copy()
        for name in ("broken", "component", "norm", "inferred"):
            table[name] = [[v for v in values for _ in range(2)] for values in table[name]]
        grid = baselines.nearby_grid(run.eps, "linf")
        around = replace(run, header=structs.replace(run.header, eps=grid), table=table)
    return baselines.of_run(run, around, dataset="digits", attack="pgd", weights=weights)


@pytest.fixture
def run(make_run):
    """Twenty images: one wrong, and of the rest as many fall at each epsilon as stand."""
    correct = [False] + [True] * 19
    return make_run([2] + [0, 1, 2] * 6 + [2], correct, **HEADER)


@pytest.fixture
def path(run, tmp_path: Path) -> Path:
    """Its baseline on disk."""
    path = tmp_path / "kept.csv"
    baselines.write(kept_of(run), path)
    return path


def test_a_baseline_is_read_as_it_was_written(run, path: Path) -> None:
    """Identity, images and verdicts; one row an image, plain numbers and words."""
    kept, read = kept_of(run), baselines.read(path)
    assert read.identity == kept.identity
    for name in ("images", "stands", "clear"):
        pd.testing.assert_frame_equal(
            getattr(read, name), getattr(kept, name), check_names=False, check_index_type=False
        )
    frame = pd.read_csv(path)
    assert len(frame) == 20
    assert frame["1/255"].tolist()[:4] == ["wrong", "broken", "stands", "stands"]
    assert frame["options"].unique().tolist() == ["restarts=5 steps=40"]
    assert read.words["examples"] == 20


def test_close_calls_are_those_that_turn_nearby(make_run) -> None:
    """A verdict that 95 or 105 % of the epsilon contradict has a question mark."""
    run = make_run([0, 1, 2], **HEADER)
    grid = baselines.nearby_grid(run.eps, "linf")
    assert grid == ["19/5100", "7/1700", "19/2550", "7/850"]
    table = run.table.copy()
    # The first falls within 1.05/255 alone, the second within 2.1/255, the third never.
    table["broken"] = [[False, True, True, True], [False, False, False, True], [False] * 4]
    around = replace(run, header=structs.replace(run.header, eps=grid), table=table)
    kept = kept_of(run, around)
    assert kept.clear["1/255"].tolist() == [False, True, True]
    assert kept.clear["2/255"].tolist() == [True, False, True]
    assert baselines.nearby_grid(["1"], "linf") == ["19/20"]
    assert baselines.nearby_grid(["1"], "l2") == ["19/20", "21/20"]


def resummed(text: str, change) -> str:
    """The CSV after `change` of its rows without checksums, with a checksum that fits."""
    rows = [row[:-1] for row in csv.reader(io.StringIO(text))]
    rows = change(rows)
    buffer = io.StringIO()
    sums = ["checksum", *[short_hash(rows)] * (len(rows) - 1)]
    csv.writer(buffer, lineterminator="\n").writerows(
        [[*row, checksum] for row, checksum in zip(rows, sums, strict=True)]
    )
    return buffer.getvalue()


def with_value(name: str, value: str):
    """A change of one column in all rows."""

    def change(rows):
        at = rows[0].index(name)
        return [rows[0], *([*row[:at], value, *row[at + 1 :]] for row in rows[1:])]

    return change


def titled(name: str, other: str):
    """A change of one title."""

    def change(rows):
        return [[other if title == name else title for title in rows[0]], *rows[1:]]

    return change


DAMAGE = [
    (lambda text: "", "does not begin as a baseline"),
    (lambda text: "hello\n", "does not begin as a baseline"),
    (lambda text: text.splitlines()[0] + "\n", "cut off"),
    (lambda text: "".join(text.splitlines(True)[:-1]), "cut off: 19 of 20 images"),
    (lambda text: text[:-30], "cut off"),
    (lambda text: text.replace("broken", "stands", 1), "was edited"),
    (lambda text: text.replace(",pgd,linf", ",fgsm,linf", 1), "was edited"),
    (lambda text: text.replace('"', "").replace("image", '"image', 1), "damaged"),
    (
        lambda text: resummed(text, with_value("format", "2")),
        "has format '2', this rbmix reads '1'",
    ),
    (lambda text: resummed(text, with_value("1/255", "stood")), "damaged ('stood')"),
    (lambda text: resummed(text, with_value("image", "7")), "twice in it"),
    (lambda text: resummed(text, with_value("margin", "much")), "damaged"),
    (lambda text: resummed(text, with_value("2/255", "stands")), "not nested"),
    (lambda text: resummed(text, with_value("seed", "x")), "damaged"),
    (lambda text: resummed(text, with_value("label", "9" * 30)), "damaged"),
    (lambda text: resummed(text, with_value("margin", "nan")), "a margin is not finite"),
    (lambda text: resummed(text, with_value("model", "a\x1b[0mb")), "model 'a\\x1b[0mb' cannot"),
    (lambda text: resummed(text, with_value("weights", "\0")), "weights '\\x00' cannot be printed"),
    (lambda text: resummed(text, titled("norm", "model")), "its columns are others"),
    (lambda text: resummed(text, titled("1/255", "1")), "no epsilon grid"),
]


@pytest.mark.default
@pytest.mark.parametrize(("damage", "message"), DAMAGE, ids=[words for _, words in DAMAGE])
def test_a_damaged_baseline_is_one_line_and_exit_2(path: Path, capsys, damage, message) -> None:
    """Cut off, edited, or made of something else; found before anything is evaluated."""
    path.write_text(damage(path.read_text()))
    assert (
        cli.main(["check", "--baseline", str(path), "--junit", str(path.with_suffix(".xml"))]) == 2
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and err.startswith("rbmix: baseline")
    assert message in err
    assert not path.with_suffix(".xml").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--baseline", "nowhere.csv"], "baseline nowhere.csv does not exist"),
        (["--baseline", "{}", "--tolerance", "-1"], "tolerance -1 must be at least 0"),
        (["--baseline", "{}", "--tolerance", "x"], "'x' is not a whole number"),
        (["--baseline", "{}", "--examples", "21"], "number of examples 21 must be 1 to 20"),
        (["--baseline", "{}", "--examples", "0"], "number of examples 0 must be 1 to 20"),
        (["--baseline", "{}", "--examples", "5", "--update"], "leave out --examples 5"),
        (["--baseline", "{}", "--junit", "/proc/nowhere/x.xml"], "cannot write"),
        (["--baseline", "{}", "--weights", "nowhere.pt"], "checkpoint nowhere.pt does not exist"),
        ([], "Missing option '--baseline'"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_2(path: Path, capsys, words, message: str) -> None:
    """The line names the value and what is allowed."""
    assert cli.main(["check", *(word.format(path) for word in words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err.splitlines()[-1]


@pytest.mark.parametrize("named", ["../w.safetensors", "/w.safetensors", "a/../../w.safetensors"])
def test_weights_stay_in_the_folder(run, tmp_path: Path, named: str) -> None:
    """A baseline cannot name weights outside of its folder."""
    with pytest.raises(RbmixError, match="outside of its folder"):
        baselines.weights_of(kept_of(run, weights=named), tmp_path / "kept.csv")
    inside = baselines.weights_of(kept_of(run, weights="w/a.safetensors"), tmp_path / "kept.csv")
    assert inside == tmp_path / "w/a.safetensors"
    with pytest.raises(RbmixError, match="give the file again"):
        baselines.weights_of(kept_of(run, weights=ELSEWHERE), tmp_path / "kept.csv")


def test_weights_in_a_loop_of_links_are_refused(run, tmp_path: Path) -> None:
    """They lead nowhere, and whoever follows them says so in one line."""
    (tmp_path / "loop.pt").symlink_to(tmp_path / "loop.pt")
    with pytest.raises(RbmixError, match="loop.pt"):
        named = baselines.weights_of(kept_of(run, weights="loop.pt"), tmp_path / "kept.csv")
        reading.check_file(named, "weights", reading.MAX_WEIGHTS_BYTES)


def test_what_could_not_be_read_is_not_written(run, tmp_path: Path) -> None:
    """Words that cannot be printed are refused before there is a file."""
    with pytest.raises(RbmixError, match="weights 'a.nb' cannot be printed"):
        baselines.write(kept_of(run, weights="a\nb"), tmp_path / "kept.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.default
def test_a_baseline_of_a_whole_test_set_is_read(make_run, tmp_path: Path) -> None:
    """Ten thousand images, as CIFAR-10 has."""
    levels = [at % 3 for at in range(10_000)]
    run = make_run(levels, **HEADER)
    path = tmp_path / "kept.csv"
    baselines.write(kept_of(run), path)
    assert path.stat().st_size > reading.MAX_COMPANION_BYTES
    assert len(baselines.read(path).images) == 10_000


def test_the_images_of_a_baseline_are_those_of_its_data(make_run, tmp_path: Path) -> None:
    """A file that names the data but holds other images or labels is refused before any work."""
    split = balanced_subset(loaders.load("digits").test, 3)
    run = make_run([0, 1, 2], data_hash=split.hash, **HEADER)
    images, labels = split.index.tolist(), split.labels.tolist()
    for numbers, named in (([*images[:2], 10**6], labels), (images, [*labels[:2], 99])):
        table = run.table.assign(image=numbers, label=named, prediction=named)
        kept = kept_of(replace(run, table=table))
        path = tmp_path / "kept.csv"
        with pytest.raises(RbmixError, match="not those of its data_hash"):
            regression_gate.rerun(baseline_plan(kept, path), kept, path)


def found(verdict: Verdict) -> dict[str, str]:
    """What got worse, by the name of the check."""
    return {check.name: check.worse for check in verdict.worse}


def test_the_same_run_is_not_worse(run, path: Path) -> None:
    """Every check is asked, none finds anything, and nothing differs."""
    verdict = compare(path, baselines.read(path), run)
    names = ["protocol", "weights", "clean logits", "clean", "eps 1/255", "eps 2/255", "flags"]
    assert [check.name for check in verdict.checks] == names
    assert (found(verdict), verdict.notes) == ({}, [])


@pytest.mark.parametrize("tolerance", [0, 1, 2, 3])
@pytest.mark.parametrize(("changed", "words"), [(0, "stronger"), (2, "the attack became weaker")])
def test_with_the_same_weights_images_are_counted(
    make_run, path: Path, tolerance: int, changed: int, words: str
) -> None:
    """Two images that change sides are found where the tolerance is below two, either way."""
    levels = [2] + [0, 1, 2] * 6 + [2]
    # Images 2 and 5 fell within 2/255 alone.
    assert levels[2] == levels[5] == 1
    levels[2] = levels[5] = changed
    now = make_run(levels, [False] + [True] * 19, **HEADER)
    verdict = compare(path, baselines.read(path), now, tolerance=tolerance)
    eps = "eps 2/255" if changed == 2 else "eps 1/255"
    assert found(verdict).keys() == ({eps} if tolerance < 2 else set())
    assert all(words in worse and "(20, 50)" in worse for worse in found(verdict).values())


def test_close_calls_do_not_count(run, make_run, tmp_path: Path) -> None:
    """With the same weights a close verdict may turn; it is told, not counted."""
    kept = kept_of(run)
    kept.clear.loc[[20, 50], "2/255"] = False
    levels = [2] + [0, 1, 2] * 6 + [2]
    levels[2] = levels[5] = 2
    now = make_run(levels, [False] + [True] * 19, **HEADER)
    verdict = compare(tmp_path / "x.csv", kept, now, tolerance=0)
    assert found(verdict) == {}
    assert {check.name: check.close for check in verdict.checks}["eps 2/255"] == 2


@pytest.mark.parametrize(("lost", "gained"), [(6, 0), (7, 0), (8, 1), (9, 1), (0, 12)])
def test_other_weights_are_tested(make_run, tmp_path: Path, lost: int, gained: int) -> None:
    """One-sided exact McNemar over the images, Holm over the epsilons; a gain is no loss."""
    before = make_run([2] * 30 + [0] * 30, spatial="external", **HEADER)
    after = [0] * lost + [2] * (30 - lost) + [2] * gained + [0] * (30 - gained)
    now = make_run(after, spatial="external", checkpoint_hash="other", **HEADER)
    verdict = compare(tmp_path / "x.csv", kept_of(before), now)
    p = binomtest(lost, lost + gained, alternative="greater").pvalue
    # The clean images are the same ones: of three tests two have this p.
    assert comparison.mcnemar(lost, gained) == pytest.approx(p)
    assert found(verdict).keys() == ({"eps 1/255", "eps 2/255"} if 3 * p < 0.05 else set())
    assert verdict.checks[2].skipped == "the weights differ"
    assert compare(tmp_path / "x.csv", kept_of(before), now, tolerance=40).worse == []


def test_a_kept_checkpoint_may_not_change(run, make_run, tmp_path: Path) -> None:
    """The checkpoint of a baseline is fixed, unless another one is given in its place."""
    levels = [2] + [0, 1, 2] * 6 + [2]
    now = make_run(levels, [False] + [True] * 19, checkpoint_hash="other", **HEADER)
    place = tmp_path / "x.csv"
    assert found(compare(place, kept_of(run), now)).keys() == {"weights"}
    assert found(compare(place, kept_of(run), now, replaced=True)) == {}


def test_protocol_logits_flags_and_versions(run, make_run, tmp_path: Path) -> None:
    """A changed protocol, moved logits and a new flag are worse; another version is a note."""
    levels = [2] + [0, 1, 2] * 6 + [2]
    spec = {"algorithm": "pgd", "options": {"steps": 3, "restarts": 5}}
    header = HEADER | {"protocol_spec": spec, "protocol_hash": "q", "diagnostics": FLAGGED}
    versions = {**run.header.versions, "torch": "2.0"}
    now = make_run(levels, [False] + [True] * 19, versions=versions, **header)
    now.table.loc[3, "margin"] *= 1.1
    kept = kept_of(make_run(levels, [False] + [True] * 19, **HEADER | {"diagnostics": SOUND}))
    verdict = compare(tmp_path / "x.csv", kept, now)
    worse = found(verdict)
    assert worse.keys() == {"protocol", "clean logits", "flags"}
    assert "from 'pgd restarts=5 steps=40' to 'pgd restarts=5 steps=3'" in worse["protocol"]
    assert "1 of 20 clean images moved, by up to 10%" in worse["clean logits"]
    assert "zero-gradients: share of images without gradient: 0.5" in worse["flags"]
    assert verdict.notes == ["torch: 1.0 then, 2.0 now"]


SOUND = {
    "zero_gradient": 0.0, "slope": None, "probabilities": 0.0, "unrepeatable": 0.0, "batch": 0.0,
    "changed": 0.0, "training": 0.0, "not_finite": 0.0, "rescaled": 0.0, "accuracy": 1.0,
    "classes": 10, "images": 20, "trained_accuracy": None,
}  # fmt: skip
FLAGGED = {**SOUND, "zero_gradient": 0.5}
BAD = Check("eps 1/255", "9/20", "7/20", [3, 4], [], 0, worse="50 % worse:\n<two> & lines | more")
TOLD = [
    Verdict(Path("a,b/kept.csv"), [Check("flags", "none", "none"), BAD], ["torch: 1 then, 2 now"]),
    Verdict(Path("other.csv"), [Check("clean logits", skipped="the weights differ")], []),
]


def test_junit_is_read_back() -> None:
    """A suite for each baseline, a case for each check, with counts that agree."""
    root = ET.fromstring(ci_report.junit(TOLD))
    assert root.tag == "testsuites"
    first, second = root
    assert first.attrib == {
        "name": "kept", "tests": "2", "failures": "1", "errors": "0", "skipped": "0",
    }  # fmt: skip
    case = first.find("testcase[@name='eps 1/255']")
    assert case.get("classname") == "rbmix.kept"
    assert "<two> & lines" in case.find("failure").get("message")
    assert "lost: 3, 4" in case.find("failure").text
    assert second.find("testcase/skipped").get("message") == "the weights differ"


def test_names_are_no_markup(capsys) -> None:
    """What a baseline says is shown as it is, whatever it means to the terminal's library."""
    checks = [Check("protocol", "[/]", "[red]x[/red]"), Check("flags", ":smile:", "none")]
    render.verdicts([Verdict(Path("[bold]a.csv"), checks, [])], [])
    shown = capsys.readouterr().out
    assert all(words in shown for words in ("[/]", "[red]x[/red]", ":smile:", "[bold]a.csv"))


def test_build_servers_get_names_that_can_be_written() -> None:
    """XML has no control characters, and UTF-8 no halves of a pair: a file may be named so."""
    told = [replace(TOLD[0], path=Path("a\x1b\udcff.csv"))]
    (suite,) = ET.fromstring(ci_report.junit(told))
    assert suite.get("name") == r"a\x1b\udcff"
    assert r"a\x1b\udcff" in ci_report.summary(told)
    assert all(line.isprintable() for line in ci_report.workflow_commands(told))


def test_github_commands_are_escaped() -> None:
    """One line each, whatever the message holds."""
    (line,) = ci_report.workflow_commands(TOLD)
    assert line == (
        "::error file=a%2Cb/kept.csv,title=rbmix check%3A eps 1/255::"
        "50 %25 worse:%0A<two> & lines | more"
    )


def test_the_summary_is_a_table() -> None:
    """As many cells in every line of it as titles, and what is worse below."""
    text = ci_report.summary(TOLD)
    rows = [row for row in text.splitlines() if row.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {len(ci_report.COLUMNS) + 1}
    assert "### rbmix check: kept: got worse" in text
    assert "- torch: 1 then, 2 now" in text


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_power_agrees_with_simulation(share: float) -> None:
    """The stated probabilities are those of the checks themselves, over drawn images."""
    random = np.random.default_rng(0)
    lost = random.random((4000, 64)) < share
    same = (lost.sum(1) > 1).mean()
    assert comparison.power_same_weights(64, share) == pytest.approx(same, abs=0.03)
    gained = ~lost & (random.random((4000, 64)) < 0.02 / (1 - share))
    pairs = list(zip(lost.sum(1).tolist(), gained.sum(1).tolist(), strict=True))
    red = [a - b > 1 and 4 * comparison.mcnemar(a, b) < 0.05 for a, b in pairs]
    assert comparison.power_other_weights(64, share, 0.02, levels=4) == pytest.approx(
        np.mean(red), abs=0.03
    )


def test_the_stated_power_is_what_is_computed(checkout: Path) -> None:
    """Every row of the tables in the docs."""
    text = (checkout / "docs/regression-gate.md").read_text()
    table = text[text.index("| images that change") :].split("\n\n")[0].splitlines()[2:]
    assert len(table) == 6
    for row in table:
        share, *stated = [int(cell.removesuffix(" % ")) / 100 for cell in row.split("|")[1:-1]]
        found = [comparison.power_same_weights(60, share)]
        found += [
            comparison.power_other_weights(64, share, gained, levels=4) for gained in (0.0, 0.05)
        ]
        assert stated == [round(p, 2) for p in found]
