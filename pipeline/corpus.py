"""Plain text -> documents to train on, without those that hold a sentence of given evaluation data (of SHORTEST words or more,
word for word, or 13 words in a row of it); and a tokenizer for them."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from tokenizers import ByteLevelBPETokenizer

from pipeline.params import at_least

SHORTEST = 8  # words from which a sentence too short for an n-gram is looked for as a whole
END = "<|endoftext|>"  # between documents


@dataclass(frozen=True)
class Corpus:
    """Section `corpus` of data/demo/params.yaml."""

    text: str
    """a folder of UTF-8 text files (.txt), documents separated by blank lines"""
    exclude: list[str]
    """datasets of catalog.yaml whose sentences no document may hold"""
    ngram: int
    """words in a row that a document must share with such a sentence to be removed"""
    held_out: float
    """part of the documents that is never trained on"""
    vocabulary: int
    """entries of the byte-level BPE"""

    def __post_init__(self):
        at_least("corpus", self, ngram=SHORTEST, vocabulary=257)
        if not 0 < self.held_out < 1:
            raise ValueError(f"corpus.held_out is {self.held_out}, expected a part between 0 and 1")


def words(text):
    """The words that overlap is judged by: lower-case letters and digits, whatever stands between them."""
    return re.findall(r"[^\W_]+", text.lower())


def grams(words, n):
    """The n-grams of a list of words, each joined by spaces."""
    return {" ".join(words[i : i + n]) for i in range(len(words) - n + 1)}


def read_documents(folder):
    """Table (text, source) of every document of every .txt file, in the order of names; a text that occurs twice is kept once."""
    files = sorted(Path(folder).glob("*.txt")) if Path(folder).is_dir() else []
    if not files:
        raise FileNotFoundError(f"no .txt file in {Path(folder).absolute()}: put the training text there, or mend corpus.text in data/demo/params.yaml")
    tables = []
    for file in files:
        try:
            parts = re.split(r"\n\s*\n", file.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise ValueError(f"{file} is not UTF-8 (byte {error.start}): convert it first") from error
        tables.append(pl.DataFrame({"text": [part.strip() for part in parts if part.strip()], "source": file.stem}))
    return pl.concat(tables).unique("text", keep="first", maintain_order=True)


def overlapping(texts, sentences, n):
    """Which texts share n words in a row with a sentence, or hold all of one that has SHORTEST to n - 1 words -> list of bool."""
    split = [words(sentence) for sentence in sentences]
    forbidden = set().union(*(grams(one, n) for one in split))
    whole = {}  # first words of a shorter sentence -> what may follow them
    for one in split:
        if SHORTEST <= len(one) < n:
            whole.setdefault(" ".join(one[:SHORTEST]), set()).add(tuple(one[SHORTEST:]))
    found = []
    for text in texts:
        one = words(text)
        starts = ((i, whole.get(" ".join(one[i : i + SHORTEST]))) for i in range(len(one) - SHORTEST + 1))
        found.append(
            not forbidden.isdisjoint(grams(one, n))
            or any(tuple(one[i + SHORTEST : i + SHORTEST + len(rest)]) == rest for i, rests in starts if rests for rest in rests)
        )
    return found


def held_out(text, part):
    """Whether a document is held out: decided by its own hash, so that adding others changes nothing."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") < part * 2**64


def build(settings: Corpus, sentences):
    """Documents without the sentences' words -> (table (text, source, held_out), counts).

    sentences: {dataset: list of texts}. Raises ValueError when nothing is left on either side.
    """
    documents = read_documents(settings.text)
    texts, counts = documents["text"].to_list(), {"documents": len(documents), "removed": {}}
    clean = pl.repeat(True, len(documents), eager=True)
    for name, those in sentences.items():
        found = pl.Series(overlapping(texts, those, settings.ngram), dtype=pl.Boolean)
        counts["removed"][name] = int(found.sum())
        clean &= ~found
    documents = documents.filter(clean).with_columns(pl.col("text").map_elements(lambda text: held_out(text, settings.held_out), pl.Boolean).alias("held_out"))
    counts |= {"removed_in_all": len(texts) - len(documents), "train": int((~documents["held_out"]).sum()), "held_out": int(documents["held_out"].sum())}
    counts["bytes"] = int(documents["text"].str.len_bytes().sum())
    if not counts["train"] or not counts["held_out"]:
        raise ValueError(
            f"{len(documents)} documents were left, {counts['held_out']} of them held out: both parts need some. Add text, or change corpus.held_out"
        )
    return documents, counts


def train_tokenizer(texts, vocabulary, folder):
    """Byte-level BPE (arXiv 1508.07909, over bytes) trained on the texts, saved to `folder` in the Hugging Face layout."""
    from transformers import PreTrainedTokenizerFast

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts, vocab_size=vocabulary, min_frequency=2, special_tokens=[END], show_progress=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token=END, clean_up_tokenization_spaces=False)
    tokenizer.save_pretrained(folder)
    return tokenizer
