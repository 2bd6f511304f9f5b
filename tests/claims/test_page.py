"""The page of verdicts and its appendices."""

from __future__ import annotations

from pathlib import Path

from robustbench_mix.claims import page
from robustbench_mix.claims.analysis import analyse
from robustbench_mix.results import records


def test_every_claim_appears_once_for_each_data_set(results: Path) -> None:
    """In the order of the paper, also where there are no records for it."""
    runs = records.read_all(results)
    analysis = analyse(results, runs, [])
    found = analysis.claims
    assert list(dict.fromkeys(c.number for c in found)) == [
        "1", "1, contrast", "2", "3a", "3b", "3c", "3d", "3e", "4a", "4b", "5", "6",
    ]  # fmt: skip
    assert len({(c.number, c.data) for c in found}) == len(found)
    written = page.content(results, analysis)
    for claim in found:
        name = claim.number.replace(", ", "-")
        text = written[results / "claims" / f"{name}.md"]
        assert text.startswith(f"# {claim.name}\n\n{claim.statement}\n")
        assert claim.reason in text
        assert f"](claims/{name}.md)" in written[results / "claims.md"]
