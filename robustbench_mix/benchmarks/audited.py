"""Compare the audited estimate of AutoAttack with AutoAttack itself, from two runs."""

from __future__ import annotations

from robustbench_mix.attacks.passes import Count
from robustbench_mix.benchmarks.table import Row, join
from robustbench_mix.results.records import Run


def audited_row(words: str, full: Run, estimate: Run) -> Row:
    """Compare the passes of an audited run with those of AutoAttack on the same images.

    Args:
        words: The network in words, for the table.
        full: The run of `autoattack`.
        estimate: The run of `autoattack-audited`.
    """
    images = len(full.table)
    exact, cheap = _robust(full), _robust(estimate)
    bounds = [estimate.audit_bound(eps) for eps in estimate.eps]
    inside = all(
        (c - e) / images <= bound + 1e-12 for c, e, bound in zip(cheap, exact, bounds, strict=True)
    )
    shown_bounds = join([f"{100 * bound:.1f}" for bound in bounds])
    sampled = join([estimate.audit_sampled(eps) or 0 for eps in estimate.eps])
    note = (
        f"{images:,} images, {join(cheap)} robust against {join(exact)}; {sampled} of them met "
        f"AutoAttack; bound {shown_bounds} pp: the full answer is "
        f"{'inside' if inside else 'OUTSIDE'}; {_work(estimate) / images:,.0f} passes an image"
    )
    return Row(
        f"passes of the audited curve, {len(full.eps)} epsilons, {words}", "`autoattack` here",
        "≥ 10x, bound ≤ 2 pp, inside", [_work(full) / _work(estimate)], note,
    )  # fmt: skip


def _robust(run: Run) -> list[int]:
    """Count the robust images at each epsilon of the grid."""
    return [int(count) for count in run.standing()[run.eps].sum()]


def _work(run: Run) -> float:
    """Return what a run cost, in forward passes."""
    return sum(Count(one.forward, one.gradient).work for one in run.header.passes.values())
