"""Pictures of results/report.html in a browser, for the guides: at the width of a phone and of a desk, light and dark.

python docs/screenshots.py                     of results/report.html into docs/page
python docs/screenshots.py --page FILE --folder FOLDER

It needs Playwright (pip install -e ".[dev]") and Debian's browser (apt-get install chromium), and no network.
"""

import argparse
import shutil
from pathlib import Path

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
"""what a browser must not do by itself"""
DRAWN = "html[data-drawn=yes]"
"""once all charts are there"""
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1200, "height": 720}
SCROLL = """place => {
    const top = document.getElementById(place).getBoundingClientRect().top;
    window.scrollTo(0, window.scrollY + top - document.querySelector(".bar").offsetHeight - 12);
}"""
PICTURES = {
    "top-desk-light": (DESK, "light", "found"),
    "layers-desk-light": (DESK, "light", "layers"),
    "layers-desk-dark": (DESK, "dark", "layers"),
    "layers-phone-light": (PHONE, "light", "layers"),
    "differences-phone-dark": (PHONE, "dark", "differences"),
    "poolings-desk-dark": (DESK, "dark", "poolings"),
    "pairs-desk-light": (DESK, "light", "browser"),
    "pairs-phone-dark": (PHONE, "dark", "pairs-status"),
}
"""name of a picture -> the window, the theme, and the place on the page that is on top"""


def take(browser, page, folder):
    """Write PICTURES of a page, opened in a browser of Playwright."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (size, scheme, place) in PICTURES.items():
        tab = browser.new_page(viewport=size, color_scheme=scheme)
        tab.goto(page.resolve().as_uri())
        tab.wait_for_selector(DRAWN, state="attached")
        if name.startswith("pairs"):
            tab.select_option("#pairs-preset", index=min(2, tab.locator("#pairs-preset option").count() - 1))
        tab.evaluate(SCROLL, place)
        tab.screenshot(path=folder / f"{name}.png")
        tab.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--page", type=Path, default=root / "results/report.html")
    parser.add_argument("--folder", type=Path, default=root / "docs/page")
    arguments = parser.parse_args()
    if not arguments.page.is_file():
        raise SystemExit(f"{arguments.page} is not there: make it with dvc repro")
    if shutil.which("chromium") is None:
        raise SystemExit("no chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        take(browser, arguments.page, arguments.folder)
        browser.close()


if __name__ == "__main__":
    main()
