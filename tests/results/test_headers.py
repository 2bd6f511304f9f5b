"""Headers are typed, and the JSON of every committed record keeps its bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import structs

from robustbench_mix.errors import RbmixError
from robustbench_mix.results import probes, records, unshuffling
from robustbench_mix.results.headers import (
    Diagnostics,
    ProbeHeader,
    RunHeader,
    RunIdentity,
    TransferHeader,
    UnshufflingHeader,
)
from robustbench_mix.storage import parquet_table, validation

KINDS = {
    "runs/*/*.parquet": RunHeader,
    "probes/*/probe-*.parquet": ProbeHeader,
    "probes/*/transfer-*.parquet": TransferHeader,
    "unshuffle/*/*.parquet": UnshufflingHeader,
}


def raw_header(path: Path) -> bytes:
    """The JSON in the metadata of a Parquet file."""
    from pyarrow import parquet

    return bytes(parquet.read_metadata(path).metadata[parquet_table.KEY])


@pytest.mark.parametrize("pattern", KINDS)
def test_committed_headers_keep_their_bytes(pattern: str, checkout: Path) -> None:
    """Decoded and encoded again: order, absent fields and the form of numbers stay."""
    paths = sorted((checkout / "results").glob(pattern))
    assert paths
    for path in paths:
        raw = raw_header(path)
        header = validation.decode(json.loads(raw), KINDS[pattern], str(path))
        assert validation.encode(header).encode() == raw, path


def test_records_are_written_with_the_same_header(checkout: Path, tmp_path: Path) -> None:
    """One of each kind, through reading and writing."""
    results = checkout / "results"
    run = min(results.glob("runs/*/*.parquet"))
    records.write(records.read(run), tmp_path / "run.parquet")
    assert raw_header(tmp_path / "run.parquet") == raw_header(run)
    for pattern, read in (
        ("probes/*/probe-*.parquet", probes.read_probe),
        ("probes/*/transfer-*.parquet", probes.read_transfer),
        ("unshuffle/*/*.parquet", unshuffling.read),
    ):
        path, copy = min(results.glob(pattern)), tmp_path / "copy.parquet"
        found = read(path)
        parquet_table.write(copy, found.header, found.table, {})
        assert raw_header(copy) == raw_header(path)


def test_what_is_absent_stays_absent(make_run) -> None:
    """Fields that older records lack are left out; training that nobody knows is null."""
    header = make_run([0], train_examples=None, epochs=None).header
    plain = json.loads(validation.encode(header))
    assert plain["train_examples"] is None
    assert plain["epochs"] is None
    assert not plain.keys() & {"backend", "adversarial", "weights", "audit", "diagnostics"}
    del plain["train_examples"], plain["epochs"]
    assert validation.decode(plain, RunHeader, "x") == header


def test_a_file_may_know_more(make_run) -> None:
    """Fields of later versions do not keep a record from being read."""
    header = make_run([0]).header
    plain = {**json.loads(validation.encode(header)), "later": [1, {"a": "b"}]}
    assert validation.decode(plain, RunHeader, "x") == header


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n = 0: expected int >= 1"),
        ({"seed": True}, "seed = True: expected int, got bool"),
        ({"model": None}, "model = None: expected str, got null"),
        ({"model": "x" * 300}, "expected str of length <= 255"),
        ({"dataset": "a\x1bb"}, r"dataset = 'a\x1bb' cannot be printed"),
        ({"spatial": "learnd"}, "unknown spatial 'learnd'; did you mean 'learned'?"),
        ({"channel": "same"}, "unknown channel 'same' (allowed: learned, frozen, external)"),
        ({"norm": "l7"}, "unknown norm 'l7'"),
        ({"backend": "slow"}, "unknown backend 'slow'"),
        ({"eps": ["2/255", "1/255"]}, "eps = ['2/255', '1/255'] does not ascend"),
        ({"protocol_spec": {}}, "missing required field algorithm"),
        ({"passes": {"pgd": {"forward": -1, "gradient": 0}}}, "expected int >= 0"),
        ({"audit": [{"sampled": 1, "broken": 0, "bound": 2.0}] * 2}, "audit[0].bound = 2.0"),
        ({"audit": [{"sampled": 1, "broken": 0, "bound": 0.5}]}, "an audit of another grid"),
        (
            {
                "audit": [
                    {
                        "sampled": 2,
                        "broken": 0,
                        "bound": 0.1,
                        "strata": [{"standing": 1, "sampled": 2, "broken": 0}],
                    }
                ]
            },
            "a stratum with more images broken than sampled, or than stood",
        ),
    ],
)
def test_errors_name_the_field_and_its_value(make_run, change, message: str) -> None:
    """In one line, with the file and what is allowed."""
    plain = {**json.loads(validation.encode(make_run([0]).header)), **change}
    with pytest.raises(RbmixError) as error:
        validation.decode(plain, RunHeader, "records a.parquet are damaged")
    assert str(error.value).startswith("records a.parquet are damaged (header: ")
    assert message in str(error.value).replace("\\\\", "\\")
    assert "\n" not in str(error.value)


def test_diagnostics_count_attacked_images() -> None:
    """No count is larger than the number of images that were attacked."""
    quiet = dict.fromkeys(
        ("unrepeatable", "batch", "changed", "training", "probabilities", "not_finite",
         "accuracy", "rescaled", "zero_gradient"), 0.0,
    )  # fmt: skip
    known = {**quiet, "images": 4, "classes": 10, "slope": None, "trained_accuracy": None}
    Diagnostics(**known, attacked=3, gained=3)
    with pytest.raises(RbmixError, match="than were attacked"):
        Diagnostics(**known, attacked=3, gained=4)


def test_extending_a_header(make_run) -> None:
    """An identity becomes the header of a run, with the fields that came out."""
    header = make_run([0]).header
    fields = {name: getattr(header, name) for name in RunIdentity.__struct_fields__}
    identity = RunIdentity(**fields)
    assert validation.extend(identity, RunHeader, passes=header.passes) == header
    assert structs.replace(identity, seed=1).seed == 1


def test_fields_by_name_are_deprecated(make_run) -> None:
    """Scripts that read a header as a dictionary go on, with a warning."""
    header = make_run([0]).header
    with pytest.warns(DeprecationWarning, match=r"header\['norm'\] is deprecated: use header.norm"):
        assert header["norm"] == header.norm
    with pytest.warns(DeprecationWarning), pytest.raises(KeyError, match="keys"):
        header["keys"]
