"""catalog.yaml: what a name stands for. Only an entry with `hub` or `url` uses a network."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pipeline.base.errors import InputError, did_you_mean, one_of
from pipeline.base.settings import Text, at_least, build, read_yaml
from pipeline.catalog.dataset import Dataset, files_of
from pipeline.catalog.fields import as_sha256, as_text

BASELINE_KINDS = {
    "overlap": (),
    "random": ("dim", "seed"),
    "vectors": ("path", "url", "member", "sha256", "revision"),
    "encoder": ("hub", "path", "revision", "pooling", "prompt"),
}
"""kind of a baseline -> the fields that it takes"""
KEEPS = ("tokens", "pooled", "state")
"""what a dump can keep of a sentence"""
ENCODER_POOLINGS = ("mean", "cls", "lasttoken", "max", "pooler")
OVERLAP_MEASURES = ("dice", "jaccard", "char4", "tfidf")
TOKENIZER_KINDS = ("world", "hf", "gpt2", "bytes", "utf-16-le")
TOKENIZERS_FROM_FILES = ("hf", "gpt2")
FINETUNED = "data/finetuned"
"""the results of the stage finetune, a folder for each model"""


@dataclass(frozen=True)
class Model:
    """A language model and its tokenizer: from the hub, from local files, or random from a seed."""

    hub: str | None = None
    """repository id on the hub"""
    revision: Text | None = None
    """a commit, branch or tag of the repository; for local files any text: change it when a file changed in place"""
    path: str | None = None
    """a folder in the hub's layout, or a checkpoint of BlinkDL's RWKV-4, 5, 6 or 7 (file or folder)"""
    random: int | None = None
    """seed of random weights, an untrained control: of the config of `hub` or `path`, whose weights are not read, or
    without these of `config`, which then holds model_type and sizes
    """
    config: dict = field(default_factory=dict)
    """fields of the model's config to set or override"""
    tokenizer: str | dict = "hf"
    """hf (the model's own), world, gpt2, bytes or utf-16-le, or {kind: one of them, hub or path: ..., revision: ...}"""
    bos: int | None = None
    """token id put before every sentence; left out for none. It changes RWKV's states by 9-50 %."""
    special_tokens: bool = False
    """whether the HF tokenizer adds its own special tokens ([CLS], [SEP])"""
    shuffle_words: int | None = None
    """seed of a control: the words of every sentence come in another order before they become tokens"""
    template: str | None = None
    """text around every sentence that the model reads, too; overrides `tokenize.template` in params.yaml: none, the
    name of one, or a text of one's own with `{text}`
    """
    readout: str | None = None
    """what is read of the network: plain, its hidden layers, or another readout (docs/howto/readouts.md); left out for
    that of `dump.readout`
    """
    keep: str | None = None
    """what a dump keeps: tokens, pooled, or state (docs/howto/states.md); left out for that of `dump.keep`"""
    adapter: str | None = None
    """a folder with a LoRA adapter in the layout of `peft`, which is merged into the weights"""
    finetune: str | None = None
    """another model of this file, which the stage finetune trains: the result is this entry, which has no other field
    but `readout` and `keep`
    """

    def __post_init__(self) -> None:
        as_text(self, "revision")
        tokenizer_source(self)
        if self.keep is not None:
            one_of(self.keep, KEEPS, "keep")

    @property
    def is_control(self) -> bool:
        """Whether nobody trained it: what the architecture and the tokenizer give alone."""
        return self.random is not None and self.adapter is None


@dataclass(frozen=True)
class Baseline:
    """Something cheap to beat."""

    kind: str
    """overlap (of words), random (word vectors), vectors (word vectors of a file) or encoder (of sentences, through
    sentence-transformers: extra `encoders`)
    """
    hub: str | None = None
    """repository of an encoder on the hub"""
    path: str | None = None
    """word vectors as text (.txt, .vec or .gz): of GloVe, word2vec or fastText; or the folder of an encoder"""
    url: str | None = None
    """the same to download, or a .zip that holds it"""
    member: str | None = None
    """name of the file inside the zip"""
    sha256: str | None = None
    """64 hexadecimal digits: of the file behind `url` as it comes, so of the zip where there is a `member`; a file with
    another one is refused. The first download without it prints it.
    """
    revision: Text | None = None
    """a commit, branch or tag of the repository; for local files any text: change it when a file changed in place"""
    pooling: str | None = None
    """of an encoder without modules.json: mean, cls, lasttoken, max, or pooler (the network's own pooled output)"""
    prompt: str | None = None
    """text before every sentence of an encoder, or the name of one of its own prompts"""
    dim: int = 300
    """dimensions of random vectors"""
    seed: int = 0
    """seed of random vectors"""

    def __post_init__(self) -> None:
        as_text(self, "revision")
        at_least("baseline", self, dim=1, seed=0)
        if self.kind not in BASELINE_KINDS:
            raise InputError(f"kind is {self.kind!r}: {did_you_mean(self.kind, BASELINE_KINDS)}")
        given = [field.name for field in fields(self) if getattr(self, field.name) != field.default]
        if foreign := [name for name in given if name not in ("kind", *BASELINE_KINDS[self.kind])]:
            takes = ", ".join(BASELINE_KINDS[self.kind]) or "nothing else"
            raise InputError(f"kind {self.kind} has no {foreign[0]}: it takes {takes}")
        if self.pooling is not None:
            one_of(self.pooling, ENCODER_POOLINGS, "pooling")
        as_sha256(self, "sha256", self.url)


