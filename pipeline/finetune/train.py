"""The loop: batches of train pairs, an evaluation on the fold that is held out after each epoch, checkpoints.

Everything random is drawn anew for each epoch from finetune.seed, so a run that was killed and goes on from the last
checkpoint ends with the same weights as one that was not, on the same device with the same number of threads.
"""

import math
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from pipeline.base.errors import InputError
from pipeline.base.progress import progress
from pipeline.finetune.checkpoint import Log, Progress, load, save, snapshot
from pipeline.finetune.learning import Learning, steps_of
from pipeline.finetune.losses import LOSSES, Batch
from pipeline.finetune.method import Trainee, dropout_of_embeddings, recompute_blocks
from pipeline.finetune.settings import Finetune
from pipeline.finetune.vectors import vectors
from pipeline.stats.ranks import spearman

CLIP = 1.0
"""largest norm of the gradients of a step"""
WARM_UP = 0.1
"""share of the steps in which the learning rate rises"""
SENTENCES_AT_ONCE = 64


def loss_of(trainee: Trainee, learning: Learning, chosen: np.ndarray, settings: Finetune) -> torch.Tensor:
    """The loss of a batch; a GPU computes in bfloat16 with float32 weights."""
    device = trainee.model.device
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        if settings.loss == "simcse":
            first, second = (_vectors(trainee, learning, chosen, settings) for _ in range(2))
            nothing = torch.zeros(len(chosen), device=device)
            batch = Batch(nothing, nothing.long(), nothing.bool())
        else:
            pairs = learning.pairs
            texts, where = np.unique(np.concatenate([pairs.first[chosen], pairs.second[chosen]]), return_inverse=True)
            at = torch.from_numpy(where).to(device)
            of_texts = _vectors(trainee, learning, texts, settings)
            first, second = (of_texts.index_select(0, side) for side in at.split(len(chosen)))
            batch = Batch(
                torch.from_numpy(learning.labels[chosen]).to(device),
                torch.from_numpy(pairs.component[chosen]).to(device),
                torch.from_numpy(learning.positive[chosen]).to(device),
            )
    return LOSSES[settings.loss](first.float(), second.float(), batch, settings.scale)


def _vectors(trainee: Trainee, learning: Learning, texts: np.ndarray, settings: Finetune) -> torch.Tensor:
    ids = [learning.ids[i] for i in texts.tolist()]
    return vectors(trainee.model, ids, trainee.layer, settings.pooling, learning.spans[texts])


def held_out_rho(trainee: Trainee, learning: Learning, settings: Finetune) -> float:
    """Spearman's rho of the held-out pairs with their true labels."""
    pairs = learning.pairs
    texts, where = np.unique(
        np.concatenate([pairs.first[learning.held], pairs.second[learning.held]]), return_inverse=True
    )
    order = np.argsort([len(learning.ids[i]) for i in texts.tolist()], kind="stable")
    trainee.model.eval()
    with torch.inference_mode():
        parts = np.array_split(texts[order], max(1, len(texts) // SENTENCES_AT_ONCE))
        pooled = torch.cat([_vectors(trainee, learning, part, settings) for part in parts]).double().cpu()
    first, second = torch.from_numpy(np.argsort(order)[where]).split(len(learning.held))
    cosines = torch.nn.functional.cosine_similarity(pooled[first], pooled[second], dim=-1).numpy()
    rho = spearman(cosines, pairs.labels[learning.held])
    return math.nan if rho is None else rho


def rate_at(step: int, steps: int) -> float:
    """The share of the learning rate at a step: linear up, then linear down to 0 after the last."""
    warm = max(1, round(WARM_UP * steps))
    return min((step + 1) / warm, (steps - step) / max(1, steps - warm + 1))


def train(trainee: Trainee, learning: Learning, settings: Finetune, checkpoint: Path, log: Log) -> Progress:
    """Train until finetune.epochs or finetune.patience ends it -> the weights of the best epoch, and the history.

    It goes on from a checkpoint where there is one.
    """
    optimizer = torch.optim.AdamW(trainee.weights.values(), lr=settings.learning_rate, weight_decay=0.0)
    if settings.recompute:
        recompute_blocks(trainee.model)
    done = load(checkpoint, trainee, optimizer, log)
    if done is None:
        done = Progress(snapshot(trainee))
        done.history.append({"epoch": 0, "loss": math.nan, "rho": held_out_rho(trainee, learning, settings)})
        log(f"rho of the {len(learning.held)} held-out pairs before training: {done.history[0]['rho']:.3f}")
    steps = settings.epochs * len(list(steps_of(learning, settings, 1)))
    dropped = dropout_of_embeddings(trainee.model, settings.dropout) if settings.loss == "simcse" else nullcontext()
    with dropped:
        while len(done.history) <= settings.epochs and not _is_out_of_patience(done, settings):
            epoch = len(done.history)
            loss = one_epoch(trainee, learning, settings, optimizer, epoch, steps)
            done.history.append({"epoch": epoch, "loss": loss, "rho": held_out_rho(trainee, learning, settings)})
            if done.best["epoch"] == epoch:
                done.weights = snapshot(trainee)
            save(checkpoint, trainee, optimizer, done)
            log(f"epoch {epoch}: loss {loss:.3f}, held-out rho {done.history[-1]['rho']:.3f}")
    return done


def _is_out_of_patience(done: Progress, settings: Finetune) -> bool:
    return len(done.history) - 1 - done.best["epoch"] >= settings.patience


def one_epoch(
    trainee: Trainee,
    learning: Learning,
    settings: Finetune,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    steps: int,
) -> float:
    """Every batch once -> the mean loss."""
    trainee.model.train()
    total, count = 0.0, 0
    listed = list(steps_of(learning, settings, epoch))
    with torch.random.fork_rng(devices=[trainee.model.device] if trainee.model.device.type == "cuda" else []):
        torch.manual_seed(settings.seed * 1_000_003 + epoch)  # of dropout
        for number, step in enumerate(progress(listed, f"finetune, epoch {epoch}", "step")):
            for batch in step:
                loss = loss_of(trainee, learning, batch, settings) / len(step)
                loss.backward()
                total, count = total + loss.item() * len(step), count + 1
            torch.nn.utils.clip_grad_norm_(trainee.weights.values(), CLIP)
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * rate_at((epoch - 1) * len(listed) + number, steps)
            optimizer.step()
            optimizer.zero_grad()
    if not math.isfinite(total):
        raise InputError(
            f"the loss of epoch {epoch} is {total}: lower finetune.learning_rate ({settings.learning_rate:g})"
        )
    return total / count
