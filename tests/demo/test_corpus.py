"""Documents: what is read, what is removed, what is held out; and the tokenizer."""

import pytest
from transformers import AutoTokenizer

from pipeline.base.errors import InputError
from pipeline.demo.corpus import END, Forbidden, build, held_out, read_documents, train_tokenizer
from pipeline.demo.settings import Corpus

SETTINGS = {"exclude": [], "ngram": 13, "held_out": 0.3, "vocabulary": 300}
LONG = "The council said on Monday that it would vote again next week on the plan to close two schools"  # 19 words
SHORT = "A man plays the violin in an empty hall"  # 9 words


def folder_of(path, **files):
    for name, text in files.items():
        (path / f"{name}.txt").write_text(text, encoding="utf-8")
    return path


def test_documents_are_separated_by_blank_lines_and_kept_once(tmp_path):
    documents = read_documents(folder_of(tmp_path, b="second\nline\n \n\nthird\n", a="first\n\nthird", c="\n\n"))
    assert documents.rows() == [("first", "a"), ("third", "a"), ("second\nline", "b")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"He spoke. {LONG.upper()}, and left", True),
        (" ".join(LONG.split()[3:16]), True),  # 13 words in a row
        (" ".join(LONG.split()[3:15]), False),  # 12
        (LONG.replace("vote", "voted"), False),  # 9 and 9 words on either side
        (f"Look: '{SHORT}'.", True),
        (" ".join(SHORT.split()[:8]), False),
        ("A man plays the violin in an empty room", False),
        ("A dog barks", False),
        ("nothing at all", False),
    ],
)
def test_overlap_is_thirteen_words_in_a_row_or_a_shorter_sentence_whole(text, expected):
    assert Forbidden([LONG, SHORT, "A dog barks"], 13).is_in(text) is expected


def test_the_words_of_a_sentence_in_another_order_are_no_overlap(rng):
    order = rng.permutation([word.lower() for word in LONG.split()])
    assert not Forbidden([LONG], 13).is_in("\n".join(order))


def test_build_removes_and_counts(tmp_path):
    texts = [f"document {i} about nothing" for i in range(200)]
    folder_of(tmp_path, a="\n\n".join([*texts, f"x {LONG} y", f"x {LONG} y {SHORT}"]))
    sentences = {"one": [LONG], "two": [SHORT], "none": ["unseen"]}
    documents, counts = build(Corpus(text=str(tmp_path), **SETTINGS), sentences)
    assert counts["documents"] == 202
    assert counts["removed"] == {"one": 2, "two": 1, "none": 0}
    assert counts["removed_in_all"] == 2
    assert counts["bytes"] == sum(map(len, texts))
    assert documents["text"].to_list() == texts
    assert counts["train"] + counts["held_out"] == 200
    assert 35 <= counts["held_out"] <= 85  # 60 expected, 4 standard deviations
    assert documents["held_out"].to_list() == [held_out(text, 0.3) for text in texts]


def test_what_is_held_out_does_not_depend_on_the_other_documents(tmp_path):
    sides = []
    for numbers in (range(30), range(15, 60)):
        folder_of(tmp_path, a="\n\n".join(map(str, numbers)))
        documents, _ = build(Corpus(text=str(tmp_path), **SETTINGS), {})
        sides.append(dict(documents.select("text", "held_out").iter_rows()))
    both = sides[0].keys() & sides[1].keys()
    assert len(both) == 15
    assert all(sides[0][text] == sides[1][text] for text in both)


def test_tokenizer_reads_back_any_text_and_has_an_end(tmp_path):
    train_tokenizer([LONG, SHORT, "l'été £5"] * 20, 280, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.eos_token_id == tokenizer.convert_tokens_to_ids(END) == 0
    assert len(tokenizer) <= 280
    for text in (LONG, SHORT, "l'été £5", "unseen: 漢字 \U0001f642\n\ttab"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text
        assert 0 not in ids
    assert len(tokenizer(LONG)["input_ids"]) < len(LONG)


def test_no_text_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match=rf"no \.txt file in {folder}: put the training text there, or mend"):
            read_documents(folder)


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match=r"a\.txt is not UTF-8 \(byte 3\)"):
        read_documents(tmp_path)


def test_text_of_which_nothing_is_left_is_refused(tmp_path):
    folder_of(tmp_path, a=f"only {LONG}")
    with pytest.raises(InputError, match="0 documents were left, 0 of them held out"):
        build(Corpus(text=str(tmp_path), **SETTINGS), {"one": [LONG]})
