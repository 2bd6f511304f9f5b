"""Audit: the whole ensemble on a random sample of what stands, and a bound for the rest.

Every image meets the cheap stages. Those that stand are divided into strata by the margin that the
cheap stages reached, nearest to the boundary first, and in each stratum by the epsilon they stand
at. From each part a simple random sample meets the other stages. While none of the sample falls,
what they would break of the others is bounded exactly (`intervals.missed_at_most`).

Once an image falls, its stratum and all nearer ones meet the stages in full; with the second in a
stratum beyond the nearest, or one in the farthest, all images do. The bound is then that of the
strata that are left. It keeps its confidence: to fail, it needs a sample without a hit in all
strata beyond some fixed one, which is as unlikely as the bound says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from robustbench_mix.attacks.base import Stage
from robustbench_mix.attacks.streams import stream
from robustbench_mix.evaluation.state import State
from robustbench_mix.results.headers import Audit, AuditStratum
from robustbench_mix.results.intervals import SampledPart, missed_at_most

NEARER = (0.03, 0.2)  # shares of the standing images that are nearer than each next stratum
STRATA = len(NEARER) + 1


def bound_of(stages: Sequence[Stage]) -> float:
    """Return the share of images that the audit may leave in doubt, 0 if no stage asks for one."""
    return max((stage.bound for stage in stages), default=0.0)


def is_due(state: State) -> bool:
    """Return whether the cheap stages are over and no sample is drawn yet."""
    return max(state.stratum, default=-1) < 0 and all(
        not correct or level == 0 or cheap >= 0
        for correct, level, cheap in zip(state.correct, state.level, state.cheap, strict=True)
    )


def draw_sample(state: State, index: Sequence[int], bound: float, seed: int) -> None:
    """Divide the standing images into strata and draw the sample of each.

    Args:
        state: The state when the cheap stages are over; `stratum` and `sampled` are set.
        index: The number of each image in its data set.
        bound: The share of all images that may be in doubt if none of the sample falls.
        seed: Seed of the run.
    """
    draws = {row: stream(seed, "audit", index[row]) for row in _standing(state)}
    nearest_first = sorted(draws, key=lambda row: (state.reached[row], draws[row]))
    for place, row in enumerate(nearest_first):
        state.stratum[row] = sum((place + 0.5) / len(draws) > share for share in NEARER)
    allowed = int(bound * len(state.level) + 1e-9)
    for (stratum, level), size in _sizes(state, allowed).items():
        part = [row for row in draws if (state.stratum[row], state.cheap[row]) == (stratum, level)]
        for row in sorted(part, key=draws.__getitem__)[:size]:
            state.sampled[row] = True


def rows_to_audit(state: State) -> set[int]:
    """Return the rows that meet the whole ensemble by now: the sample, and strata with a hit."""
    full = _strata_in_full(state)
    return {row for row in _standing(state) if state.sampled[row] or 0 <= state.stratum[row] < full}


def findings(state: State, levels: int) -> list[Audit]:
    """Return the audit at each epsilon.

    `sampled` survivors of the cheap stages met the whole ensemble, and `broken` of them fell. With
    95 % confidence, at most `bound` of all images stand only because they did not meet it.

    Args:
        state: The state at the end of the run.
        levels: Number of epsilons.
    """
    audited, full = rows_to_audit(state), _strata_in_full(state)
    found = []
    for at in range(levels):
        rows = [row for row in _standing(state) if state.cheap[row] > at]
        strata = [
            AuditStratum(
                standing=sum(state.stratum[row] == number for row in rows),
                sampled=sum(state.stratum[row] == number for row in rows if row in audited),
                broken=sum(state.stratum[row] == number for row in rows if state.level[row] <= at),
            )
            for number in range(STRATA)
        ]
        parts = _parts(state, [row for row in rows if state.stratum[row] >= full])
        found.append(
            Audit(
                sampled=sum(one.sampled for one in strata),
                broken=sum(one.broken for one in strata),
                bound=missed_at_most(list(parts.values())) / len(state.level),
                strata=strata,
            )
        )
    return found


def _standing(state: State) -> list[int]:
    """Return the rows that stood when the cheap stages were over."""
    return [row for row, cheap in enumerate(state.cheap) if cheap >= 0]


def _strata_in_full(state: State) -> int:
    """Return how many strata, nearest first, meet the whole ensemble in full."""
    fallen = Counter(
        state.stratum[row] for row in _standing(state) if state.level[row] < state.cheap[row]
    )
    if not fallen:
        return 0
    farthest = max(fallen)
    return STRATA if farthest and fallen[farthest] > 1 else farthest + 1


def _parts(state: State, rows: Sequence[int]) -> dict[tuple[int, int], SampledPart]:
    """Count these rows and the sampled ones among them, by stratum and grid index."""
    parts = [(state.stratum[row], state.cheap[row]) for row in rows]
    sampled = Counter(part for row, part in zip(rows, parts, strict=True) if state.sampled[row])
    return {part: SampledPart(size, sampled[part]) for part, size in sorted(Counter(parts).items())}


def _sizes(state: State, allowed: int) -> dict[tuple[int, int], int]:
    """Return the sample of each part, so that at no epsilon more than `allowed` are in doubt.

    The largest epsilon comes first, because images that stand there also stand at smaller ones.
    The next image is always taken from the part of which the smallest share is sampled.
    """
    parts = _parts(state, _standing(state))
    for at in sorted({level for _, level in parts}, reverse=True):
        here = [key for key in parts if key[1] >= at]
        while missed_at_most([parts[key] for key in here], most=allowed + 1) > allowed:
            least = min(here, key=lambda key: parts[key].sampled / parts[key].size)
            parts[least] = SampledPart(parts[least].size, parts[least].sampled + 1)
    return {key: part.sampled for key, part in parts.items()}
