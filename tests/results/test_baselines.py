"""Baselines as files, the comparison as a pure function, and what build servers are told."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from kept import HEADER, kept_of
from msgspec import structs

from robustbench_mix import cli
from robustbench_mix.config.canonical import short_hash
from robustbench_mix.config.model import Interface
from robustbench_mix.data import loaders
from robustbench_mix.data.dataset import balanced_subset
from robustbench_mix.errors import RbmixError
from robustbench_mix.evaluation import regression_gate
from robustbench_mix.evaluation.baseline_plan import baseline_plan
from robustbench_mix.results.regression import baselines
from robustbench_mix.results.regression.baselines import ELSEWHERE, Settings
from robustbench_mix.storage import reading


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


def test_settings_are_words_of_the_evaluation(run, tmp_path: Path) -> None:
    """Those that no other column tells come back as they were; most baselines have none."""
    path = tmp_path / "a.csv"
    interface = Interface(mean=(0.5,), std=(0.25,), classes=12)
    ema = Settings(weights_key="ema", ignore_weights=("aux", "b"), class_index="numbers")
    for settings in (Settings(), Settings("nets:make", interface), Settings(pretrained=True), ema):
        kept = kept_of(run)
        identity = {**kept.identity, "settings": settings.as_text()}
        identity["backend"] = "fast, exhaustive"
        baselines.write(replace(kept, identity=identity), path)
        words = baselines.read(path).words
        assert words["model"] == (settings.model or kept.identity["model"])
        assert (words["interface"], words["pretrained"]) == (
            settings.interface,
            settings.pretrained,
        )
        assert words["weights_key"] == (settings.weights_key or None)
        assert words["ignore_weights"] == settings.ignore_weights
        assert words["class_index"] == (settings.class_index or None)
        assert (words["backend"], words["exhaustive"], words["randomised"]) == ("fast", True, False)
    assert Settings().as_text() == ""


def test_a_baseline_of_format_1_is_read(checkout: Path) -> None:
    """The committed ones are: they have no settings."""
    for path in (checkout / "results" / "baselines").glob("*.csv"):
        kept = baselines.read(path)
        assert kept.identity["format"] == "1"
        assert kept.settings == Settings()
        assert kept.words["interface"] is None


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


MEAN_ALONE = '{"interface": {"mean": [0.5]}}'
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
        lambda text: resummed(text, with_value("format", "9")),
        "has format '9', this rbmix reads '1' and '2'",
    ),
    (lambda text: resummed(text, with_value("1/255", "stood")), "damaged ('stood')"),
    (lambda text: resummed(text, with_value("image", "7")), "twice in it"),
    (lambda text: resummed(text, with_value("margin", "much")), "damaged"),
    (lambda text: resummed(text, with_value("2/255", "stands")), "not nested"),
    (lambda text: resummed(text, with_value("seed", "x")), "damaged"),
    (lambda text: resummed(text, with_value("label", "9" * 30)), "damaged"),
    (lambda text: resummed(text, with_value("settings", "{")), "damaged"),
    (lambda text: resummed(text, with_value("settings", '{"code": "x"}')), "damaged"),
    (lambda text: resummed(text, with_value("settings", MEAN_ALONE)), "--mean needs --std"),
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