ENTRIES: dict[str, type] = {"datasets": Dataset, "models": Model, "baselines": Baseline}


def entry(kind: str, name: str, path: str | Path = "catalog.yaml") -> Any:
    """One entry of the catalogue as a `Dataset`, `Model` or `Baseline`, by its kind (a key of ENTRIES) and name.

    Raises InputError that names the near misses, or the keys that do not belong.
    """
    names = read_yaml(path).get(kind) or {}
    if not isinstance(names, dict):
        raise InputError(f"{kind} of {path} holds {type(names).__name__}, expected a mapping of names to entries")
    if name not in names:
        raise InputError(f"no {kind[:-1]} {name!r} in {path}: {did_you_mean(name, names)}")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", str(name)):
        raise InputError(
            f"{kind[:-1]} name {str(name)[:120]!r} in {path}: use letters, digits, - and _ only, 100 at most, since it "
            "becomes a file name and a DVC key"
        )
    where = f"{kind}.{name} of {path}"
    try:
        made: Any = build(ENTRIES[kind], names[name] or {}, where)
        is_tuned = isinstance(made, Model) and made.finetune is not None
        return _tuned(made, name, path) if is_tuned else made
    except InputError as error:
        message = str(error)
        raise InputError(message if where in message else f"{where}: {message}") from error


def _tuned(given: Model, name: str, path: str | Path) -> Model:
    """The entry of a model that the stage finetune makes: that of the model it starts from, with what was learned."""
    given_names = [field.name for field in fields(Model) if getattr(given, field.name) != _default_of(field)]
    if others := [name for name in given_names if name not in ("finetune", "readout", "keep")]:
        other = others[0]
        raise InputError(f"an entry with `finetune` has no {other}: all else is that of the model it starts from")
    base = entry("models", str(given.finetune), path)
    if base.finetune is not None:
        raise InputError(f"it starts from {given.finetune}, which is itself made by the stage finetune: name its base")
    if base.adapter is not None:
        raise InputError(f"it starts from {given.finetune}, which has an adapter already: name a model without one")
    read = {"readout": given.readout or base.readout, "keep": given.keep or base.keep}
    return replace(base, finetune=given.finetune, adapter=f"{FINETUNED}/{name}", **read)


def _default_of(field: Field) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def one_source(what: str, sources: Mapping[str, object]) -> str:
    """The single key of `sources` that is set; InputError when none or several are."""
    filled = [key for key, value in sources.items() if value is not None]
    if len(filled) != 1:
        raise InputError(f"{what} has {' and '.join(filled) or 'no source'}: give exactly one of {', '.join(sources)}")
    return filled[0]


def source_of(entry: Dataset | Model | Baseline, what: str) -> str | None:
    """Which field says where the data of an entry comes from; None for a baseline that needs no file."""
    if isinstance(entry, Dataset):
        return one_source(what, {"hub": entry.hub, "path": entry.path})
    if isinstance(entry, Model):
        if entry.random is not None and (entry.hub is None) != (entry.path is None):
            return "random"
        return one_source(what, {"hub": entry.hub, "path": entry.path, "random": entry.random})
    if entry.kind == "encoder":
        return one_source(what, {"hub": entry.hub, "path": entry.path})
    return one_source(what, {"path": entry.path, "url": entry.url}) if entry.kind == "vectors" else None


@dataclass(frozen=True)
class TokenizerSource:
    """Which tokenizer a model's entry names, and where its files lie."""

    kind: str
    """one of TOKENIZER_KINDS"""
    hub: str | None = None
    path: str | None = None
    revision: str | None = None


def tokenizer_source(entry: Model) -> TokenizerSource:
    """The tokenizer that an entry names, or the model's own. InputError for an unknown kind or key."""
    spec = {"kind": entry.tokenizer} if isinstance(entry.tokenizer, str) else dict(entry.tokenizer)
    kind = spec.pop("kind", None)
    if kind not in TOKENIZER_KINDS:
        raise InputError(f"tokenizer is {kind!r}: {did_you_mean(kind, TOKENIZER_KINDS)}. Mend `tokenizer`")
    if unknown := sorted(map(str, spec.keys() - {"hub", "path", "revision"})):
        raise InputError(f"tokenizer has unknown {', '.join(unknown)}: it takes kind and hub (with revision) or path")
    if not spec and kind in TOKENIZERS_FROM_FILES:
        spec = {"hub": entry.hub, "path": entry.path, "revision": entry.revision}
    revision = spec.get("revision")
    return TokenizerSource(kind, spec.get("hub"), spec.get("path"), None if revision is None else str(revision))


def local_paths(entry: Dataset | Model | Baseline) -> Iterable[str]:
    """The local files or folders that an entry names, which must be there before anything runs."""
    if isinstance(entry, Dataset):
        return [path for _, path in files_of(entry)]
    paths = [entry.path]
    if isinstance(entry, Model):
        paths += [tokenizer_source(entry).path, entry.adapter if entry.finetune is None else None]
    return [path for path in paths if path is not None]
