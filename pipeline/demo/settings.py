"""Sections of data/demo/params.yaml: `corpus`, `pretrain` and `wordvectors`."""

from dataclasses import dataclass

from pipeline.base.errors import InputError
from pipeline.base.settings import at_least

PARAMS = "data/demo/params.yaml"
SHORTEST = 8
"""words from which a sentence too short for an n-gram is looked for as a whole"""


@dataclass(frozen=True)
class Corpus:
    """Section `corpus`: which text, and what is kept out of it."""

    text: str
    """a folder of UTF-8 text files (.txt), documents separated by blank lines"""
    exclude: list[str]
    """datasets of catalog.yaml whose sentences no document may hold"""
    ngram: int
    """words in a row that a document must share with such a sentence to be removed"""
    held_out: float
    """share of the documents that is never trained on"""
    vocabulary: int
    """entries of the byte-level BPE"""

    def __post_init__(self) -> None:
        at_least("corpus", self, ngram=SHORTEST, vocabulary=257)
        if not 0 < self.held_out < 1:
            raise InputError(f"corpus.held_out is {self.held_out}, expected a share between 0 and 1")


@dataclass(frozen=True)
class Pretrain:
    """Section `pretrain`: sizes of the model, and how it is trained."""

    hidden_size: int
    """D"""
    num_hidden_layers: int
    """blocks"""
    head_size: int
    """N; D / N heads"""
    time_mix_extra_dim: int
    """R, the rank of the low-rank maps for the mixes"""
    time_decay_extra_dim: int
    """S, the rank of the low-rank map for the decay"""
    context: int
    """tokens of one training sequence"""
    batch: int
    """sequences of one step"""
    tokens: int
    """tokens to train on in all; more than the text holds means several epochs"""
    learning_rate: float
    """at the end of the warm-up; a cosine takes it down to a tenth"""
    warm_up: int
    """steps over which the learning rate rises from 0"""
    weight_decay: float
    """of the matrices, not of norms, mixes, decays and embeddings"""
    seed: int
    """of the weights and of the order of the text"""
    evaluate_every: int
    """steps between two looks at the held-out part, and between two checkpoints"""
    evaluate_tokens: int
    """tokens of the held-out part that such a look takes, from its first document on"""

    def __post_init__(self) -> None:
        sizes = ("hidden_size", "num_hidden_layers", "head_size", "time_mix_extra_dim", "time_decay_extra_dim")
        at_least("pretrain", self, **dict.fromkeys((*sizes, "batch", "evaluate_every"), 1))
        at_least("pretrain", self, context=2, evaluate_tokens=2, seed=0, warm_up=0, weight_decay=0)
        at_least("pretrain", self, tokens=self.step_tokens)
        if self.learning_rate <= 0:
            raise InputError(f"pretrain.learning_rate is {self.learning_rate}, expected more than 0")

    @property
    def step_tokens(self) -> int:
        """Tokens of one step."""
        return self.batch * self.context

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.tokens // self.step_tokens


@dataclass(frozen=True)
class WordVectors:
    """Section `wordvectors`: which words, and what counts as their company."""

    dim: int
    """dimensions of a vector"""
    words: int
    """the most frequent so many words"""
    window: int
    """words on either side that count as context, at distance d with weight 1 / d"""
    smoothing: float
    """power of the context counts"""

    def __post_init__(self) -> None:
        at_least("wordvectors", self, dim=1, words=self.dim + 2, window=1, smoothing=0)
