"""Report a regression gate to a build server: JUnit's XML, GitHub's annotations and summary."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from robustbench_mix.errors import one_line
from robustbench_mix.results.markdown import head, line
from robustbench_mix.results.regression.comparison import Check, Verdict
from robustbench_mix.results.statistics import format_p

COLUMNS = ["check", "before", "now", "lost", "gained", "close", "p", "verdict"]


def junit(verdicts: list[Verdict]) -> bytes:
    """Return JUnit XML: a suite for each baseline, a test case for each check."""
    root = ET.Element("testsuites", name="rbmix check")
    for verdict in verdicts:
        counts = {
            "tests": len(verdict.checks),
            "failures": len(verdict.worse),
            "errors": 0,
            "skipped": sum(bool(check.skipped) for check in verdict.checks),
        }
        name = one_line(verdict.path.stem)
        suite = ET.SubElement(
            root, "testsuite", {"name": name, **{key: str(n) for key, n in counts.items()}}
        )
        for check in verdict.checks:
            case = ET.SubElement(suite, "testcase", classname=f"rbmix.{name}", name=check.name)
            if check.worse:
                ET.SubElement(case, "failure", message=check.worse).text = _detail(check)
            elif check.skipped:
                ET.SubElement(case, "skipped", message=check.skipped)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def workflow_commands(verdicts: list[Verdict]) -> list[str]:
    """Return GitHub's workflow commands, one line for each check that found something."""
    return [
        f"::error file={_property(one_line(str(verdict.path)))},"
        f"title={_property(f'rbmix check: {check.name}')}::{_data(check.worse)}"
        for verdict in verdicts
        for check in verdict.worse
    ]


def summary(verdicts: list[Verdict]) -> str:
    """Return the verdicts as Markdown tables, for GitHub's job summary."""
    lines = []
    for verdict in verdicts:
        outcome = "got worse" if verdict.worse else "nothing got worse"
        lines += [f"### rbmix check: {one_line(verdict.path.stem)}: {outcome}", "", *head(COLUMNS)]
        lines += [line(cells(check)) for check in verdict.checks]
        found = [f"**{check.name}**: {check.worse}" for check in verdict.worse]
        lines += ["", *(f"- {words}" for words in [*found, *verdict.notes]), ""]
    return "\n".join(lines) + "\n"


def cells(check: Check) -> list[str]:
    """Return a check as the cells of a table with `COLUMNS`."""
    numbers = [""] * 3
    if check.close is not None:
        numbers = [str(n) for n in (len(check.lost), len(check.gained), check.close)]
    p = "" if check.p is None else format_p(check.p)
    return [check.name, check.before, check.now, *numbers, p, check.verdict]


def _detail(check: Check) -> str:
    lines = [check.worse, f"before: {check.before}", f"now: {check.now}"]
    for name, images in (("lost", check.lost), ("gained", check.gained)):
        lines += [f"{name}: {', '.join(map(str, images))}"] if images else []
    return "\n".join(lines)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
