"""One layer and pooling of a model of the catalogue as a `SentenceTransformer`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from pipeline.base import settings
from pipeline.base.errors import InputError, needs_extra
from pipeline.base.machine import device_named
from pipeline.catalog import entries
from pipeline.dump.settings import Dump, of_model
from pipeline.models import load, weights
from pipeline.models.layers import depth_of, layer_numbers
from pipeline.pool.names import Pooling
from pipeline.readouts.readout import Readout
from pipeline.readouts.registry import readout_named
from pipeline.text.encoding import Encoded, encode
from pipeline.text.settings import Tokenize
from pipeline.text.tokenizers import tokenizer_of

with needs_extra("encoders"):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import InputModule

Encode = Callable[[list[str]], Encoded]
"""S texts -> what the model reads of them"""


class PooledLayer(InputModule):
    """Texts -> the vectors that the stages tokenize, dump and pool make of them."""

    def __init__(
        self,
        network: PreTrainedModel,
        encode: Encode,
        layer: int,
        pooling: Pooling,
        store: torch.dtype,
        readout: Readout,
    ) -> None:
        super().__init__()
        self.network, self.encode, self.layer, self.pooling, self.store = network, encode, layer, pooling, store
        self.readout = readout

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """S texts, each after the prompt and then in the template -> their token ids (S, T), padded, and shapes (S, 3).

        A shape is the number of tokens, the first one that is pooled, and the one after the last.
        """
        encoded = self.encode([(prompt or "") + text for text in inputs])
        ids = [torch.from_numpy(of_text).long() for of_text in encoded.ids]
        shapes = torch.tensor([[len(of_text), *span] for of_text, span in zip(ids, encoded.spans.tolist())])
        return {"input_ids": torch.nn.utils.rnn.pad_sequence(ids, batch_first=True), "shapes": shapes}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Token ids -> vectors (S, D) float32; sentences of one shape share a pass, so that no mask is needed."""
        ids, shapes = features["input_ids"], features["shapes"]
        pooled: dict[int, np.ndarray] = {}
        for shape in shapes.unique(dim=0):
            rows = torch.nonzero((shapes == shape).all(dim=1))[:, 0]
            length, start, stop = shape.tolist()
            (states,) = self.readout.read(self.network, ids[rows, :length], [self.layer])
            stored = states[:, start:stop].to(self.store).float().cpu().numpy()  # rounded as the dump rounds them
            pooled |= dict(zip(rows.tolist(), self.pooling.function(stored, *self.pooling.numbers)))
        vectors = np.stack([pooled[row] for row in range(len(ids))])
        return features | {"sentence_embedding": torch.from_numpy(vectors).to(ids.device)}

    def get_embedding_dimension(self) -> int:
        """Width of a vector."""
        width = self.readout.width(self.network)
        return self.pooling.function(np.zeros((1, width), np.float32), *self.pooling.numbers).shape[-1]

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        """Nothing is saved: a folder that names a class of ours would ask its user to trust remote code."""
        raise InputError("an exported layer is not saved: call sentence_transformer with its name where it is used")


def sentence_transformer(model: str, layer: int, pooling: str = "mean", device: str = "") -> SentenceTransformer:
    """A model of catalog.yaml, a layer (C1; negative numbers count from the last) and a pooling -> an encoder.

    Its vectors are those of `data/pooled/MODEL`, under params.yaml's sections `tokenize` and `dump`. InputError for a
    pooling that takes more than the states of a sentence, such as what was learned.
    """
    named = Pooling.parse(pooling)
    if named.kind != "tokens":
        raise InputError(f"pooling {pooling} takes more than the states of a sentence: only fixed ones can be exported")
    entry, limits = weights.drawn(entries.entry("models", model), model), settings.section(Tokenize)
    dump = of_model(settings.section(Dump), entry, model)
    if dump.keep == "state":
        raise InputError(f"model {model} keeps its recurrent state (keep: state): export an entry that keeps tokens")
    network = load.load(entry, weights.locate(entry, model), model, dump.dtype)
    readout = readout_named(dump.readout)
    readout.checked(network)
    (number,) = layer_numbers([layer], depth_of(network), readout.first)
    tokenizer = tokenizer_of(entry, model)

    def encode_texts(texts: list[str]) -> Encoded:
        return encode(texts, tokenizer, limits, entry.bos, entry.template)

    module = PooledLayer(network, encode_texts, number, named, getattr(torch, dump.store), readout)
    return SentenceTransformer(modules=[module], device=str(device_named(device)))
