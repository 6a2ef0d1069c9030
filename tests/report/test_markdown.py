"""Text from data in Markdown: what a reader sees is the text, whatever it is."""

import html
import re

import pytest
from markdown_it import MarkdownIt

from pipeline.report.markdown import escaped, section, table, visible, words

RENDERER = MarkdownIt("commonmark").enable("table")
PIECES = [
    *("http://", "https://a.b/c", "www.", "a@b.org", "example.com", "mailto:", "://", "//", "/", "@", ".", ":"),
    *("---", "-", "1.", "12)", "# ", "> ", "+", "=", "===", "| --- |", "|", "*", "_", "**", "`", "```", "~~~", "$x$"),
    *("<b>", "</script>", "<!--", "&amp;", "&#64;", "[x](y)", "![i](j)", "{{x}}", "{x}", "\\", "!", "^", ";"),
    *("\x1b[31m", "\x07", "\r", "\n", "\t", "\u202e", "\u2028", "\u200d", "  ", " ", "    ", "word", "é", "中", "😀"),
]


def shown(markdown):
    """The text that a renderer shows of a paragraph, a list item or a cell, and no element but those around it."""
    page = re.sub(r"<!--.*?-->", "", RENDERER.render(markdown))
    elements = set(re.findall(r"<(\w+)", page))
    assert elements <= {"p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "br"}, page
    return html.unescape(re.sub(r"<[^>]+>", "", page)).replace("\xa0", " ").strip("\n")


def test_drawn_texts_are_shown_as_they_are_everywhere_on_a_page(rng):
    for _ in range(1500):
        text = "".join(rng.choice(PIECES, rng.integers(1, 8)))
        expected, line = visible(text), escaped(text)
        assert "\n" not in line
        if "<!--" not in expected:  # which `shown` would take out
            assert shown(line) == expected
            assert shown(f"- {line}") == expected
            assert shown(f"- first  \n  {line}").removeprefix("first\n") == expected
            assert shown("\n".join(table(["a"], [[line]]))).removeprefix("a\n").strip("\n") == expected


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("a < b & c", r"a \< b \& c"),
        ("  two blanks ", "&nbsp;&nbsp;two blanks&nbsp;"),
        ("   ", "&nbsp;&nbsp;&nbsp;"),
        ("---", r"\---"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("12) item", r"12\) item"),
        ("see http://a.org/b", r"see http\:\/\/a\.org/b"),
        ("www.a.org", r"www\.a\.org"),
        ("me@a.org", r"me\@<!-- -->a\.org"),
        ("\x1b[31mred\x07\r", r"\\x1b\[31mred\\x07\\r"),
        ("a\nb", r"a\\nb"),
        ("evil\u202egnp", r"evil\\u202egnp"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("It cost 7.4 % more. Well-known.", "It cost 7.4 % more. Well-known."),
        ("", ""),
    ],
)
def test_by_hand(text, markdown):
    assert escaped(text) == markdown


@pytest.mark.parametrize(
    "address",
    ["http://a.org", "HTTPS://A.ORG/b?c=d&e", "www.a.org", "ftp://a.org", "mailto:me@a.org", "me@a.org", "//a.org"],
)
def test_no_address_is_left_that_a_page_would_link(address):
    """Not `http://`, `www.` or a word, an @ and a word: what GitHub and linkify-it look for."""
    line = re.sub(r"<!-- -->", " ", escaped(f"see {address}, there"))
    assert not re.search(r"://|www\.|//|\w@\w|[a-z]\.[a-z]|mailto:", line, flags=re.I)


def test_names_of_settings_in_plain_words():
    assert words("all_but_the_top_1") == "all but the top 1"


def test_a_table_aligns_numbers_and_drops_columns_that_no_row_uses():
    header, rows = ["what", "note", "n", "nothing"], [["a", "x", 0, ""], ["b", None, 12, None]]
    assert table(header, rows, text=["note"]) == [
        "| what | note | n |",
        "| --- | --- | ---: |",
        "| a | x | 0 |",
        "| b |  | 12 |",
    ]


def test_a_section_leaves_out_paragraphs_without_lines():
    assert section("Title", ["one", "two"], [], ["three"], level=3) == ["### Title", "", "one", "two", "", "three", ""]
