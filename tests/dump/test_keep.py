"""What is kept of a sentence, by the definition; and that both kinds of dump give the same poolings."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from pipeline.base.errors import InputError
from pipeline.dump.keep import KEEPS, bytes_of_row
from pipeline.formats import dumps, recurrent, states, statistics, vectors
from pipeline.models.layers import hidden_layers
from pipeline.models.recurrent import final_states
from pipeline.pool import run as run_pool
from pipeline.pool.inputs import Inputs
from pipeline.pool.names import MEAN, suited
from pipeline.pool.statistics import FROM_STATISTICS
from pipeline.pool.tokens import POOLINGS


def test_rows_and_index_by_hand():
    lengths, ids = np.array([2, 1]), np.array([7, 5])
    tokens, pooled = KEEPS["tokens"], KEEPS["pooled"]
    assert tokens.rows(lengths).tolist() == [2, 1]
    assert [column.tolist() for column in tokens.index(ids, lengths)] == [[7, 7, 5], [0, 1, 0]]
    assert pooled.rows(lengths).tolist() == [1, 1]
    assert [column.tolist() for column in pooled.index(ids, lengths)] == [[7, 5], [2, 1]]
    assert KEEPS["state"].rows(lengths).tolist() == [1, 1]
    assert [column.tolist() for column in KEEPS["state"].index(ids, lengths)] == [[7, 5], [2, 1]]


@pytest.mark.parametrize("keep", KEEPS)
def test_columns_and_index_fit_the_schema(keep):
    kind, lengths = KEEPS[keep], np.array([3, 3])
    shape = (2, 3, 4) if keep == "state" else (4,)
    layers = torch.randn(2, 2, *(shape if keep == "state" else (3, 4)))
    columns = [column for layer in layers for column in kind.columns(layer, torch.float16)]
    index = kind.index(np.array([8, 9]), lengths)
    schema = kind.schema([0, 5], shape, "float16")
    assert len(schema) == len(index) + len(columns)
    assert {len(column) for column in (*index, *columns)} == {kind.rows(lengths).sum()}
    for field, column in zip(list(schema)[2:], columns):
        assert column.shape[1:] == ((field.type.list_size,) if pa.types.is_fixed_size_list(field.type) else ())


def test_bytes_of_a_row_by_hand():
    """int64 + int32 + two layers of four float16; pooled: + for each layer 3 states of four and 2 sums and 1 norm."""
    assert bytes_of_row(KEEPS["tokens"].schema([0, 1], (4,), "float16")) == 12 + 2 * 4 * 2
    assert bytes_of_row(KEEPS["pooled"].schema([0], (4,), "float16")) == 12 + 3 * 4 * 2 + 2 * 4 * 4 + 4
    assert bytes_of_row(KEEPS["state"].schema([1, 2], (2, 3, 4), "float16")) == 12 + 2 * 24 * 2


def test_a_first_token_of_huge_values_does_not_blur_the_others():
    """Massive activations: 6e4 at the first token, 1e-2 at the others; float32 cannot hold their sum."""
    layer = torch.full((1, 5, 4), 0.01)
    layer[:, 0] = 6e4
    kept = dict(zip(statistics.STATISTICS, KEEPS["pooled"].columns(layer, torch.float32)))
    vector = FROM_STATISTICS["skip_first"](lambda name: kept[name].numpy(), np.array([5], dtype=np.float32))
    np.testing.assert_allclose(vector, 0.01, rtol=1e-6)


def test_statistics_by_the_definition(model, dump, sentences, tmp_path):
    ids, names = sentences(30)
    dump(model, (ids, names), keep="pooled")
    read = {}
    for batch in dumps.read(tmp_path / "out").batches:
        columns = {name: statistics.read(batch, "layer_01", name) for name in statistics.STATISTICS}
        for row, sentence in enumerate(batch["sentence_id"].to_pylist()):
            values = {name: column[row] for name, column in columns.items()}
            read[sentence] = values | {"tokens": batch["tokens"][row].as_py()}
    assert read.keys() == set(names)
    for array, sentence in zip(ids, names):
        exact = hidden_layers(model, torch.as_tensor(array, dtype=torch.long)[None])[1][0].double().numpy()
        expected = {
            "rest_sum": exact[1:].sum(0),
            "position_sum": (exact * np.arange(1, len(exact) + 1)[:, None]).sum(0),
            "first": exact[0],
            "last": exact[-1],
            "max": exact.max(0),
            "squared_norm": (exact**2).sum(),
        }
        assert read[sentence].pop("tokens") == len(array)
        assert read[sentence].keys() == expected.keys()
        weight = np.abs(exact).max() * np.arange(1, len(exact) + 1).sum()  # float16 rounds each state by 2^-11 of it
        for name, value in expected.items():
            scale = {"rest_sum": weight, "position_sum": weight, "squared_norm": 2 * value}.get(
                name, np.abs(exact).max()
            )
            assert np.abs(read[sentence][name] - value).max() <= 1e-3 * scale


def by_sentence(batches, pooling, keep):
    """{sentence: (layers, D)} of a pooling, from either kind of record batches."""
    vectors = {}
    for batch in batches:
        names = [f"layer_{layer:02d}" for layer in range(3)]
        if keep == "tokens":
            sentence_ids, starts = states.sentence_starts(batch)
            for sentence, start, end in zip(sentence_ids.tolist(), starts[:-1], starts[1:]):
                tokens = [states.layer(batch, name)[start:end].astype(np.float32) for name in names]
                vectors[sentence] = np.stack([POOLINGS[pooling](layer) for layer in tokens])
        else:
            lengths = batch["tokens"].to_numpy().astype(np.float32)
            for name in names:

                def read(statistic, batch=batch, name=name):
                    return statistics.read(batch, name, statistic)

                for sentence, vector in zip(batch["sentence_id"].to_pylist(), FROM_STATISTICS[pooling](read, lengths)):
                    vectors[sentence] = np.stack([*vectors.get(sentence, []), vector])
    return vectors


@pytest.mark.parametrize("store", ["float16", "float32"])
def test_both_kinds_of_dump_give_the_same_poolings(model, dump, sentences, tmp_path, store):
    """Exactly where a state is picked; sums of float32 in another order differ by its rounding."""
    given, batches = sentences(60), {}
    for keep in ("tokens", "pooled"):
        facts = dump(model, given, key=keep, out=keep, keep=keep, store=store)
        assert (facts["keep"], facts["sentences"], facts["tokens"]) == (keep, 60, sum(map(len, given[0])))
        batches[keep] = dumps.read(tmp_path / keep).batches
    for pooling in FROM_STATISTICS:
        tokens, pooled = (by_sentence(batches[keep], pooling, keep) for keep in ("tokens", "pooled"))
        assert tokens.keys() == pooled.keys() == set(given[1])
        for sentence, found in tokens.items():
            if pooling in ("first", "last", "max"):
                assert np.array_equal(found, pooled[sentence])
            else:
                np.testing.assert_allclose(pooled[sentence], found, rtol=1e-5, atol=1e-6)


def test_a_dump_of_states_by_the_definition_in_the_order_of_its_sentences(model, dump, sentences, tmp_path):
    """Each sentence alone, in float16; several shards and record batches."""
    ids, names = sentences(400)
    facts = dump(model, (ids, names), keep="state", shard_mb=1)
    assert (facts["keep"], facts["readout"], facts["layers"], facts["dim"]) == ("state", "state", [1, 2], 4 * 8 * 8)
    read = dumps.read(tmp_path / "out")
    assert (read.keep, list(read.layers)) == ("state", [1, 2])
    found, tokens = {}, {}
    for batch in read.batches:
        layers = [recurrent.read(batch, read.layers[layer]) for layer in (1, 2)]
        assert [layer.shape for layer in layers] == [(len(batch), 4, 8, 8)] * 2
        for row, sentence in enumerate(batch["sentence_id"].to_pylist()):
            found[sentence] = [layer[row] for layer in layers]
            tokens[sentence] = batch["tokens"][row].as_py()
    assert len(read.batches) > 1
    assert found.keys() == set(names)
    for array, sentence in zip(ids, names):
        assert tokens[sentence] == len(array)
        exact = final_states(model, torch.as_tensor(array, dtype=torch.long)[None], [1, 2])
        for state, wanted in zip(found[sentence], exact):
            assert state.dtype == np.float16
            assert np.abs(state - wanted[0].numpy()).max() <= 1e-3 * wanted.abs().max()


def test_a_state_above_the_range_of_float16_is_refused_and_fits_float32(model, dump, sentences, tmp_path):
    given = sentences(5)
    with torch.no_grad():
        model.rwkv.blocks[1].attention.key.weight *= 1e6
    with pytest.raises(InputError, match=r"layer 2 reaches [0-9.e+]+, above the 65504 of float16: set dump.store to"):
        dump(model, given, keep="state")
    assert dump(model, given, key="other", keep="state", store="float32")["store"] == "float32"
    largest = max(np.abs(recurrent.read(batch, "layer_02")).max() for batch in dumps.read(tmp_path / "out").batches)
    assert largest > 65504


def test_a_model_without_states_is_refused_before_anything_is_written(dump, sentences, tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, use_cache=False)).eval()
    with pytest.raises(InputError, match=r"GPT2LMHeadModel \(gpt2\) does not leave a matrix state behind"):
        dump(gpt2, sentences(5), keep="state")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("spec", "layers"), [("all", [1, 2]), (2, [2]), ([-1], [2]), ([1, 2], [1, 2])])
def test_states_have_no_layer_0(model, dump, sentences, spec, layers):
    assert dump(model, sentences(3), keep="state", layers=spec)["layers"] == layers
    with pytest.raises(InputError, match=r"dump.layers is \[0, 1\]: give all, a list of layers from 1 to 2"):
        dump(model, sentences(3), keep="state", layers=[0, 1])


def test_a_signal_that_only_order_carries_is_in_the_state(model, dump, rng, tmp_path):
    """Planted: the same tokens in two orders. Their states of layer 1 tell the order; the mean of layer 0 does not."""
    tokens = rng.permutation(np.arange(1, 33)).astype(np.int32)
    ids = [tokens, tokens[::-1].copy()]
    for keep in ("tokens", "state"):
        dump(model, (ids, np.arange(2)), keep=keep, key=keep, out=keep, store="float32")
    pooled = {}
    for keep, layer in (("tokens", 0), ("state", 1)):
        run_pool.pool(dumps.read(tmp_path / keep), suited(MEAN, keep), tmp_path / "v.parquet", "m", Inputs())
        pooled[keep] = vectors.read(tmp_path / "v.parquet", "pool@m").layer(layer)
    apart = {keep: np.abs(a - b).max() / np.abs(a).max() for keep, (a, b) in pooled.items()}
    assert apart["tokens"] < 1e-5
    assert apart["state"] > 1e-2
