"""Templates: what is read, what is pooled, and what stays as it is without one."""

import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from pipeline.base.errors import InputError
from pipeline.catalog.entries import Model
from pipeline.formats import tokens as tokens_format
from pipeline.text import encoding
from pipeline.text.controls import shuffled_words
from pipeline.text.encoding import encode
from pipeline.text.frames import frame_of
from pipeline.text.settings import Tokenize
from pipeline.text.templates import TEMPLATES, Template, template_named
from pipeline.text.tokenizers import Tokenizer, tokenizer_of
from tests.helpers import ROOT

LIMIT = Tokenize(max_tokens=1024, truncate=False)
BYTES = Model(random=0, tokenizer="bytes")
OWN = [
    "{text}",
    "<{text}>",
    "[[{text}]]!",
    "of {text} [[this]] or",
    "{text}{text}",
    "a [[b{text}]]{text}c",
    "{text}: {last}",
]
TEXTS = ["the cat sat on the mat", "a dog", "naïve façade, 日本語", " blank at both ends ", "3.14", '"quoted"']


def in_words(template, text):
    """What is read and what is pooled, by replacing words in the template: the oracle, for one token a letter."""
    marked = TEMPLATES.get(template, template).replace("{text}", text)
    read = re.sub(r"\[\[|\]\]|\{last\}", "", marked)
    if "{last}" in marked:
        return read, marked.split("{last}")[0][-1]
    if "[[" in marked:
        return read, marked.split("[[")[1].split("]]")[0]
    return read, text


def texts_of(encoded, bounds):
    return [bytes(ids[start:stop].tolist()).decode() for ids, (start, stop) in zip(encoded.ids, bounds.tolist())]


@pytest.mark.parametrize("template", [*(name for name in TEMPLATES if name != "none"), *OWN])
def test_what_is_read_and_pooled_is_what_the_words_of_the_template_say(template):
    encoded = encode(TEXTS, tokenizer_of(BYTES, "m"), LIMIT, template=template)
    wanted = [in_words(template, text) for text in TEXTS]
    assert [bytes(ids.tolist()).decode() for ids in encoded.ids] == [read for read, _ in wanted]
    assert texts_of(encoded, encoded.spans) == [pooled for _, pooled in wanted]
    assert texts_of(encoded, encoded.slots) == TEXTS


def test_the_published_templates_letter_for_letter():
    read = {name: in_words(name, "S")[0] for name in TEMPLATES if name != "none"}
    one = 'This sentence : "S" means in one word:"'
    assert read["prompteol"] == one
    assert (
        read["prompteol_one_shot"] == f'This sentence : "A jockey riding a horse." means in one word:"Equestrian".{one}'
    )
    assert read["pretended_cot"] == 'After thinking step by step , this sentence : "S" means in one word:"'
    assert read["knowledge"] == (
        "The essence of a sentence is often captured by its main subjects and actions, while descriptive terms provide "
        'additional but less central details. With this in mind , this sentence : "S" means in one word:"'
    )
    assert read["echo"] == "Document:S\nDocument again:S"


@pytest.mark.parametrize("bos", [None, 7])
def test_without_a_template_all_tokens_are_pooled_and_with_the_bare_slot_those_of_the_sentence(bos):
    tokenizer = replace(tokenizer_of(BYTES, "m"), ends=((1, 2), (3,)))
    before = [*([] if bos is None else [bos]), 1, 2]
    plain, slot = (encode(TEXTS, tokenizer, LIMIT, bos, template) for template in ("none", "{text}"))
    for text, ids, again in zip(TEXTS, plain.ids, slot.ids, strict=True):
        assert ids.tolist() == again.tolist() == [*before, *text.encode(), 3]
    assert plain.spans.tolist() == [[0, len(ids)] for ids in plain.ids]
    assert slot.spans.tolist() == slot.slots.tolist() == [[len(before), len(ids) - 1] for ids in slot.ids]


def test_bos_and_special_tokens_stand_around_the_whole():
    tokenizer = replace(tokenizer_of(BYTES, "m"), ends=((1,), (2, 3)))
    encoded = encode(["ab"], tokenizer, LIMIT, 0, "x{text}y{last}z")
    assert encoded.ids[0].tolist() == [0, 1, *b"xabyz", 2, 3]
    assert (encoded.spans.tolist(), encoded.slots.tolist(), encoded.ends) == ([[5, 6]], [[3, 5]], ([0, 1], [2, 3]))


def metaspace():
    """A tokenizer that marks the beginning of a word, and of a text, as SentencePiece does."""
    from tokenizers import Tokenizer as Fast
    from tokenizers import models, pre_tokenizers, trainers

    bpe = Fast(models.BPE(unk_token="?"))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace()
    bpe.train_from_iterator(TEXTS * 3, trainers.BpeTrainer(special_tokens=["?"], vocab_size=120))
    return Tokenizer(
        encode=lambda texts: [bpe.encode(text).ids for text in texts], piece=bpe.id_to_token, fingerprint={}
    )


