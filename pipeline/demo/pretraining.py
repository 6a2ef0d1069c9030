"""Training a small RWKV-6 from scratch: weights, schedule, checkpoints, held-out bits per byte."""

import hashlib
import math
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from pipeline.base import code
from pipeline.base.errors import InputError
from pipeline.base.files import replacing
from pipeline.demo.sequences import batch_of
from pipeline.demo.settings import Pretrain
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config

RUN = 1024
"""tokens of held-out text that are read in one go"""
LOG_EVERY = 20
"""steps between two lines of the log"""


@dataclass(frozen=True)
class HeldOut:
    """Documents that are never trained on."""

    ids: Sequence[Sequence[int]]
    """tokens of each"""
    n_bytes: Sequence[int]
    """bytes of the text of each"""


def new_model(settings: Pretrain, vocabulary: int, end: int) -> Rwkv6ForCausalLM:
    """Random weights from the seed; `end` is the token that ends a text.

    Matrices that write into the residual stream, and the head, start at zero, as in BlinkDL's training code.
    """
    config = Rwkv6Config(
        vocab_size=vocabulary,
        bos_token_id=None,
        eos_token_id=end,
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.num_hidden_layers,
        head_size=settings.head_size,
        time_mix_extra_dim=settings.time_mix_extra_dim,
        time_decay_extra_dim=settings.time_decay_extra_dim,
    )
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = Rwkv6ForCausalLM(config)
    with torch.no_grad():
        model.head.weight.zero_()
        blocks: Any = model.rwkv.blocks
        for block in blocks:
            block.attention.output.weight.zero_()
            block.feed_forward.value.weight.zero_()
    return model


def optimizer_of(model: torch.nn.Module, settings: Pretrain) -> torch.optim.AdamW:
    """AdamW (arXiv 1711.05101) with decay on the matrices alone."""
    matrices = [module.weight for module in model.modules() if isinstance(module, torch.nn.Linear)]
    decayed = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in decayed]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), eps=1e-8, fused=True)


def rate_at(step: int, settings: Pretrain) -> float:
    """The learning rate of a step: linear warm-up, then half a cosine down to a tenth."""
    if step < settings.warm_up:
        return settings.learning_rate * (step + 1) / settings.warm_up
    done = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    return settings.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


def loss_of(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Mean next-token loss in nats of (B, T + 1) tokens; a GPU computes in bfloat16 with float32 weights."""
    device = next(model.parameters()).device
    batch = batch.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        logits = model(batch[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())


def held_out_bits(model: Rwkv6ForCausalLM, held: HeldOut, budget: int | None = None) -> float:
    """Bits per byte of documents, each read from a fresh state, in runs of at most 1,024 tokens.

    A run's first token is charged log2(vocabulary). With a budget of tokens: documents from the first on until it is
    spent.
    """
    model.eval()
    nats, n_bytes, spent = 0.0, 0, 0
    for tokens, size in zip(held.ids, held.n_bytes):
        if budget is not None and spent >= budget:
            break
        for start in range(0, len(tokens), RUN):
            run = torch.as_tensor(tokens[start : start + RUN], dtype=torch.long)
            nats += math.log(model.config.vocab_size)
            if len(run) > 1:
                with torch.inference_mode():
                    nats += loss_of(model, run[None]).item() * (len(run) - 1)
        spent, n_bytes = spent + len(tokens), n_bytes + size
    model.train()
    return nats / math.log(2) / n_bytes


@dataclass
class Run:
    """A model in training: what a checkpoint holds."""

    model: Rwkv6ForCausalLM
    optimizer: torch.optim.AdamW
    history: list[dict[str, Any]] = field(default_factory=list)
    """one row a step"""

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        states = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "history": self.history}
        with replacing(path) as part:
            torch.save(states, part)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint. InputError where it is not whole, or of another model."""
        device = next(self.model.parameters()).device
        try:
            saved = torch.load(path, weights_only=True, map_location=device)
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.history = saved["history"]
        except (RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
            raise InputError(
                f"{path} is not a whole checkpoint of this model: remove it, and training starts anew"
            ) from error

    def step(self, batch: torch.Tensor, rate: float) -> float:
        """One step at a learning rate -> the loss before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(self.model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0, error_if_nonfinite=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()


def train(
    model: Rwkv6ForCausalLM,
    stream: np.ndarray,
    held: HeldOut,
    settings: Pretrain,
    checkpoint: Path,
    log: Callable[[str], None] = print,
) -> pl.DataFrame:
    """Train a new model in place on its device; `checkpoint` is a file to write and to resume from.

    Returns one row a step: step, tokens, loss, seconds, and held_out (bits per byte) where it was looked at. The
    weights are rounded to float16 at the end, before the last look. Stopped and started again with the same settings on
    the same device it gives the same losses as in one go.
    """
    run = Run(model.train(), optimizer_of(model, settings))
    if checkpoint.exists():
        run.load(checkpoint)
        log(f"resumed after step {len(run.history)} of {settings.steps} from {checkpoint}")
    history, first = run.history, len(run.history)
    began, before = time.monotonic(), history[-1]["seconds"] if history else 0.0
    for step in range(first, settings.steps):
        loss = run.step(batch_of(stream, step, settings), rate_at(step, settings))
        done, seconds = step + 1, before + time.monotonic() - began
        row = {"step": done, "tokens": done * settings.step_tokens, "loss": loss, "seconds": seconds, "held_out": None}
        history.append(row)
        if done % LOG_EVERY == 0:
            recent = np.mean([row["loss"] for row in history[-LOG_EVERY:]])
            rate = (done - first) * settings.step_tokens / (seconds - before)
            log(f"step {done} of {settings.steps}: loss {recent:.4f}, {rate:.0f} tokens/s")
        if done % settings.evaluate_every == 0 and done < settings.steps:
            row["held_out"] = held_out_bits(model, held, settings.evaluate_tokens)
            log(f"step {done}: {row['held_out']:.4f} bits per byte on held-out text")
            run.save(checkpoint)
    model.half().float()  # as it is saved
    history[-1]["held_out"] = held_out_bits(model, held, settings.evaluate_tokens)
    model.eval()
    return pl.DataFrame(history, schema_overrides={"held_out": pl.Float64})


def key_of(stream: np.ndarray, settings: Pretrain, model: Rwkv6ForCausalLM) -> str:
    """What a checkpoint belongs to: text, settings, vocabulary, our code, torch's version, and the kind of device."""
    config, device = model.config, next(model.parameters()).device
    ours = code.fingerprints("pipeline.demo.pretraining")
    facts = repr((settings, config.vocab_size, config.eos_token_id, ours, torch.__version__, device.type))
    return hashlib.sha256(stream.tobytes() + facts.encode()).hexdigest()[:16]
