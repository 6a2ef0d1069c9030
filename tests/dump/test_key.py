"""Contract C6: the key changes with everything that changes the bytes of a dump, and with nothing else."""

import ast
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.base import code
from pipeline.dump import key
from pipeline.formats.tokens import Tokens
from tests.helpers import ROOT


def tokens_of(*ids, sentence_ids=None, fingerprint=None):
    arrays = [np.array(sentence, dtype=np.int32) for sentence in ids]
    rows = np.arange(len(arrays)) if sentence_ids is None else np.array(sentence_ids)
    fingerprint = fingerprint or {"tokenizer": {"kind": "bytes"}, "bos": None}
    return Tokens("m", rows, arrays, None, np.zeros(len(arrays), dtype=bool), fingerprint)


TOKENS = tokens_of([1, 2, 3], [4])
SHUFFLED = {"tokenizer": {"kind": "bytes", "shuffle_words": 0}, "bos": None}


@pytest.fixture
def key_of(settings):
    """A function: the key of a small dump, with some arguments or settings changed."""

    def key_with(changes=None, **arguments):
        given = {"weights": {"sha256": "w"}, "tokens": TOKENS, "depth": 2} | arguments
        return key.key_of(settings=replace(settings, **(changes or {})), **given)[0]

    return key_with


@pytest.mark.parametrize(
    "arguments",
    [
        {"weights": {"sha256": "v"}},
        {"tokens": tokens_of([1, 2, 3], [4], fingerprint={"tokenizer": {"kind": "bytes"}, "bos": 0})},
        {"tokens": tokens_of([1, 2, 3], [4], fingerprint=SHUFFLED)},
        {"tokens": tokens_of([1, 2], [3, 4])},
        {"tokens": tokens_of([1, 2, 3, 4])},
        {"tokens": tokens_of([1, 2, 3], [4], sentence_ids=[1, 0])},
        {"depth": 3},
        {"kernel": "flash-linear-attention 0.3"},
        {"changes": {"dtype": "bfloat16"}},
        {"changes": {"store": "float32"}},
        {"changes": {"batch_tokens": 65}},
        {"changes": {"shard_mb": 2}},
        {"changes": {"layers": 2}},
        {"changes": {"keep": "pooled"}},
        {"changes": {"readout": "token_prepending_1"}},
        {"changes": {"readout": "values"}},
    ],
)
def test_the_key_changes_with_everything_that_changes_bytes(key_of, arguments):
    assert key_of(**arguments) != key_of()


def test_the_key_ignores_what_changes_no_bytes(key_of, monkeypatch):
    expected = key_of()
    monkeypatch.setenv("DRILLCORE_DEVICE", "cuda")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert key_of({"gate_tokens": 7}) == expected
        assert key_of({"layers": [0, 1, -1]}) == expected, "another way to say all three"
        wide = [ids.astype(np.int64) for ids in TOKENS.ids]
        assert key_of(tokens=replace(TOKENS, ids=wide, model="other")) == expected
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("package", ["torch", "transformers", "pyarrow"])
def test_the_key_changes_with_the_version_of_a_library(key_of, monkeypatch, package):
    expected, honest = key_of(), key.importlib.metadata.version
    monkeypatch.setattr(key.importlib.metadata, "version", lambda name: "0.0" if name == package else honest(name))
    assert key_of() != expected


def with_other_docstrings(source):
    """Python source with a comment at its end, and every docstring replaced."""
    lines = source.splitlines()
    nodes = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    ]
    strings = [node.body[0] for node in nodes if ast.get_docstring(node) is not None]
    for string in sorted(strings, key=lambda string: -string.lineno):
        lines[string.lineno - 1 : string.end_lineno] = [" " * string.col_offset + '"""Other words."""']
    return "\n".join([*lines, "# a comment", ""])


def test_the_key_changes_with_every_file_of_code_that_decides_bytes_and_with_no_word_about_it(key_of, tmp_path):
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    files = code.closure(*key.CODE, root=tmp_path)
    expected = key_of(root=tmp_path)
    assert expected == key_of(), "the copy has the same code in another place"
    assert len(files) > 20
    for file in files:
        source = file.read_text()
        words = with_other_docstrings(source)
        assert words != source
        file.write_text(words)
        assert key_of(root=tmp_path) == expected, f"words in {file}"
        file.write_text(source + "\nCHANGED = True\n")
        assert key_of(root=tmp_path) != expected, f"code in {file}"
        file.write_text(source)
    assert key_of(root=tmp_path) == expected


def test_the_key_changes_with_one_number_in_the_code(key_of, tmp_path):
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    expected = key_of(root=tmp_path)
    for name, before, after in (
        ("dump/plan.py", "RECORD_ROWS = 4000", "RECORD_ROWS = 4001"),
        ("models/rwkv6_recurrence.py", "CHUNK = 32", "CHUNK = 16"),
        ("formats/states.py", "pa.int32()", "pa.int64()"),
    ):
        file = tmp_path / "pipeline" / name
        source = file.read_text()
        assert before in source
        file.write_text(source.replace(before, after))
        assert key_of(root=tmp_path) != expected
        file.write_text(source)


def test_what_decides_no_bytes_is_not_among_the_code():
    """An edit of the gate, of an error about tokens or of the command line computes no dump anew."""
    files = {file.relative_to(ROOT / "pipeline").as_posix() for file in code.closure(*key.CODE)}
    assert files >= {"dump/plan.py", "dump/passes.py", "dump/shards.py", "models/rwkv6.py", "models/checkpoints.py"}
    assert files >= {"formats/states.py", "formats/statistics.py", "models/layers.py", "models/load.py"}
    aside = {
        f"dump/{name}.py"
        for name in ("gate", "checks", "clean", "key", "settings", "run", "publish", "ranks", "network")
    }
    aside |= {"models/weights.py", "base/cli.py", "base/settings.py", "formats/tokens.py"}
    aside |= {"models/spread.py", "models/offloaded.py"}
    assert not files & aside
    assert {file.split("/")[0] for file in files} == {"__init__.py", "base", "dump", "formats", "models", "readouts"}


def test_a_readout_is_keyed_by_its_number_and_by_the_code_of_its_module_alone(key_of, tmp_path):
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    names = ["plain", "token_prepending_1", "token_prepending_2", "values", "attention_output"]
    expected = {name: key_of({"readout": name}, root=tmp_path) for name in names}
    assert len(set(expected.values())) == len(names)
    changed = {
        "values.py": {"values"},
        "token_prepending.py": {"token_prepending_1", "token_prepending_2"},
        "projections.py": {"values", "attention_output"},
        "readout.py": set(names),
        "registry.py": set(),
        "names.py": set(),
    }
    for file, wanted in changed.items():
        path = tmp_path / "pipeline/readouts" / file
        source = path.read_text()
        path.write_text(source + "\nCHANGED = True\n")
        assert {name for name in names if key_of({"readout": name}, root=tmp_path) != expected[name]} == wanted, file
        path.write_text(source)


def test_parts_say_what_the_key_is_made_of(settings):
    _, parts = key.key_of({"sha256": "w"}, TOKENS, replace(settings, layers=[-1, 0]), 2)
    assert parts["weights"] == {"sha256": "w"}
    assert parts["tokens"] == TOKENS.fingerprint
    assert (parts["layers"], parts["kernel"], parts["dtype"]) == ([0, 2], None, "float32")
    assert parts["versions"].keys() == {"torch", "transformers", "pyarrow"}
    assert "pipeline/dump/make.py" in parts["code"]
    assert "gate_tokens" not in parts