def tokenizers_of_all_kinds(testdata):
    demo = {"kind": "hf", "path": str(ROOT / "data/demo/model")}
    kinds = ["world", "bytes", "utf-16-le", {"kind": "gpt2", "path": str(testdata / "gpt2")}, demo]
    return [*(tokenizer_of(Model(random=0, tokenizer=kind), "m") for kind in kinds), metaspace()]


@pytest.mark.parametrize("template", ["prompteol", "echo", "{text} {text}"])
def test_the_tokens_of_a_sentence_are_those_that_it_has_alone(testdata, template):
    for tokenizer in tokenizers_of_all_kinds(testdata):
        encoded = encode(TEXTS, tokenizer, LIMIT, template=template)
        for ids, (start, stop), alone in zip(encoded.ids, encoded.slots, tokenizer.encode(TEXTS), strict=True):
            assert ids[start:stop].tolist() == list(alone)
            copies = TEMPLATES.get(template, template).count("{text}")
            found = [i for i in range(len(ids)) if ids[i : i + len(alone)].tolist() == list(alone)]
            assert len(found) >= copies
            assert start in found


def test_where_that_is_not_how_the_joined_text_is_encoded(testdata):
    """A blank before the sentence, letters that meet, and the mark of a text's beginning."""
    world, gpt2 = tokenizers_of_all_kinds(testdata)[0], tokenizers_of_all_kinds(testdata)[3]
    for tokenizer, template, text in [
        (gpt2, "Query: {text}", "The cat"),
        (world, "Query: {text}", "The cat"),
        (world, "one{text}", "s"),
        (gpt2, '"{text}"', "The cat."),
        (metaspace(), '"{text}"', "the cat"),
    ]:
        apart = encode([text], tokenizer, LIMIT, template=template).ids[0].tolist()
        joined = list(tokenizer.encode([template.replace("{text}", text)])[0])
        assert apart != joined
    for tokenizer, template in [(gpt2, 'This sentence : "{text}" means'), (world, "Query:{text}\nQuery again:{text}")]:
        apart = encode(["The cat"], tokenizer, LIMIT, template=template).ids[0].tolist()
        assert apart == list(tokenizer.encode([template.replace("{text}", "The cat")])[0])


