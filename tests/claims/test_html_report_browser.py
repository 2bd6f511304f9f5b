"""The report in a real browser: by eye of a program, and by its clicks.

It needs chromium, and Python's playwright to drive it. CONTRIBUTING.md has the command.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from measured import make_transfer

from robustbench_mix.claims import html_report
from robustbench_mix.results import probes
from robustbench_mix.storage import parquet_table

pytestmark = pytest.mark.slow

BROWSER = next((p for p in map(shutil.which, ("chromium", "chromium-browser")) if p), None)
SIZES = [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser, if there is one."""
    reason = "playwright is not installed (pip install playwright)"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    if BROWSER is None:
        pytest.skip("no chromium on this machine (for example: apt-get install chromium)")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def address(results: Path) -> str:
    """The report of twins on two data sets, with pictures of an image."""
    transfer = make_transfer(data_hash="e")
    path = probes.path_for(results, transfer.header, "k")
    parquet_table.write(path, transfer.header, transfer.table, {})
    html_report.write(results)
    return (results / html_report.NAME).as_uri()


@pytest.fixture
def opened(chromium, address: str) -> Iterator[Any]:
    """A function that opens the report at a width and in a scheme; no page may complain."""
    problems: list[str] = []
    pages = []

    def open_at(width: int = 1280, scheme: str = "light") -> Any:
        page = chromium.new_page(
            viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True,
            accept_downloads=True,
        )  # fmt: skip
        pages.append(page)
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda request: problems.append(request.url))
        page.goto(address)
        return page

    yield open_at
    for page in pages:
        page.close()
    assert problems == []


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_it_fits_and_follows_the_scheme(opened, width: int, scheme: str) -> None:
    """Nothing overflows, also when all is unfolded; ink, lines and marks differ from the ground."""
    page = opened(width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    element = "document.documentElement"
    assert page.evaluate(f"{element}.scrollWidth - {element}.clientWidth") <= 0
    assert page.evaluate("[...document.images].filter((i) => !i.naturalWidth).length") == 0
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    for selector, what in (
        ("body", "color"), (".series polyline", "stroke"), (".series path", "fill"),
        (".chart text", "fill"), (".forest .dot", "fill"), (".forest .zero", "stroke"),
    ):  # fmt: skip
        shown = page.locator(selector).first.evaluate(f"(one) => getComputedStyle(one).{what}")
        assert shown not in (ground, "none"), selector


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_the_first_screen_has_the_answer(opened, width: int, scheme: str) -> None:
    """And the differences behind it."""
    page = opened(width, scheme)
    for selector in (".answer", ".forest .row >> nth=0"):
        box = page.locator(selector).bounding_box()
        assert box["y"] + box["height"] < 800
    assert page.locator(".answer").inner_text() == "Yes."


def test_values_are_at_the_pointer(opened) -> None:
    """Of the mark that is nearest, and of a row of the forest plot."""
    page = opened()
    mark = page.locator(".chart:visible [data-tip]").first
    mark.scroll_into_view_if_needed()
    box = mark.locator("path").bounding_box()
    page.mouse.move(box["x"] - 6, box["y"])
    assert page.locator("#tip").inner_text() == mark.get_attribute("data-tip")
    page.mouse.move(2, box["y"])
    assert page.locator("#tip").is_hidden()
    row = page.locator(".forest a.row").first
    row.hover()
    assert page.locator("#tip").inner_text() == row.get_attribute("data-tip")


def test_values_are_shown_at_a_touch(chromium, address: str) -> None:
    """There is no pointer on a telephone."""
    context = chromium.new_context(viewport={"width": 390, "height": 800}, has_touch=True)
    page = context.new_page()
    page.goto(address)
    mark = page.locator(".chart:visible [data-tip]").first
    mark.scroll_into_view_if_needed()
    box = mark.locator("path").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.locator("#tip").inner_text() == mark.get_attribute("data-tip")
    context.close()


def test_tables_are_sorted_and_filtered(opened) -> None:
    """By a click on a title, up and down; by words, and by the value of a column."""
    page = opened()
    page.locator("#runs ~ details summary").first.click()
    table = page.locator("#runs-0")
    seeds = "(one) => [...one.querySelectorAll('tbody tr')].filter((r) => !r.hidden)"
    seeds += ".map((r) => Number(r.cells[3].textContent))"
    title = table.locator("th button", has_text="seed")
    title.click()
    assert table.evaluate(seeds) == sorted(2 * list(range(6)))
    title.click()
    assert table.evaluate(seeds) == sorted(2 * list(range(6)), reverse=True)
    assert table.locator("th[aria-sort=descending]").inner_text() == "seed"
    search = table.locator("input")
    search.fill("spatial:frozen seed:2|4")
    assert table.evaluate(seeds) == [4, 2]
    assert table.locator("[role=status]").inner_text() == "2 of 12 rows"
    search.fill("no such words")
    assert table.evaluate(seeds) == []


def test_a_table_is_saved_as_csv(opened, tmp_path: Path) -> None:
    """The rows that are shown, in their order."""
    page = opened()
    page.locator("#runs ~ details summary").first.click()
    table = page.locator("#runs-0")
    table.locator("input").fill("seed:3")
    with page.expect_download() as download:
        table.locator("button.csv").click()
    assert download.value.suggested_filename == "runs-0.csv"
    download.value.save_as(tmp_path / "saved.csv")
    title, *rows = (tmp_path / "saved.csv").read_text().splitlines()
    assert title.startswith('"model","spatial","channel","seed"')
    assert len(rows) == 2
    assert all(row.startswith('"resnet14",') and ',"3",' in row for row in rows)


@pytest.mark.parametrize("width", [390, 1280])
def test_from_the_answer_to_an_image(opened, width: int) -> None:
    """A row of the plot, its test, its runs, the images of a run, the picture of one."""
    page = opened(width)
    page.locator(".forest a.row", has_text="PGD").last.click()
    claim = page.locator(
        "details[open]", has_text="Random spatial mixers are more robust: PGD"
    ).last
    assert claim.is_visible()
    claim.locator("a[data-filter]").first.click()
    table = page.locator("#runs-1")
    assert table.locator("input").input_value() == "model:resnet14 attack:pgd"
    assert table.locator("tbody tr:visible").count() == 12
    table.locator("tbody tr:visible a").first.click()
    dialog = page.locator("dialog")
    assert "resnet14, " in dialog.locator("h3").inner_text()
    assert dialog.locator(".fates .cell").count() == 200
    cell = dialog.locator(".cell.pictured").first
    assert "image 0, a: " in cell.get_attribute("data-tip")
    cell.click()
    assert dialog.is_hidden()
    assert page.locator("#examples-digits-resnet14-0").is_visible()
    assert page.url.endswith("#examples-digits-resnet14-0")


def test_a_run_is_closed_again(opened) -> None:
    """By its button and by a key; the same one opens once more."""
    page = opened()
    page.locator("#runs ~ details summary").first.click()
    link = page.locator("#runs-0 tbody a").first
    for close in (
        lambda: page.locator("dialog .close").click(),
        lambda: page.keyboard.press("Escape"),
    ):
        link.click()
        assert page.locator("dialog").is_visible()
        close()
        assert page.locator("dialog").is_hidden()


def test_it_can_be_printed(opened) -> None:
    """To PDF, without a complaint."""
    assert opened().pdf().startswith(b"%PDF")


def test_without_its_script_all_can_be_read(chromium, address: str) -> None:
    """The tables and the charts are in the page itself."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("#t-verdicts tbody tr").count() > 10
    assert page.locator(".chart").first.is_visible()
    context.close()
