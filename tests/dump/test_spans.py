"""What a dump keeps of a sentence where only a span of it is pooled: those states, and nothing of the others."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.dump import gate, key
from pipeline.dump.plan import plan_shards
from pipeline.formats import dumps, states, statistics
from pipeline.formats.tokens import Tokens
from pipeline.models.layers import hidden_layers


def drawn(rng, count, longest=20):
    """Token ids of sentences, and a span of each."""
    ids = [rng.integers(0, 64, rng.integers(1, longest)).astype(np.int32) for _ in range(count)]
    spans = np.array([np.sort(rng.choice(len(array) + 1, 2, replace=False)) for array in ids])
    return ids, spans


def rows_of(folder, of_tokens=True):
    """{sentence id: {layer: its rows}} of a dump of tokens or statistics, with positions or counts under `index`."""
    read = dumps.read(folder)
    assert read.of_tokens == of_tokens
    found = {}
    for batch in read.batches:
        names = batch.schema.names
        sentences = batch[names[0]].to_numpy()
        for sentence in np.unique(sentences).tolist():
            where = sentences == sentence
            layers = {name: states.values(batch[name])[where] for name in names[2:]} if of_tokens else {}
            found[sentence] = {"index": batch[names[1]].to_numpy()[where].tolist(), **layers}
    return found


@pytest.mark.parametrize("batch_tokens", [1, 512])
def test_the_states_are_those_of_the_span_of_the_whole_text(model, dump, rng, tmp_path, batch_tokens):
    ids, spans = drawn(rng, 60, longest=6)  # many of one length, with several spans
    facts = dump(model, (ids, np.arange(60)), spans=spans, store="float32", batch_tokens=batch_tokens)
    found = rows_of(tmp_path / "out")
    assert facts["tokens"] == int((spans[:, 1] - spans[:, 0]).sum())
    assert sum(shard["tokens"] for shard in facts["shards"]) == facts["tokens"]
    for sentence, (start, stop) in enumerate(spans.tolist()):
        assert found[sentence]["index"] == list(range(stop - start))
        for layer, exact in enumerate(hidden_layers(model, torch.as_tensor(ids[sentence])[None].long())):
            got = found[sentence][states.layer_name(layer)]
            assert np.abs(got - exact[0, start:stop].numpy()).max() <= 1e-5 * exact.abs().max()


def test_the_statistics_are_those_of_the_span(model, dump, rng, tmp_path):
    ids, spans = drawn(rng, 40, longest=6)
    dump(model, (ids, np.arange(40)), spans=spans, keep="pooled")
    for batch in dumps.read(tmp_path / "out").batches:
        for row, sentence in enumerate(batch["sentence_id"].to_pylist()):
            start, stop = spans[sentence].tolist()
            assert batch["tokens"][row].as_py() == stop - start
            kept = hidden_layers(model, torch.as_tensor(ids[sentence])[None].long())[-1][:, start:stop]
            for name, exact in zip(statistics.STATISTICS, statistics.of(kept, torch.float16)):
                got = statistics.read(batch, "layer_02", name)[row]
                scale = max(1.0, exact.abs().max().item())
                assert np.abs(got - exact[0].numpy()).max() <= 2e-3 * scale  # float16


def test_no_word_outside_the_span_enters_a_pooled_vector_but_through_the_network(model, dump, rng, tmp_path):
    """Layer 0 knows each token alone. Tokens from 32 on, outside, are poisoned with a value that no mean hides."""
    with torch.no_grad():
        model.rwkv.embeddings.weight[32:] = torch.linspace(-1, 1, 32) * 1e6
    ids = [np.concatenate([[40, 41], rng.integers(0, 32, length), [50]]).astype(np.int32) for length in (3, 3, 5)]
    inside = np.array([[2, len(array) - 1] for array in ids])
    kept, poison = {}, hidden_layers(model, torch.tensor([[40]]), [0])[0][0, 0].numpy()
    for name, spans in (("inside", inside), ("wider", inside - np.array([1, 0]))):
        dump(model, (ids, np.arange(3)), key=name, out=name, spans=spans, store="float32", layers=[0])
        kept[name] = np.concatenate([rows["layer_00"] for rows in rows_of(tmp_path / name).values()])
    near = {name: np.abs(rows - poison).max(axis=1).min() for name, rows in kept.items()}
    assert near["wider"] <= 1e-5 * np.abs(poison).max()
    assert near["inside"] > 0.1 * np.abs(poison).max()


def test_a_value_outside_the_span_need_not_fit_the_stored_type(model, dump, tmp_path):
    with torch.no_grad():
        model.rwkv.embeddings.weight[63] *= 1e7
        model.rwkv.blocks[0].pre_ln.weight.fill_(1e6)
    ids, names = [np.array([63, 1, 2], np.int32)], np.arange(1)
    with pytest.raises(ValueError, match="layer 0 reaches"):
        dump(model, (ids, names), layers=[0])
    with pytest.raises(ValueError, match="layer 0 reaches"):  # the opposite of what follows
        dump(model, (ids, names), layers=[0], spans=np.array([[0, 1]]))
    with torch.no_grad():
        model.rwkv.blocks[0].pre_ln.weight.fill_(1)
    dump(model, (ids, names), layers=[0], spans=np.array([[1, 3]]))


def test_spans_of_all_tokens_are_the_bytes_of_none(model, dump, rng, tmp_path):
    ids, _ = drawn(rng, 50)
    whole = np.array([[0, len(array)] for array in ids])
    for name, spans in (("none", None), ("whole", whole)):
        dump(model, (ids, np.arange(50)), key=name, out=name, spans=spans)
    shards = [[path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in ("none", "whole")]
    assert shards[0] == shards[1]


def test_a_pass_has_one_length_and_one_span(rng):
    lengths = rng.integers(2, 9, 300)
    spans = np.stack([rng.integers(0, 2, 300), lengths - rng.integers(0, 1, 300)], axis=1)
    plan = plan_shards(lengths, lengths, batch_tokens=64, shard_rows=500, spans=spans)
    passes = [sentences for shard in plan for record in shard for sentences in record]
    assert np.array_equal(np.sort(np.concatenate(passes)), np.arange(300))
    for sentences in passes:
        assert len({(lengths[i], *spans[i].tolist()) for i in sentences.tolist()}) == 1
    assert np.all(np.diff([lengths[sentences[0]] for sentences in passes]) >= 0)


def tokens_of(ids, spans=None, slots=None, ends=((), ())):
    cut, names = np.zeros(len(ids), bool), np.arange(len(ids))
    return Tokens("m", names, ids, None, cut, {}, spans=spans, slots=slots, ends=ends)


def test_the_key_changes_with_a_span(settings, rng):
    ids, spans = drawn(rng, 5)
    spans[0], whole = [0, len(ids[0])], np.array([[0, len(array)] for array in ids])
    other = spans.copy()
    other[0, 0], ids[0] = 1, np.append(ids[0], 1).astype(np.int32)
    whole[0, 1] = len(ids[0])
    keys = [key.key_of({}, tokens_of(ids, given), settings, 2)[0] for given in (None, whole, spans, other)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_the_gate_reads_the_text_without_the_template(model, rng):
    plain, texts = [rng.integers(0, 60, length).astype(np.int32) for length in (6, 9, 12)], ["abc", "defg", "hijkl"]
    framed = [np.concatenate([[61], [62, 62], array[1:], [63, 62]]).astype(np.int32) for array in plain]
    for array in plain:
        array[0] = 61  # a BOS
    slots = np.array([[3, len(array) - 2] for array in framed])
    given = tokens_of(framed, slots - [[0, 1]], slots, ([61], []))
    assert [ids.tolist() for ids in given.plain] == [ids.tolist() for ids in plain]
    assert gate.gate_of(model, given, texts, 1000) == gate.gate_of(model, tokens_of(plain), texts, 1000)
    whole = replace(given, slots=None, spans=None, ends=((), ()))
    assert gate.gate_of(model, whole, texts, 1000) != gate.gate_of(model, given, texts, 1000)
