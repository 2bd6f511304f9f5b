"""The claims of the paper against the records: each a statement, its test, and a verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from robustbench_mix.claims import accuracy, robustness, unshuffling
from robustbench_mix.claims.claim import Claim
from robustbench_mix.claims.pairs import names_depth_multiplier
from robustbench_mix.results.records import Run
from robustbench_mix.results.unshuffling import Decoding, read_all

__all__ = ["Claim", "all_claims", "claims_of"]


def all_claims(runs: list[Run], found: list[Decoding]) -> list[Claim]:
    """Return every claim in the order of the paper, on every data set that has records for it.

    A pure function of the records. ResNets that name a depth multiplier are left to the table of
    capacity, which explains a claim and does not test one.

    Args:
        runs: All runs.
        found: All un-shufflings.
    """
    named: dict[str, tuple[list[Run], list[Decoding]]] = {}
    for run in runs:
        if names_depth_multiplier(run.header.model):
            continue
        named.setdefault(run.header.dataset, ([], []))[0].append(run)
    for one in found:
        named.setdefault(one.header.dataset, ([], []))[1].append(one)
    by_data = [
        [replace(claim, data=name) for claim in _claims(*named[name])] for name in sorted(named)
    ] or [_claims([], [])]
    tested = []
    for versions in zip(*by_data, strict=True):
        met = [claim for claim in versions if claim.findings]
        tested += met or [replace(versions[0], data="")]
    return tested


def claims_of(results: Path, runs: list[Run]) -> list[Claim]:
    """Return every claim, from these runs and the un-shufflings in the results folder."""
    return all_claims(runs, read_all(results))


def _claims(runs: list[Run], found: list[Decoding]) -> list[Claim]:
    return [
        accuracy.almost_as_well(runs),
        accuracy.not_so_channels(runs),
        accuracy.static_structure(runs),
        *(robustness.more_robust(runs, attack) for attack in robustness.ATTACKS),
        robustness.smoothing_gains(runs),
        robustness.smoothing_is_free(runs),
        unshuffling.nearly_as_well(found),
    ]
