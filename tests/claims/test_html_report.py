"""The report: whole, escaped, self-contained, and small."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import networks
import pytest

from robustbench_mix import cli
from robustbench_mix.claims import html_report
from robustbench_mix.claims.explanations import overview
from robustbench_mix.claims.explanations.table import DRAWINGS
from robustbench_mix.evaluation import sanity_checks
from robustbench_mix.results import probes, records, unshuffling

pytestmark = pytest.mark.default

NETWORK = ["--model", networks.MODEL]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A results folder with curves, probes and an un-shuffling, all tiny."""
    folder = tmp_path_factory.mktemp("report") / "results"
    with pytest.MonkeyPatch.context() as patch:
        networks.lend(patch)
        patch.setattr(sanity_checks, "of_attacks", lambda *_: {})
        patch.setenv("RBMIX_HOME", str(folder.parent / "home"))
        out = ["--out", str(folder)]
        for spatial in ("learned", "frozen"):
            for attack in ("fgsm", "smoke"):
                words = ["--spatial", spatial, "--attack", attack, "--examples", "20"]
                assert cli.main(["evaluate", *NETWORK, *words, *out]) == 0
        assert cli.main(["explain", *NETWORK, "--examples", "20", *out]) == 0
        words = ["--width", "4", "--depth", "1", "--kernel", "3", "--epochs", "1"]
        assert cli.main(["unshuffle", *words, *out]) == 0
    return folder


VOID: frozenset[str] = frozenset({"meta", "img", "br", "link", "input", "hr"})


class Page(HTMLParser):
    """What a page loads, and whether its tags match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.scripts = self.tips = 0
        self.names: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.loads += [value or "" for name, value in attributes if name in ("src", "href")]
        self.names += [given["id"]] if given.get("id") else []
        self.tips += "data-tip" in given
        if tag == "script" and given.get("type") != "application/json":
            self.scripts += 1
        if tag == "img":
            self.images.append(given)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(results: Path, capsys) -> None:
    """Every section, well-formed, with pictures inside and words for them."""
    assert cli.main(["report", str(results)]) == 0
    assert "wrote" in capsys.readouterr().out
    text = (results / html_report.NAME).read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert all(load.startswith(("data:", "#")) for load in page.loads)
    assert not re.search(r"url\((?!#)|@import|https?:", text.split("<body>")[0])
    assert all(image["alt"] for image in page.images)
    # Clean, and twice perturbed with the difference, of each image; one sheet.
    shown = [len(p.pixels("clean")) for p in probes.read_transfers(results)]
    assert len(page.images) == 5 * sum(shown) + 1
    # Two figures of two charts: learned and frozen, and frozen minus learned, at each epsilon.
    points = sum(3 * (1 + len(run.eps)) for run in records.read_all(results)) // 2
    assert page.tips == points + 2 * sum(shown)
    for words in ("not enough evidence", "Linearity along the attack", " dB", "Runs</h2>"):
        assert words in text
    assert html_report.to_html(results) == text


def test_links_lead_somewhere_and_names_are_unique(results: Path) -> None:
    """Within the page; `run-N` is a run that the script shows."""
    page = Page(html_report.to_html(results))
    assert len(set(page.names)) == len(page.names)
    runs = {f"run-{at}" for at in range(len(records.read_all(results)))}
    wanted = {load[1:] for load in page.loads if load.startswith("#")}
    assert wanted <= {*page.names, *runs}
    assert runs <= wanted


def test_only_the_script_of_the_package_runs(results: Path) -> None:
    """The page names its hash, and allows no other and no network."""
    text = html_report.to_html(results)
    assert Page(text).scripts == 1
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Security-Policy" content="([^"]*)"', text)
    assert policy.split("; ") == [
        "default-src 'none'", "img-src data:", "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'",
    ]  # fmt: skip


def test_words_are_no_markdown(results: Path) -> None:
    """No asterisks where the page means emphasis, and p-values that mean something."""
    body = html_report.to_html(results).split("</style>")[1].split("<script")[0]
    words = re.sub(r"<[^>]*>", "", body)
    assert "*" not in words
    assert not re.search(r"\de-\d\d", words)


def test_the_committed_report_is_small(checkout: Path) -> None:
    """It is to be sent by mail and opened on a telephone."""
    assert (checkout / "results" / html_report.NAME).stat().st_size < 2_000_000


def test_the_claims_file_has_the_same_tables(results: Path, capsys) -> None:
    """Markdown for GitHub: the explanations, which the page of verdicts links to."""
    assert cli.main(["claims", str(results)]) == 0
    capsys.readouterr()
    verdicts = (results / "claims.md").read_text(encoding="utf-8")
    text = (results / "claims/why.md").read_text(encoding="utf-8")
    for one in overview.explanations_of(results, records.read_all(results)):
        assert f"### {one.title}" in text
        anchor = "-".join(re.sub(r"[^a-z0-9 -]", "", one.title.lower()).split(" "))
        assert f"[{one.title}](claims/why.md#{anchor})" in verdicts
        assert one.shows in text
        assert one.cannot in text
        for each in one.drawings:
            assert f"](../{DRAWINGS}/{each.file})" in text
            drawn = "".join(ElementTree.parse(results / DRAWINGS / each.file).getroot().itertext())
            assert "learned" in drawn
            assert "frozen" in drawn
    assert cli.main(["claims", str(results), "--check"]) == 0


def test_explanations_have_rows_where_there_are_records(results: Path) -> None:
    """Everything that one pair under FGSM and one `explain` can say."""
    found = overview.explanations_of(results, records.read_all(results))
    filled = {one.name: len(one.rows) for one in found}
    eps = len(probes.read_probes(results)[0].header.eps)
    assert filled["strength"] == eps
    assert filled["linearity"] == eps
    assert filled["transfer"] == 2 * eps
    assert filled["distances"] == 4
    assert filled["frequency"] == 6
    assert filled["waves"] == 2
    assert filled["capacity"] == 0
    for one in found:
        assert all(len(row) == len(one.columns) for row in one.rows), one.name


def test_texts_from_records_are_escaped(make_run, tmp_path: Path) -> None:
    """A name that is markup stays a name."""
    folder = tmp_path / "results"
    name = "<script>alert(1)</script>"
    for spatial in ("learned", "frozen"):
        run = make_run([0, 1, 2], spatial=spatial, model=name, dataset="a&b", protocol="fgsm")
        records.write(run, records.run_path(folder, run.header, spatial))
    text = html_report.to_html(folder)
    assert name not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert Page(text).scripts == 1


def test_an_empty_folder_gives_a_page(tmp_path: Path, capsys) -> None:
    """With nothing in it but the claims; a missing folder is named."""
    (tmp_path / "results").mkdir()
    tables = overview.explanations_of(tmp_path / "results", [])
    # Nor are there curves, pictures, un-shuffled images or runs.
    text = html_report.to_html(tmp_path / "results")
    assert text.count("No records.") == len(tables) + 4
    assert "Not measured yet." in text
    assert cli.main(["report", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_the_pictures_are_of_the_networks(results: Path) -> None:
    """What is said to be made on a network fools that network."""
    (found,) = probes.read_transfers(results)
    kept = found.table[found.table["clean"].notna()]
    for made in probes.SIDES:
        assert (kept[f"says_{made}_{made}"] != kept["label"]).mean() > 0.5
    assert len(unshuffling.read_all(results)) == 2
