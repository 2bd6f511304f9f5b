"""What build servers are told of a comparison."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

from robustbench_mix.results.regression import ci_report
from robustbench_mix.results.regression.comparison import Check, Verdict

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
