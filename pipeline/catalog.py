"""catalog.yaml: names for datasets, models and baselines, and where their files lie. Only an entry with `hub` or `url` uses a network."""

import difflib
import hashlib
import os
import re
import shutil
import urllib.request
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.params import at_least, build, read_yaml


@dataclass(frozen=True)
class Dataset:
    """Sentence pairs: a repository of the Hugging Face hub, or local files."""

    hub: str | None = None
    """repository id on the hub, or a local folder in the same layout; read through `datasets`"""
    config: str | None = None
    """configuration of the repository"""
    revision: str | None = None
    """commit of the repository; for local files any text: change it when a file changed in place, so that DVC sees it"""
    path: str | dict | None = None
    """a CSV, TSV, JSONL or Parquet file, or {split: file}"""
    columns: dict = field(default_factory=dict)
    """our column (sentence1, sentence2, label, split, idx) -> the source's; same names where left out"""
    splits: dict | None = None
    """our split -> the source's split; all of the source's where left out"""
    subsets: dict = field(default_factory=dict)
    """name -> "split[:n]": the first n pairs of a split, reported beside the splits"""


@dataclass(frozen=True)
class Model:
    """A language model and its tokenizer: from the hub, from local files, or random from a seed."""

    hub: str | None = None
    """repository id on the hub"""
    revision: str | None = None
    """commit of the repository; for local files any text: change it when a file changed in place, so that DVC sees it"""
    path: str | None = None
    """a folder in the hub's layout, or a BlinkDL RWKV-6 checkpoint (file or folder)"""
    random: int | None = None
    """seed of random weights; `config` then holds model_type and sizes"""
    config: dict = field(default_factory=dict)
    """fields of the model's config to set or override"""
    tokenizer: str | dict = "hf"
    """a key of pipeline.tokenizers.TOKENIZERS, or {kind: key, hub or path: ..., revision: ...}"""
    bos: int | None = None
    """token id put before every sentence; None for none. It changes RWKV's states by 9-50 %."""
    special_tokens: bool = False
    """whether the HF tokenizer adds its own special tokens ([CLS], [SEP])"""


@dataclass(frozen=True)
class Baseline:
    """Something cheap to beat. `kind` is a key of pipeline.baselines.BASELINES."""

    kind: str
    """overlap, random or vectors"""
    path: str | None = None
    """word vectors in GloVe's text format (.txt or .txt.gz)"""
    url: str | None = None
    """the same to download, or a .zip that holds it"""
    member: str | None = None
    """name of the file inside the zip"""
    revision: str | None = None
    """any text: change it when the local file changed in place"""
    dim: int = 300
    """dimensions of random vectors"""
    seed: int = 0
    """seed of random vectors"""

    def __post_init__(self):
        at_least("baseline", self, dim=1, seed=0)


ENTRIES = {"datasets": Dataset, "models": Model, "baselines": Baseline}


def entry(kind, name, path="catalog.yaml"):
    """One entry of the catalogue. Raises KeyError that names the near misses, ValueError for keys that do not belong."""
    names = read_yaml(path).get(kind) or {}
    if not isinstance(names, dict):
        raise ValueError(f"{kind} of {path} holds {type(names).__name__}, expected a mapping of names to entries")
    if name not in names:
        near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else f"it has {', '.join(names) or 'none'}"
        raise KeyError(f"no {kind[:-1]} {name!r} in {path}: {hint}")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"{kind[:-1]} name {name!r} in {path}: use letters, digits, - and _ only, since it becomes a file name and a DVC key")
    return build(ENTRIES[kind], names[name] or {}, f"{kind}.{name} of {path}")


def one_source(what, sources):
    """The single key of `sources` that is set; ValueError when none or several are."""
    given = [key for key, value in sources.items() if value is not None]
    if len(given) != 1:
        raise ValueError(f"{what} has {' and '.join(given) or 'no source'}: give exactly one of {', '.join(sources)}")
    return given[0]


def local(path, what):
    """A path that must exist. Raises FileNotFoundError with the absolute path looked at."""
    found = Path(path).expanduser()
    if not found.exists():
        raise FileNotFoundError(f"{what}: {path} does not exist (looked at {found.absolute()}). Mend `path` in catalog.yaml")
    return found


def snapshot(repo, revision, patterns, what):
    """The local folder of a hub repository at a revision, downloaded if it is not cached. Python files are never fetched.

    Raises ConnectionError when the hub cannot be reached and the files are not cached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=patterns, ignore_patterns=["*.py"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ConnectionError(
            f"{what} needs {repo}@{revision or 'main'} from the Hugging Face hub, which did not answer ({reason(error)}). "
            "Check the name and the network (HF_HUB_OFFLINE must not be 1), or download it elsewhere and give the folder as `path`"
        ) from error


def reason(error):
    """The first line of an exception's message, or its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def download(url, member=None, cache=".drillcore/downloads"):
    """Fetch a file named by the user once, into `cache`; with `member`, take that file out of the zip. Returns its path."""
    folder = Path(cache) / hashlib.sha256(url.encode()).hexdigest()[:16]
    target = folder / (member or url).rsplit("/", 1)[-1]
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    whole, part = folder / url.rsplit("/", 1)[-1], folder / "part"
    try:
        if not whole.exists():
            with urllib.request.urlopen(url) as source, part.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            part.rename(whole)
    except OSError as error:
        raise ConnectionError(f"could not download {url} ({reason(error)}). Check the network, or download it elsewhere and give the file as `path`") from error
    if member:
        if not zipfile.is_zipfile(whole):
            raise ValueError(f"{url} is not a zip: leave `member` out if it is the file itself. It was kept as {whole}")
        with zipfile.ZipFile(whole) as archive:
            if member not in archive.namelist():
                raise ValueError(f"{url} has no {member!r}: it holds {', '.join(archive.namelist()[:8])}. Mend `member` in catalog.yaml")
            with archive.open(member) as source, part.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
        part.rename(target)
        whole.unlink()
    return target


def digest(files):
    """sha256 over the names and contents of files, in the order of their names: what C6 keys a checkpoint by."""
    total = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        with open(os.path.realpath(file), "rb") as handle:
            total.update(f"{file.name}\0{hashlib.file_digest(handle, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()
