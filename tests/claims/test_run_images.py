"""What the report knows of each run's images."""

from __future__ import annotations

import json

from measured import make_transfer

from robustbench_mix.claims.report import run_images


def read(runs, transfers=()) -> dict:
    """What a browser gets."""
    return json.loads(run_images.as_json(runs, list(transfers)))


def test_each_image_has_its_fate(make_run) -> None:
    """The grid index that breaks it; the class that a misclassified one is taken for."""
    run = make_run([0, 1, 2, 2], [True, True, True, False])
    found = read([run], [make_transfer()])
    (one,) = found["runs"]
    assert one["fate"] == "012-"
    assert one["said"] == [1]
    assert found["sets"][one["set"]] == {"image": [0, 10, 20, 30], "label": [0] * 4}
    assert found["classes"] == {"digits": ["a", "b"]}
    assert one["values"][:2] == [["0", 75.0, 30.1, 95.4], ["1/255", 50.0, 15.0, 85.0]]
    facts = dict(one["facts"])
    assert facts["flags"] == "unchecked: no diagnostics in its records"
    assert facts["hashes"] == "weights c, protocol p, data d"


def test_images_that_runs_share_are_there_once(make_run) -> None:
    """By the hash of the data."""
    runs = [make_run([0, 1]), make_run([2, 2], spatial="frozen"), make_run([0], data_hash="e")]
    assert list(read(runs)["sets"]) == ["d", "e"]


def test_many_images_are_thinned_evenly(make_run, monkeypatch) -> None:
    """So that all classes stay, and the page stays small."""
    found = read([make_run([0] * 1203)])
    images = next(iter(found["sets"].values()))["image"]
    assert len(images) == len(found["runs"][0]["fate"]) == 401
    assert images[:3] == [0, 30, 60]
    assert found["runs"][0]["of"] == 1203
    monkeypatch.setattr(run_images, "MAX_IN_ALL", 20)
    found = read([make_run([0] * 30), make_run([0] * 30, spatial="frozen")])
    assert [len(run["fate"]) for run in found["runs"]] == [10, 10]


def test_names_do_not_end_the_script(make_run) -> None:
    """A name that is markup stays a name."""
    run = make_run([0], model="</script><b>")
    text = run_images.as_json([run], [])
    assert "<" not in text
    assert read([run])["runs"][0]["model"] == "</script><b>"
