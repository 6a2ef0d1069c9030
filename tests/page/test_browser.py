"""report.html in a real browser: Debian's chromium, driven by Playwright, on files alone."""

import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from pipeline.page.html import page
from tests.docs.test_reference import script
from tests.page.making import HOSTILE, costs, shares, study
from tests.report import making

CHROMIUM = shutil.which("chromium")
screenshots = script("screenshots")
PHONE, DESK = screenshots.PHONE, screenshots.DESK


def sync_api():
    """Playwright. The page lets no text run as a program, so tests wait by `expect` and not by `wait_for_function`."""
    return pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install -e .[dev]")


@pytest.fixture(scope="module")
def chromium():
    """A browser of its own, without anybody's profile."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with sync_api().sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=screenshots.ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def made(rng):
    """A study of which two sentences would act in a careless page."""
    texts = [f"number {number} of the toy" for number in range(240)]
    texts[100:102] = [HOSTILE, f"{HOSTILE} again"]
    made = study(rng, sentences=texts)
    return replace(made, costs=costs(rng))


@pytest.fixture
def opened(chromium, tmp_path, made):
    """Opens the page of the study in a window: (tab, what went wrong)."""
    (tmp_path / "report.html").write_text(page(made), encoding="utf-8")
    contexts = []

    def of_size(size, scheme="light"):
        contexts.append(chromium.new_context(viewport=size, color_scheme=scheme))
        tab, wrong = contexts[-1].new_page(), []
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", lambda request: wrong.append(request.url) if not request.url.startswith("file:") else None)
        tab.goto((tmp_path / "report.html").as_uri())
        tab.wait_for_selector(screenshots.DRAWN, state="attached")
        return tab, wrong

    yield of_size
    for context in contexts:
        context.close()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_no_wider_than_its_window_and_nothing_goes_wrong(opened, size, scheme):
    tab, wrong = opened(size, scheme)
    assert wrong == []
    assert tab.evaluate("document.documentElement.scrollWidth") == size["width"]
    assert tab.locator(".chart[data-chart]").count() == tab.locator(".chart svg.marks").count() > 10
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")


def test_a_hostile_sentence_is_text(opened):
    tab, wrong = opened(DESK)
    tab.fill("#pairs-search", "window.hacked")
    tab.select_option("#pairs-split", "")
    sync_api().expect(tab.locator("#pairs-list article")).to_have_count(1)
    assert "</script><script>window.hacked = 1</script><img src=x" in tab.inner_text("#pairs-list")
    assert tab.evaluate("window.hacked") is None
    assert tab.locator("img").count() == 0
    assert wrong == []


def test_only_the_sign_of_a_contradiction_is_red(opened):
    tab, _ = opened(DESK, "light")
    colour = "element => getComputedStyle(element).color"
    assert tab.eval_on_selector(".verdict.contradicted .sign", colour) == "rgb(179, 38, 30)"
    assert tab.eval_on_selector(".verdict.not .sign", colour) == tab.eval_on_selector("body", colour)


def test_the_split_and_the_encoders_are_chosen_for_all_charts(opened, made):
    tab, wrong = opened(DESK)
    points = ".chart[data-chart=layers] .mark-symbol.role-mark path"
    before = tab.locator(points).count()
    tab.locator(".legend button[data-group=m]").first.click()
    sync_api().expect(tab.locator(points)).not_to_have_count(before)
    assert tab.locator(".legend button[data-group=m]").last.get_attribute("aria-pressed") == "false"
    assert not tab.locator("#encoders input[data-group=m]").is_checked()
    tab.select_option("#split", "validation")
    assert tab.locator("[data-split=validation]:visible").count() > 0
    assert tab.locator("[data-split=test]:visible").count() == 0
    assert tab.evaluate(
        "Array.from(page.views.values()).every(view => !('split' in view.getState().signals) || "
        "view.signal('split') === 'validation')"
    )
    row = made.material.table.filter(split="validation", name="words").row(0, named=True)
    assert making.bracketed(row, "spearman") in tab.locator("[data-split=validation] table:visible").first.inner_text()
    assert wrong == []


def shown(tab):
    return [int(tab.locator("#pairs-list article").nth(at).get_attribute("data-pair")) for at in range(20)]


def test_pairs_are_sorted_by_how_much_their_rank_changes(opened, made):
    """Against ranks that are counted one by one."""
    tab, wrong = opened(DESK)
    for side, name, layer in (("a", "m", "0"), ("b", "n", "2")):
        tab.select_option(f"#pairs-{side}", name)
        tab.select_option(
            f"#pairs-layer-{side}",
            next(str(place) for place, one in enumerate(made.scored) if (one.series, one.layer) == (name, layer)),
        )
    tab.select_option("#pairs-split", label="test (40)")
    tab.select_option("#pairs-sort", "change")
    scores = {(one.series, one.layer): one.values for one in made.scored}
    splits = made.material.pairs["split"].to_list()
    change = np.abs(shares(scores["m", "0"], splits) - shares(scores["n", "2"], splits))
    expected = [pair for pair in np.argsort(-change, kind="stable") if splits[pair] == "test"]
    found = shown(tab)
    assert change[found] == pytest.approx(change[expected[:20]])
    value = scores["m", "0"][found[0]]
    text = tab.locator("#pairs-list article .figure.a b").first.inner_text()
    assert float(text) == pytest.approx(value, abs=0.5000001 * 10.0 ** -len(text.split(".")[1]))
    tab.check("#pairs-reverse")
    assert change[shown(tab)[0]] == pytest.approx(change[expected[-1]])
    assert wrong == []


def test_the_worst_error_of_a_label_is_found_and_pages_turn(opened, made):
    tab, _ = opened(PHONE)
    tab.select_option("#pairs-a", "m")
    tab.select_option("#pairs-split", label="test (40)")
    chosen = next(one for one in made.scored if one.series == "m" and one.selected)
    tab.select_option("#pairs-label", label="label 0")
    rows = made.material.pairs.with_columns(score=pl.Series(chosen.values)).filter(split="test", label=0.0)
    ranked = rows.sort("score", descending=True)["pair_id"].to_list()
    assert tab.locator("#pairs-list article").first.get_attribute("data-pair") == str(ranked[0])
    tab.select_option("#pairs-label", "")
    tab.click("#pairs-next")
    assert tab.inner_text("#pairs-status") == "21 to 40 of 40 pairs"
    assert tab.locator("#pairs-next").is_disabled()


def test_a_pair_is_found_by_its_number_and_has_its_neighbours(opened):
    tab, _ = opened(DESK)
    tab.select_option("#pairs-split", "")
    tab.fill("#pairs-search", "#85")
    sync_api().expect(tab.locator("#pairs-list article")).to_have_count(1)
    assert "number 170 of the toy" in tab.inner_text("#pairs-list")
    tab.click("#pairs-list summary")
    tab.wait_for_selector("#pairs-list details li")
    assert tab.locator("#pairs-list details li").count() == 3
    assert tab.locator("#pairs-list mark").count() == 8  # number, of, the and toy are in both


def test_everything_is_reached_by_keyboard_and_has_a_name(opened):
    tab, _ = opened(DESK)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the results"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "main"
    nameless = """Array.from(document.querySelectorAll('select, input, button')).filter(
        element => !(element.labels && element.labels.length) && !element.textContent.trim())"""
    assert tab.evaluate(f"{nameless}.length") == 0
    assert tab.evaluate("document.querySelectorAll('th:not([scope])').length") == 0
    assert tab.evaluate("document.querySelectorAll('h1').length") == 1
    ids = "Array.from(document.querySelectorAll('[id]')).map(element => element.id)"
    assert tab.evaluate(f"new Set({ids}).size === {ids}.length")
    tab.click("#theme")
    tab.click("#theme")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 23, 26)"


def test_pictures_for_the_guides_are_made_by_a_command(chromium, tmp_path, made, monkeypatch):
    (tmp_path / "report.html").write_text(page(made), encoding="utf-8")
    monkeypatch.setattr(screenshots, "PICTURES", {"pairs-phone-dark": screenshots.PICTURES["pairs-phone-dark"]})
    screenshots.take(chromium, tmp_path / "report.html", tmp_path / "pictures")
    assert (tmp_path / "pictures/pairs-phone-dark.png").read_bytes().startswith(b"\x89PNG")
