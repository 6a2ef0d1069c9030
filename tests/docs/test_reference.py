"""What the documentation says that can be compared with the code: the reference pages, links, and names of files."""

import importlib.util
import re

import pyarrow as pa
import pytest

from tests.helpers import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += [ROOT / "data/demo/README.md", ROOT / "data/demo/model/README.md", ROOT / "data/sample/README.md"]
FILES = r"`((?:pipeline|stages|tests|benchmarks|docs)/[\w/]+\.py)`"


def script(name):
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = script("generate")


@pytest.mark.parametrize("name", generate.PAGES)
def test_the_reference_is_what_the_code_says(name):
    written = (ROOT / "docs/reference" / name).read_text()
    assert written == "\n".join(generate.PAGES[name]()) + "\n", f"docs/reference/{name} is out of date: run make docs"


def test_there_is_no_other_page():
    by_benchmark = {"models.md", "models.csv"}  # tests/models/test_families.py
    assert {path.name for path in (ROOT / "docs/reference").iterdir()} == set(generate.PAGES) | by_benchmark


@pytest.mark.parametrize("path", generate.example_tables())
def test_an_example_row_fits_its_columns(path):
    schema, row = generate.example_tables()[path]
    assert len(row) == len(schema)
    table = pa.table({name: [value] for name, value in zip(schema.names, row)}).cast(schema)
    assert table.num_rows == 1


def test_every_setting_field_and_name_has_a_text():
    text = (ROOT / "docs/reference/params.md").read_text() + (ROOT / "docs/reference/catalog.md").read_text()
    assert re.findall(r"^- `.*: ?$", text, re.MULTILINE) == []


def headings(text):
    """The anchors of a page; lines of fenced blocks that begin with # are comments."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_point_at_files_and_headings_that_exist(page):
    missing = []
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text()):
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (heading and heading not in headings(file.read_text())):
            missing.append(target)
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_modules_that_a_page_names_exist(page):
    assert [name for name in re.findall(FILES, page.read_text()) if not (ROOT / name).exists()] == []


def test_functions_that_architecture_names_are_in_their_files():
    text = (ROOT / "docs/architecture.md").read_text()
    named = re.findall(r"`(\w+)` in\s+`(pipeline/[\w/]+\.py)`", text)
    assert len(named) >= 8
    missing = [(name, file) for name, file in named if f"\ndef {name}(" not in (ROOT / file).read_text()]
    assert missing == []


def test_every_howto_is_in_the_index():
    index = (ROOT / "docs/howto/README.md").read_text()
    pages = [page.name for page in (ROOT / "docs/howto").glob("*.md") if page.name != "README.md"]
    assert [name for name in pages if f"({name})" not in index] == []


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100
