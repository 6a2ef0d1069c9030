"""Plain text -> documents to train on, none of which holds a sentence of the evaluation data; and a tokenizer for them.

A document goes when it shares 13 words in a row with such a sentence (`corpus.ngram`), or holds all of a shorter one
that has SHORTEST words or more.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.base.errors import InputError
from pipeline.demo.settings import PARAMS, SHORTEST, Corpus

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END = "<|endoftext|>"
"""the token between documents"""


def words(text: str) -> list[str]:
    """The words that overlap is judged by: lower-case letters and digits, whatever stands between them."""
    return re.findall(r"[^\W_]+", text.lower())


def grams(words: list[str], n: int) -> set[str]:
    """The n-grams of a list of words, each joined by spaces."""
    return {" ".join(words[start : start + n]) for start in range(len(words) - n + 1)}


def read_documents(folder: str | Path) -> pl.DataFrame:
    """Table (text, source) of every document of every .txt file, in the order of names.

    A text that occurs twice is kept once. InputError when there is no text, or it is not UTF-8.
    """
    files = sorted(Path(folder).glob("*.txt")) if Path(folder).is_dir() else []
    if not files:
        raise InputError(
            f"no .txt file in {Path(folder).absolute()}: put the training text there, or mend corpus.text in {PARAMS}"
        )
    tables = []
    for file in files:
        try:
            blocks = re.split(r"\n\s*\n", file.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise InputError(f"{file} is not UTF-8 (byte {error.start}): convert it first") from error
        texts = [block.strip() for block in blocks if block.strip()]
        tables.append(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}).with_columns(source=pl.lit(file.stem)))
    return pl.concat(tables).unique("text", keep="first", maintain_order=True)


class Forbidden:
    """Runs of words that no document may hold."""

    def __init__(self, sentences: Iterable[str], n: int) -> None:
        """Every n words in a row of the sentences, and all of a sentence that has SHORTEST to n - 1."""
        self.n = n
        self.grams: set[str] = set()
        self.endings: dict[str, set[tuple[str, ...]]] = {}
        """the first SHORTEST words of a shorter sentence -> what may follow them"""
        for sentence in map(words, sentences):
            self.grams |= grams(sentence, n)
            if SHORTEST <= len(sentence) < n:
                start, ending = " ".join(sentence[:SHORTEST]), tuple(sentence[SHORTEST:])
                self.endings.setdefault(start, set()).add(ending)

    def is_in(self, text: str) -> bool:
        """Whether a text holds one of them."""
        document = words(text)
        if not self.grams.isdisjoint(grams(document, self.n)):
            return True
        for start in range(len(document) - SHORTEST + 1):
            after = start + SHORTEST
            for ending in self.endings.get(" ".join(document[start:after]), ()):
                if tuple(document[after : after + len(ending)]) == ending:
                    return True
        return False


def held_out(text: str, share: float) -> bool:
    """Whether a document is held out: decided by its own hash, so that adding others changes nothing."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") < share * 2**64


def build(settings: Corpus, sentences: Mapping[str, Iterable[str]]) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Documents without the sentences {dataset: texts} -> (table (text, source, held_out), counts).

    Raises InputError when nothing is left on either side.
    """
    documents = read_documents(settings.text)
    texts = documents["text"].to_list()
    clean, removed = pl.repeat(True, len(documents), eager=True), {}
    for name, excluded in sentences.items():
        forbidden = Forbidden(excluded, settings.ngram)
        overlapping = pl.Series([forbidden.is_in(text) for text in texts], dtype=pl.Boolean)
        removed[name] = int(overlapping.sum())
        clean &= ~overlapping
    documents = documents.filter(clean)
    sides = [held_out(text, settings.held_out) for text in documents["text"]]
    documents = documents.with_columns(pl.Series("held_out", sides, dtype=pl.Boolean))
    counts = {
        "documents": len(texts),
        "removed": removed,
        "removed_in_all": len(texts) - len(documents),
        "train": len(sides) - sum(sides),
        "held_out": sum(sides),
        "bytes": int(documents["text"].str.len_bytes().sum()),
    }
    if not any(sides) or all(sides):
        raise InputError(
            f"{len(sides)} documents were left, {sum(sides)} of them held out: both parts need some. "
            "Add text, or change corpus.held_out"
        )
    return documents, counts


def train_tokenizer(texts: Iterable[str], vocabulary: int, folder: str | Path) -> "PreTrainedTokenizerFast":
    """Byte-level BPE (arXiv 1508.07909, over bytes) trained on the texts, saved to `folder` in the hub's layout."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts, vocab_size=vocabulary, min_frequency=2, special_tokens=[END], show_progress=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, eos_token=END, pad_token=END, clean_up_tokenization_spaces=False
    )
    tokenizer.save_pretrained(folder)
    return tokenizer
