"""Packing and batches: every document and every window once."""

import numpy as np
import pytest
import torch

from pipeline.base import settings
from pipeline.base.errors import InputError
from pipeline.demo.sequences import batch_of, pack
from pipeline.demo.settings import PARAMS, Pretrain
from tests.helpers import ROOT


@pytest.fixture
def toy():
    values = vars(settings.section(Pretrain, ROOT / PARAMS))
    return Pretrain(**(values | {"context": 16, "batch": 4, "tokens": 64}))


def test_pack_keeps_every_document_and_ends_it(seed):
    documents = [np.full(n, n) for n in range(1, 8)]
    stream = pack(documents, 0, seed)
    assert stream.dtype == np.int32
    assert stream[-1] == 0
    runs = [run[run > 0] for run in np.split(stream, np.flatnonzero(stream == 0))]
    runs = [run for run in runs if len(run)]
    assert sorted(len(run) for run in runs) == list(range(1, 8))
    assert all((run == len(run)).all() for run in runs)


def test_the_seed_decides_the_order_of_documents():
    documents = [[n] for n in range(1, 50)]
    assert np.array_equal(pack(documents, 0, 1), pack(documents, 0, 1))
    assert not np.array_equal(pack(documents, 0, 1), pack(documents, 0, 2))


def test_an_epoch_shows_every_window_once_each_time_elsewhere(toy):
    stream = np.arange(16 * 41 + 1, dtype=np.int32)
    epochs = [torch.cat([batch_of(stream, 10 * epoch + step, toy) for step in range(10)]) for epoch in (0, 1)]
    for windows in epochs:
        assert windows.shape == (40, 17)
        assert (windows.diff(dim=1) == 1).all()
        assert (windows[:, 0].sort().values.diff() == 16).all()
    assert not torch.equal(*epochs)


def test_text_that_is_too_short_for_a_step_is_refused(toy):
    with pytest.raises(
        InputError, match=r"the text has 50 tokens: too few for a step of 4 x 16; lower pretrain\.batch"
    ):
        batch_of(np.arange(50, dtype=np.int32), 0, toy)
