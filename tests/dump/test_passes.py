from functools import partial

import numpy as np
import pytest
import torch

from pipeline.base.errors import InputError
from pipeline.dump.host import Host
from pipeline.dump.keep import KEEPS
from pipeline.dump.passes import Budget, Passes, check_range
from pipeline.models.layers import hidden_layers
from pipeline.readouts import plain
from pipeline.readouts.registry import readout_of


def run_budget(budget, model, ids):
    """The sizes of the passes, and all last layers."""
    sizes, layers = [], torch.empty(*ids.shape, 32)

    def take(first, kept):
        sizes.append(len(kept[0]))
        layers[first : first + len(kept[0])] = kept[-1]

    budget.run(partial(plain.plain, model), ids, [0, 2], take)
    return sizes, layers


def test_what_fits_the_budget_is_one_pass(model):
    ids = torch.randint(0, 64, (6, 5))
    sizes, layers = run_budget(Budget(30), model, ids)
    assert sizes == [6]
    assert torch.equal(layers, hidden_layers(model, ids)[-1])


@pytest.mark.parametrize(("tokens", "expected"), [(29, [5, 1]), (10, [2, 2, 2]), (4, [1] * 6)])
def test_what_does_not_is_several_with_the_same_layers(model, tokens, expected):
    ids = torch.randint(0, 64, (6, 5))
    sizes, layers = run_budget(Budget(tokens), model, ids)
    assert sizes == expected
    exact = hidden_layers(model, ids)[-1]
    assert (layers - exact).abs().max() <= 1e-5 * exact.abs().max()


def short_of_memory(most):
    """`hidden_layers` on a device that holds so many tokens."""

    def run(model, ids, wanted):
        if ids.numel() > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return hidden_layers(model, ids, wanted)

    return run


def test_out_of_memory_halves_the_budget_for_good_and_says_so(model, monkeypatch, capsys):
    monkeypatch.setattr(plain, "hidden_layers", short_of_memory(12))
    budget, ids = Budget(1000), torch.randint(0, 64, (8, 5))
    sizes, layers = run_budget(budget, model, ids)
    assert sizes == [2, 2, 2, 2]
    assert budget.tokens == 10
    said = capsys.readouterr().err
    assert said == "".join(f"out of memory on cpu: going on with at most {n} tokens at once\n" for n in (20, 10))
    exact = hidden_layers(model, ids)[-1]
    assert (layers - exact).abs().max() <= 1e-5 * exact.abs().max()


def test_the_gpu_that_is_full_is_named_and_not_that_of_the_ids(model, monkeypatch, capsys):
    def full_once(model, ids, wanted):
        if len(ids) > 4:
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2 GiB. GPU 3 has a total capacity of 80"
            )
        return hidden_layers(model, ids, wanted)

    monkeypatch.setattr(plain, "hidden_layers", full_once)
    run_budget(Budget(1000), model, torch.randint(0, 64, (8, 5)))
    assert capsys.readouterr().err == "out of memory on cuda:3: going on with at most 20 tokens at once\n"


def test_a_sentence_too_long_for_the_memory_is_refused(model, monkeypatch):
    monkeypatch.setattr(plain, "hidden_layers", short_of_memory(4))
    message = r"one sentence of 5 tokens does not fit the memory of cpu: lower tokenize\.max_tokens"
    with pytest.raises(InputError, match=message):
        run_budget(Budget(1000), model, torch.randint(0, 64, (8, 5)))


@pytest.mark.parametrize("keep", KEEPS)
@pytest.mark.parametrize("budget", [1000, 6])
def test_columns_of_a_record_batch_are_what_is_kept_of_each_sentence(model, rng, keep, budget):
    kind, readout, wanted = KEEPS[keep], readout_of(keep, "plain"), [1, 2]
    ids = [rng.integers(0, 64, length) for length in (3, 2, 3, 3, 2)]
    record, tokens = [np.array([1, 4]), np.array([0, 2, 3])], []
    host = Host(kind.schema(wanted, readout.shape_of(model), "float32"), 13, torch.device("cpu"))
    runner = Passes(model, readout, ids, wanted, kind, "float32", host, Budget(budget))
    columns, ready = runner.run(record, tokens.append)
    ready()
    assert tokens == [4, 9]
    expected = []
    for sentence in (1, 4, 0, 2, 3):
        layers = readout.read(model, torch.as_tensor(ids[sentence])[None], wanted)
        expected.append([column for layer in layers for column in kind.columns(layer, torch.float32)])
    for column, parts in zip(columns, zip(*expected), strict=True):
        exact = torch.cat(parts).numpy()
        assert column.shape == exact.shape
        assert np.abs(column - exact).max() <= 1e-5 * np.abs(exact).max()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("keep", KEEPS)
def test_a_value_that_is_not_finite_anywhere_is_noticed_before_it_is_written(model, keep, bad):
    with torch.no_grad():
        model.rwkv.embeddings.weight[63] = bad
    ids = [np.array([1, 2]), np.array([63, 3]), np.array([4, 5])]
    readout = readout_of(keep, "plain")
    host = Host(KEEPS[keep].schema([1], readout.shape_of(model), "float32"), 6, torch.device("cpu"))
    runner = Passes(model, readout, ids, [1], KEEPS[keep], "float32", host, Budget(2))
    _, ready = runner.run([np.array([0, 1, 2])], lambda tokens: None)
    with pytest.raises(InputError, match="layer 1 holds NaN or infinity before it is stored"):
        ready()


def test_range_by_hand():
    check_range(torch.tensor([1.0, 65504]), [0, 7], "float16")
    with pytest.raises(InputError, match=r"layer 7 reaches 65520, above the 65504 of float16: set dump\.store to"):
        check_range(torch.tensor([1.0, 65520]), [0, 7], "float16")
    check_range(torch.tensor([1.0, 65520]), [0, 7], "float32")
    with pytest.raises(InputError, match=r"layer 0 holds NaN or infinity .*the weights or dump\.dtype are at fault"):
        check_range(torch.tensor([torch.nan, 1e9]), [0, 7], "float16")