@pytest.mark.parametrize("template", ["none", "{text} [[{text}]]!", 'it: "{text}"{last}'])
def test_truncation_cuts_the_sentence_alike_in_all_copies_and_nothing_else(rng, template):
    text = "".join(rng.choice(list("abcdefgh"), 40).tolist())
    copies = 1 if template == "none" else template.count("{text}")
    fixed = len(in_words(template if template != "none" else "{text}", "")[0])
    for most in (fixed + copies, fixed + 17):
        encoded = encode([text, "a"], tokenizer_of(BYTES, "m"), Tokenize(most, True), template=template)
        kept = text[: (most - fixed) // copies]
        read, pooled = in_words(template if template != "none" else "{text}", kept)
        assert bytes(encoded.ids[0].tolist()).decode() == read
        assert len(read) <= most
        assert texts_of(encoded, encoded.spans)[0] == pooled
        assert texts_of(encoded, encoded.slots) == [kept, "a"]
        assert encoded.truncated.tolist() == [True, False]


def test_a_limit_that_the_template_fills_is_refused_and_what_is_too_long_is_counted_with_it():
    with pytest.raises(InputError, match=r"6 tokens stand around every sentence.* = 7 leaves none .* to 8 at least"):
        encode(["abc"], tokenizer_of(BYTES, "m"), Tokenize(7, True), template="[[{text}]]12 {text}34 ")
    with pytest.raises(InputError, match=r"1 sentences are longer .* = 9; the longest has 10 tokens \('abc'\.\.\.\)"):
        encode(["abc", "ab"], tokenizer_of(BYTES, "m"), Tokenize(9, False), template="12{text}{text}34")


def test_only_the_sentence_is_shuffled():
    entry = replace(BYTES, shuffle_words=3)
    encoded = encode(TEXTS, tokenizer_of(entry, "m"), LIMIT, template="one two three: {text}, four five six")
    for text, ids in zip(TEXTS, encoded.ids):
        assert bytes(ids.tolist()).decode() == f"one two three: {shuffled_words(text, 3)}, four five six"


def test_a_sentence_that_leaves_nothing_to_pool_is_shown():
    tokenizer = tokenizer_of(BYTES, "m")
    for given in ({"template": "a {text}"}, {"template": "a {text}", "bos": 0}, {"template": "a {text}{last}"}):
        with pytest.raises(InputError, match="sentence '' has no tokens"):
            encode(["a", ""], tokenizer, LIMIT, **given)
    assert encode([""], tokenizer, LIMIT, bos=0, template="a {text}{last}").spans.tolist() == [[2, 3]]


@pytest.mark.parametrize("template", ["{text}[[  ]]", "  {last}{text}"])
def test_a_template_that_pools_a_text_without_tokens_is_shown_and_no_sentence_blamed(template):
    def encode_words(texts):
        return [[len(word) for word in text.split()] for text in texts]

    with pytest.raises(InputError, match=r"template '.*' pools '  ', which gives no token here: mark another part"):
        frame_of(template_named(template, "m"), 0, ([], []), encode_words)
    frame = frame_of(template_named(template.replace("  ", " a "), "m"), 0, ([], []), encode_words)
    assert (frame.spans(np.array([3])) >= 1).all()


# which template


def tokens_of(settings=LIMIT, **entry):
    table = pl.DataFrame({"sentence_id": range(len(TEXTS)), "text": TEXTS})
    return encoding.tokenize(table, replace(BYTES, **entry), "m", settings)


def test_that_of_an_entry_goes_before_that_of_the_settings():
    settings = replace(LIMIT, template="echo")
    by_settings, by_entry = tokens_of(settings), tokens_of(template="echo")
    assert [ids.tolist() for ids in by_settings.ids] == [ids.tolist() for ids in by_entry.ids]
    assert by_settings.fingerprint == by_entry.fingerprint
    bare, none = tokens_of(), tokens_of(settings, template="none")
    assert [ids.tolist() for ids in none.ids] == [ids.tolist() for ids in bare.ids]
    assert none.fingerprint == bare.fingerprint == {"tokenizer": {"kind": "utf-8"}, "bos": None}


def test_the_fingerprint_is_that_of_what_a_template_does():
    prints = [tokens_of(template=text).fingerprint for text in ("echo", "a {text}", "a [[{text}]]", "[[a {text}]]")]
    assert prints[0]["template"] == TEMPLATES["echo"]
    assert prints[1] == prints[2] != prints[3]


def test_tokens_are_read_back_with_what_is_pooled_and_what_is_plain(tmp_path):
    written = tokens_of(template="prompteol", bos=9)
    tokens_format.write(tmp_path / "m.parquet", written)
    read = tokens_format.read(tmp_path / "m.parquet", "m")
    assert [bytes(ids.tolist()) for ids in read.pooled] == [b'"'] * len(TEXTS)
    assert [ids.tolist() for ids in read.plain] == [ids.tolist() for ids in tokens_of(bos=9).ids]
    assert [bytes(ids.tolist()[1:]).decode() for ids in read.ids] == [in_words("prompteol", text)[0] for text in TEXTS]


def test_marks_by_hand():
    assert template_named("none", "t") is None
    assert template_named("a {text}", "t") == Template(("a ", None), 1, 2)
    assert template_named("{text}{text}", "t") == Template((None, None), 1, 2)
    assert template_named("[[a {text}]] b", "t") == Template(("a ", None, " b"), 0, 2)
    assert template_named("a {text} b{last} c", "t") == Template(("a ", None, " b", " c"), 0, 3, last=True)
    for text in ("a [[{text}]]", "[[a]] {text}", "a {text} b{last} c", "{text}[[{text}b]]"):
        assert str(template_named(text, "t")) == text
    assert str(template_named("a {text}", "t")) == "a [[{text}]]"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("promteol", r"is 'promteol': did you mean prompteol\? .*, or a text of your own with \{text\} in it"),
        ("Say it:", r"is 'Say it:': expected one of none, prompteol, .* with \{text\} in it"),
        ("{sentence} means", r"with \{text\} in it"),
        ("[[a]] [[{text}]]", r"it has \[\[ twice: mark one part"),
        ("[[a [[{text}]] b]]", r"it has \[\[ twice"),
        ("[[{text}", r"it has \[\[ alone: put \[\[ before and \]\] after"),
        ("{text}]]", r"it has \]\] alone"),
        ("a [[]] {text}", r"nothing is between \[\[ and \]\]"),
        ("]]{text}[[", r"nothing is between \[\[ and \]\], in this order"),
        ("{last}{text}", r"nothing is before \{last\}"),
        ("{text}{last} {last}", r"it has \{last\} twice"),
        ("[[{text}]]{last}", r"it has \{last\} and \[\[ or \]\]"),
    ],
)
def test_a_wrong_template_is_one_line(text, complaint):
    with pytest.raises(InputError, match=complaint) as told:
        Tokenize(max_tokens=9, truncate=True, template=text)
    assert str(told.value).startswith(f"tokenize.template is {text!r}: ")
    assert "\n" not in str(told.value)
    with pytest.raises(InputError, match=complaint):
        tokens_of(template=text)


def test_the_spans_of_many_sentences_are_those_of_each(rng):
    texts = ["x" * length for length in rng.integers(1, 9, 50)]
    for template in (*OWN, "none"):
        many = encode(texts, tokenizer_of(BYTES, "m"), LIMIT, 5, template)
        each = [encode([text], tokenizer_of(BYTES, "m"), LIMIT, 5, template) for text in texts]
        assert np.array_equal(many.spans, np.concatenate([one.spans for one in each]))
        assert np.array_equal(many.slots, np.concatenate([one.slots for one in each]))
