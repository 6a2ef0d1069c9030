"""Training a small RWKV-6 from scratch on documents: packing, schedule, checkpoints, held-out bits per byte."""

import hashlib
import math
import pickle
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch

from pipeline.catalog import digest
from pipeline.files import replacing
from pipeline.params import at_least
from pipeline.rwkv6 import Rwkv6Config, Rwkv6ForCausalLM


@dataclass(frozen=True)
class Pretrain:
    """Section `pretrain` of data/demo/params.yaml."""

    hidden_size: int
    num_hidden_layers: int
    head_size: int
    time_mix_extra_dim: int
    time_decay_extra_dim: int
    context: int
    """tokens of one training sequence"""
    batch: int
    """sequences of one step"""
    tokens: int
    """tokens to train on in all; more than the text holds means several epochs"""
    learning_rate: float
    """at the end of the warm-up; a cosine takes it down to a tenth"""
    warm_up: int
    """steps over which the learning rate rises from 0"""
    weight_decay: float
    """of the matrices, not of norms, mixes, decays and embeddings"""
    seed: int
    evaluate_every: int
    """steps between two looks at the held-out part, and between two checkpoints"""
    evaluate_tokens: int
    """tokens of the held-out part that such a look takes, from its first document on"""

    def __post_init__(self):
        least = dict.fromkeys(("hidden_size", "num_hidden_layers", "head_size", "time_mix_extra_dim", "time_decay_extra_dim", "batch", "evaluate_every"), 1)
        at_least("pretrain", self, **least, context=2, evaluate_tokens=2, seed=0, warm_up=0, weight_decay=0, tokens=self.batch * self.context)
        if self.learning_rate <= 0:
            raise ValueError(f"pretrain.learning_rate is {self.learning_rate}, expected more than 0")

    @property
    def steps(self):
        return self.tokens // (self.batch * self.context)


def pack(ids, end, seed):
    """Documents in random order as one stream (N,) of int32, each followed by the token `end`."""
    order = np.random.default_rng(seed).permutation(len(ids))
    return np.concatenate([part for i in order for part in (np.asarray(ids[i], dtype=np.int32), np.array([end], dtype=np.int32))])


def batch_of(stream, step, settings):
    """The (batch, context + 1) tokens of one step, from the stream, the seed and the step alone, so that a resumed run sees the same.

    An epoch cuts the stream into windows from an offset of its own and takes them in random order.
    """
    windows = (len(stream) - 1) // settings.context - 1  # one less: the offset moves them by up to a window
    if windows < settings.batch:
        raise ValueError(
            f"the text has {len(stream)} tokens: too few for a step of {settings.batch} x {settings.context}; lower pretrain.batch or pretrain.context"
        )
    per_epoch = windows // settings.batch
    random = np.random.default_rng([settings.seed, step // per_epoch])
    offset, order = random.integers(settings.context), random.permutation(windows)
    chosen = order[step % per_epoch * settings.batch :][: settings.batch]
    return torch.from_numpy(np.stack([stream[offset + w * settings.context :][: settings.context + 1] for w in chosen])).long()


def new_model(settings, vocabulary, end):
    """Random weights from the seed. Matrices that write into the residual stream, and the head, start at zero, as in BlinkDL's training code."""
    sizes = ("hidden_size", "num_hidden_layers", "head_size", "time_mix_extra_dim", "time_decay_extra_dim")
    config = Rwkv6Config(vocab_size=vocabulary, bos_token_id=None, eos_token_id=end, **{name: getattr(settings, name) for name in sizes})
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = Rwkv6ForCausalLM(config)
    with torch.no_grad():
        model.head.weight.zero_()
        for block in model.rwkv.blocks:
            block.attention.output.weight.zero_()
            block.feed_forward.value.weight.zero_()
    return model


def optimizer_of(model, settings):
    """AdamW (arXiv 1711.05101) with decay on the matrices alone."""
    matrices = [module.weight for module in model.modules() if isinstance(module, torch.nn.Linear)]
    held = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in held]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), eps=1e-8, fused=True)


def rate_at(step, settings):
    """The learning rate of a step: linear warm-up, then half a cosine down to a tenth."""
    if step < settings.warm_up:
        return settings.learning_rate * (step + 1) / settings.warm_up
    done = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    return settings.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


