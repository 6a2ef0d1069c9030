"""Whether a model can be dumped, and tokens fit it and their sentences, before it runs over a corpus."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel

from pipeline.base.errors import InputError, first_line
from pipeline.formats.ragged import Ragged, lengths_of
from pipeline.formats.tokens import Tokens
from pipeline.models.devices import device_of
from pipeline.models.layers import hidden_layers
from pipeline.readouts.plain import PLAIN
from pipeline.readouts.readout import Readout

ROUNDING = {torch.float32: 0.02, torch.float16: 0.2, torch.bfloat16: 0.2}
"""how far states of a batch may be from those of single sentences, as a share of their size: far above rounding in
each type, far below the distance to the states of another sentence
"""
TRIED = 4
"""sentences that are run together and one by one"""
TRIED_TOKENS = 32
"""tokens of each of them, at most"""
PROBE = 4
"""tokens of the pass that finds tables of learned positions"""


def check_sources(sources: Mapping[str, Mapping[str, str] | None], name: str) -> None:
    """Raise InputError where a model's weights and tokenizer have one name on the hub but come from two commits of it:
    it has moved between the stages tokenize and dump.
    """
    weights, tokenizer = sources["weights"], sources["tokenizer"]
    if weights is None or tokenizer is None or weights["commit"] == tokenizer["commit"]:
        return
    if all(weights[key] == tokenizer[key] for key in ("hub", "revision")):
        raise InputError(
            f"model {name}: its token ids were made with {tokenizer['hub']}@{tokenizer['revision']} at commit "
            f"{tokenizer['commit']}, but its weights are of commit {weights['commit']}. Put one of them beside `hub` "
            f"in catalog.yaml, such as revision: {weights['commit']}, and both are made of it"
        )


def check_tokens(tokens: Tokens, texts: Sequence[str], model: PreTrainedModel, readout: Readout = PLAIN) -> None:
    """Raise InputError for tokens of other sentences than `texts`, or that the model cannot read; and for a model that
    lacks the readout, or whose layers cannot be told apart, or depend on the sentences beside.
    """
    if len(texts) != len(tokens.ids):
        raise InputError(
            f"there are {len(texts)} sentences, but the tokens of model {tokens.model} are those of {len(tokens.ids)}: "
            f"make them again with dvc repro -f -s tokenize@{tokens.model}"
        )
    check_vocabulary(tokens.ids, model.config.get_text_config().vocab_size, tokens.model)
    readout.checked(model)
    check_lengths(tokens.ids, model, tokens.model, readout)
    check_batches(tokens.ids, model, tokens.model, readout)


def check_vocabulary(ids: Sequence[np.ndarray], vocabulary: int, name: str) -> None:
    """Raise InputError for an id that the model has no embedding for. ids: S arrays (T,)."""
    tokens = Ragged.of(ids).values
    lowest, highest = int(tokens.min()), int(tokens.max())
    if lowest < 0 or highest >= vocabulary:
        raise InputError(
            f"token id {lowest if lowest < 0 else highest} is outside the vocabulary of {vocabulary} of model {name}: "
            "its `tokenizer` in catalog.yaml belongs to another model"
        )


def check_lengths(ids: Sequence[np.ndarray], model: PreTrainedModel, name: str, readout: Readout = PLAIN) -> None:
    """Raise InputError for a sentence that is longer than the model can read.

    Tables of learned positions are found by what they are asked for; what else limits the length, by a pass over the
    longest sentence.
    """
    longest = ids[int(lengths_of(ids).argmax())]
    positions = learned_positions(model, longest)
    limit = None if positions is None else positions - readout.extra_tokens
    if limit is None or len(longest) <= limit:
        try:
            readout.read(model, _batch([longest], model))
            return
        except InputError:
            raise
        except torch.OutOfMemoryError:
            return  # the dump itself says what to do
        except Exception as error:
            limit = _longest_that_runs(longest, model, readout) if isinstance(error, IndexError | RuntimeError) else 0
            if not limit:
                where = " over several places" if hasattr(model, "_hf_hook") else ""
                raise InputError(
                    f"model {name} cannot be run on token ids alone{where}: {first_line(error)}"
                ) from error
    beside = f" beside the {readout.extra_tokens} of readout {readout}" if readout.extra_tokens else ""
    raise InputError(
        f"a sentence has {len(longest)} tokens, but model {name} has {limit} positions{beside}: "
        f"set tokenize.max_tokens to {limit} and truncate to true"
    )


class _Lookups(TorchFunctionMode):
    """What tables of embeddings are asked for: a list of (rows, size of the table)."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[list[int], int]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.embedding and args[0].ndim:
            self.seen.append((args[0].reshape(-1, args[0].shape[-1])[0].tolist(), args[1].shape[0]))
        return func(*args, **(kwargs or {}))


def learned_positions(model: PreTrainedModel, ids: np.ndarray) -> int | None:
    """The length of sentences that a table of learned positions allows, None without one.

    RoBERTa and its kin begin to count at 2, so not all rows of such a table can be used. A table of positions is one
    that is asked for consecutive rows when one token is repeated.
    """
    padding = getattr(model.config.get_text_config(), "pad_token_id", None)
    token = next((int(token) for token in ids if token != padding), 0)
    lookups = _Lookups()
    try:
        with lookups:
            hidden_layers(model, _batch([np.full(PROBE, token)], model), [0])
    except InputError:
        raise
    except Exception:
        return None  # fewer positions than that, or more than lengths is wrong: a whole pass will tell
    consecutive = [size - rows[0] for rows, size in lookups.seen if rows == list(range(rows[0], rows[0] + PROBE))]
    return min(consecutive, default=None)


def check_batches(ids: Sequence[np.ndarray], model: PreTrainedModel, name: str, readout: Readout = PLAIN) -> None:
    """Raise InputError where the states of a sentence depend on those beside it in a batch."""
    chosen = [ids[row] for row in np.argsort(lengths_of(ids), kind="stable")[-TRIED:].tolist()]
    length = min(TRIED_TOKENS, *map(len, chosen)) if len(chosen) > 1 else 0
    if not length:
        return
    batch = _batch([array[:length] for array in chosen], model)
    together = readout.read(model, batch)
    for i in range(len(batch)):
        for layer, alone, of_batch in zip(readout.layers(model), readout.read(model, batch[i : i + 1]), together):
            wanted = alone[0].float()
            error = float((of_batch[i].float() - wanted).norm() / wanted.norm().clamp_min(1e-30))
            if error > ROUNDING[model.dtype]:
                raise InputError(
                    f"layer {layer} of model {name} ({type(model).__name__}) is another for a sentence in a batch than "
                    f"alone, by {error:.2g} of its size: only models that read each sentence by itself are supported"
                )


def _batch(sentences: Sequence[np.ndarray], model: PreTrainedModel) -> torch.Tensor:
    return torch.as_tensor(np.stack(sentences), dtype=torch.long).to(device_of(model))


def _longest_that_runs(ids: np.ndarray, model: PreTrainedModel, readout: Readout) -> int:
    """The longest beginning of a sentence that a model runs over, 0 if there is none. On the CPU alone: a GPU does not
    recover from an index that is out of range.
    """
    runs, fails = 0, len(ids)
    while device_of(model).type == "cpu" and fails - runs > 1:
        middle = (runs + fails) // 2
        try:
            readout.read(model, _batch([ids[:middle]], model))
            runs = middle
        except (IndexError, RuntimeError):
            fails = middle
    return runs
