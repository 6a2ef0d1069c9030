"""Documents: what is read, what is removed, what is held out; and the tokenizer."""

import numpy as np
import pytest
from transformers import AutoTokenizer

from pipeline.corpus import Corpus, build, held_out, overlapping, read_documents, train_tokenizer

SETTINGS = {"exclude": [], "ngram": 13, "held_out": 0.3, "vocabulary": 300}
LONG = "The council said on Monday that it would vote again next week on the plan to close two schools"  # 19 words
SHORT = "A man plays the violin in an empty hall"  # 9 words


def folder_of(path, **files):
    for name, text in files.items():
        (path / f"{name}.txt").write_text(text, encoding="utf-8")
    return path


def test_documents_are_separated_by_blank_lines_and_kept_once(tmp_path):
    found = read_documents(folder_of(tmp_path, b="second\nline\n \n\nthird\n", a="first\n\nthird"))
    assert found.rows() == [("first", "a"), ("third", "a"), ("second\nline", "b")]


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
    ],
)
def test_overlap_is_thirteen_words_in_a_row_or_a_shorter_sentence_whole(text, expected):
    assert overlapping(["nothing at all", text], [LONG, SHORT, "A dog barks"], 13) == [False, expected]


def test_build_removes_and_counts(tmp_path):
    texts = [f"document {i} about nothing" for i in range(200)]
    folder_of(tmp_path, a="\n\n".join([*texts, f"x {LONG} y", f"x {LONG} y {SHORT}"]))
    documents, counts = build(Corpus(text=str(tmp_path), **SETTINGS), {"one": [LONG], "two": [SHORT], "none": ["unseen"]})
    assert counts["documents"] == 202
    assert counts["removed"] == {"one": 2, "two": 1, "none": 0}
    assert counts["removed_in_all"] == 2
    assert documents["text"].to_list() == texts
    assert counts["train"] + counts["held_out"] == 200
    assert 35 <= counts["held_out"] <= 85  # 60 expected, 4 standard deviations
    assert documents["held_out"].to_list() == [held_out(text, 0.3) for text in texts]


def test_what_is_held_out_does_not_depend_on_the_other_documents(tmp_path):
    both = [dict(zip(*build(Corpus(text=str(folder_of(tmp_path, **files)), **SETTINGS), {})[0].select("text", "held_out").get_columns())) for files in FILES]
    assert all(both[1][text] == side for text, side in both[0].items())


FILES = [{"a": "\n\n".join(map(str, range(30)))}, {"b": "\n\n".join(map(str, range(15, 60)))}]


def test_tokenizer_reads_back_any_text_and_has_an_end(tmp_path):
    texts = [LONG, SHORT, "l'été £5"] * 20
    train_tokenizer(texts, 280, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.eos_token_id == 0
    assert len(tokenizer) <= 280
    for text in (*texts, "unseen: 漢字 \U0001f642\n\ttab"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text
        assert 0 not in ids
    assert len(tokenizer(LONG)["input_ids"]) < len(LONG)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"ngram": 5}, "ngram is 5"), ({"held_out": 0}, "held_out is 0"), ({"held_out": 1.5}, "held_out is 1.5"), ({"vocabulary": 100}, "vocabulary is 100")],
)
def test_settings_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        Corpus(text="x", **(SETTINGS | change))


def test_missing_text_bad_encoding_and_nothing_left(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no \.txt file"):
        read_documents(tmp_path)
    with pytest.raises(FileNotFoundError, match="absent"):
        read_documents(tmp_path / "absent")
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"a\.txt is not UTF-8 \(byte 3\)"):
        read_documents(tmp_path)
    folder_of(tmp_path, a=f"only {LONG}")
    with pytest.raises(ValueError, match="0 documents were left"):
        build(Corpus(text=str(tmp_path), **SETTINGS), {"one": [LONG]})


def test_words_over_white_space_and_case():
    drawn = np.random.default_rng().permutation([word.lower() for word in LONG.split()])
    assert overlapping(["\n".join(drawn)], [LONG], 13) == [False]