def loss_of(model, batch):
    """Mean next-token loss in nats of (B, T + 1) tokens; in bfloat16 with float32 weights on a GPU, in float32 on the CPU."""
    device = next(model.parameters()).device
    batch = batch.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        logits = model(batch[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())


def held_out_bits(model, ids, n_bytes, budget=None):
    """Bits per byte of documents, each read from a fresh state, in runs of at most 1,024 tokens; a run's first token is charged log2(vocabulary).

    ids: a list of integer arrays; n_bytes: the bytes of each. With a budget, documents from the first on until it is spent.
    """
    model.eval()
    nats = total = spent = 0
    for one, size in zip(ids, n_bytes):
        if budget is not None and spent >= budget:
            break
        for start in range(0, len(one), 1024):
            part = torch.as_tensor(one[start : start + 1024], dtype=torch.long)
            nats += math.log(model.config.vocab_size)
            if len(part) > 1:
                with torch.inference_mode():
                    nats += loss_of(model, part[None]).item() * (len(part) - 1)
        spent, total = spent + len(one), total + size
    model.train()
    return nats / math.log(2) / total


def train(stream, held, settings: Pretrain, vocabulary, end, checkpoint, device="cpu", log=print):
    """-> (model, history). `held`: (ids, bytes) of the held-out documents; `checkpoint`: a file to write and to resume from.

    history: one row a step, {step, tokens, loss, seconds}, and held_out (bits per byte) where it was looked at. The weights are
    rounded to float16 at the end, before the last look. Stopped and started again with the same settings on the same device
    it gives the same losses as in one go.
    """
    model = new_model(settings, vocabulary, end).to(device).train()
    optimizer, history, checkpoint = optimizer_of(model, settings), [], Path(checkpoint)
    if checkpoint.exists():
        try:
            saved = torch.load(checkpoint, weights_only=True, map_location=device)
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            history = saved["history"]
        except (RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
            raise ValueError(f"{checkpoint} is not a whole checkpoint of this model: remove it, and training starts anew") from error
        log(f"resumed after step {len(history)} of {settings.steps} from {checkpoint}")
    began, first, batch_size = time.monotonic(), len(history), settings.batch * settings.context
    before = history[-1]["seconds"] if history else 0.0
    for step in range(first, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, settings)
        loss = loss_of(model, batch_of(stream, step, settings))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds = before + time.monotonic() - began
        history.append({"step": step + 1, "tokens": (step + 1) * batch_size, "loss": loss.item(), "seconds": seconds, "held_out": None})
        if (step + 1) % 20 == 0:
            rate = (step + 1 - first) * batch_size / (seconds - before)
            log(f"step {step + 1} of {settings.steps}: loss {np.mean([h['loss'] for h in history[-20:]]):.4f}, {rate:.0f} tokens/s")
        if (step + 1) % settings.evaluate_every == 0 and step + 1 < settings.steps:
            history[-1]["held_out"] = held_out_bits(model, *held, settings.evaluate_tokens)
            log(f"step {step + 1}: {history[-1]['held_out']:.4f} bits per byte on held-out text")
            with replacing(checkpoint) as part:
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history}, part)
    model.half().float()  # as it is saved
    history[-1]["held_out"] = held_out_bits(model, *held, settings.evaluate_tokens)
    return model.eval(), pl.DataFrame(history, schema_overrides={"held_out": pl.Float64})


def key_of(stream, settings, vocabulary, end, device):
    """What a checkpoint belongs to: text, settings, our code, the version of torch, and the kind of device."""
    code = digest([Path(__file__), Path(__file__).with_name("rwkv6.py")])
    parts = repr((settings, vocabulary, end, code, torch.__version__, torch.device(device).type))
    return hashlib.sha256(stream.tobytes() + parts.encode()).hexdigest()[:16]


def loss_curve(history, final, bits_per_nat, bars, path):
    """Bits per byte against tokens seen: training (running mean), the held-out sample and all of it, and the n-gram models as lines.

    final: bits per byte of all held-out text; bits_per_nat: bits per byte of training text that one nat of loss per token stands
    for; bars: {name: bits per byte}.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    held = history.drop_nulls("held_out")
    smooth = max(1, len(history) // 100)
    with plt.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axis = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
        training = history["loss"].rolling_mean(smooth) * bits_per_nat
        axis.plot(history["tokens"] / 1e6, training, color="0.65", linewidth=1, label=f"training, mean of {smooth} steps")
        axis.plot(
            held["tokens"] / 1e6, held["held_out"], "o-", markersize=3, color="C0", linewidth=1.2, label="held-out sample, each document from a fresh state"
        )
        axis.plot(history["tokens"][-1] / 1e6, final, "*", markersize=11, color="C3", clip_on=False, label=f"all held-out text: {final:.2f}")
        for name, bits in bars.items():
            axis.axhline(bits, color="0.3", linewidth=0.8, linestyle="--")
            axis.annotate(f"{name}  {bits:.2f}", (1, bits), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8, color="0.3")
        axis.set(xlabel="tokens seen, millions", ylabel="bits per byte", xlim=(0, None))
        axis.set_ylim(0.93 * min(final, held["held_out"].min()), 1.05 * max([*bars.values(), held["held_out"].max()]))
        axis.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.92))
        figure.savefig(path, dpi=160, format="png")
        plt.close(figure)
