"""RWKV-6 "Finch" (arXiv 2404.05892) as transformers classes, in plain PyTorch, without remote code.

Glossary: our letter, the paper's letter, the name in the checkpoints, the shape.

    B, T, D, H, N           batch, tokens, hidden size, heads, head size (D = H N)
    R, S                    ranks of the low-rank maps for the mixes and for the decay
    mu_x, mu_{w,k,v,r,g}    mu        time_maa_x, time_maa_w ...   (1, 1, D)   static part of the token-shift mixes
    A, B of the mixes       A, B      time_maa_w1, time_maa_w2     (D, 5R), (5, R, D)
    decay, its A and B      lambda    time_decay, _w1, _w2         (1, 1, D), (D, S), (S, D)
    u                       u         time_faaaa                   (H, N)      bonus of the current token
    r, k, v, g              r, k, v, g  receptance, key, value, gate          (B, T, D)
    log_w                   log w_t   (data-dependent, always < 0)            (B, T, D)

Parameter names are those of the Hugging Face Finch checkpoints; `pipeline.checkpoints` maps BlinkDL's names to them.
Two things differ from the code that is published with those checkpoints, both on purpose: the residual stream is never
rescaled (`rescale_every` is ignored, so that every layer is in the same unit), and it stays in float32 when the weights
are in a narrower type.
"""

import functools
import warnings

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

CHUNK = 32  # tokens that the recurrence takes at once
LOG_DECAY_FLOOR = -40.0  # exp(-40) = 4e-18 is below float64's resolution, and CHUNK * 40 / 2 is inside its exponent range
FLOAT32_RANGE = 40.0  # half a chunk's log-decay up to which float32 holds both factors, with an error of 40 * 6e-8 each


class Rwkv6Config(PreTrainedConfig):
    """Sizes of an RWKV-6 model.

    `head_size_divisor` sets the epsilon of the group norm after the recurrence, 1e-5 * head_size_divisor**2; 8 in Finch.
    Ranks that are None follow Finch: R = 32 and S = 64, twice that from D = 4096.
    """

    model_type = "rwkv6"

    vocab_size: int = 65536
    hidden_size: int = 2048
    num_hidden_layers: int = 24
    head_size: int = 64
    head_size_divisor: int = 8
    intermediate_size: int | None = None
    time_mix_extra_dim: int | None = None
    time_decay_extra_dim: int | None = None
    layer_norm_epsilon: float = 1e-5
    bos_token_id: int | None = 0
    eos_token_id: int | None = 0
    tie_word_embeddings: bool = False
    use_cache: bool = False

    def __post_init__(self, **kwargs):
        kwargs.pop("num_attention_heads", None)  # published configs say 64, the head size; the heads are D / head_size
        for unused in ("rescale_every", "attention_hidden_size", "model_version"):
            kwargs.pop(unused, None)
        if self.hidden_size % self.head_size:
            raise ValueError(f"hidden_size {self.hidden_size} is not a multiple of head_size {self.head_size}: change one of them")
        wide = self.hidden_size >= 4096
        self.intermediate_size = self.intermediate_size or self.hidden_size * 7 // 2 // 32 * 32
        self.time_mix_extra_dim = self.time_mix_extra_dim or (64 if wide else 32)
        self.time_decay_extra_dim = self.time_decay_extra_dim or (128 if wide else 64)
        super().__post_init__(**kwargs)


def shift(x):
    """The previous token's vector at each place, zero before the first: (B, T, D) -> (B, T, D)."""
    return F.pad(x, (0, 0, 1, -1))


def wkv(r, k, v, log_w, u):
    """The recurrence of RWKV-6 (arXiv 2404.05892, time mixing of Finch), in chunks of CHUNK tokens.

    y_t = r_t (S_{t-1} + diag(u) k_t^T v_t),   S_t = diag(w_t) S_{t-1} + k_t^T v_t,   S_0 = 0.

    Inside a chunk, with c the running sum of log w: y_t = sum_{s<t} A_ts v_s + (r_t u . k_t) v_t and
    A_ts = sum_i r_ti k_si exp(c_{t-1,i} - c_{s,i}), which factorises around a pivot in the middle of the range of c.
    Where no chunk's log-decay leaves FLOAT32_RANGE on either side of its pivot all of it is float32, else float64; there
    the floor on log w keeps both factors in range whatever the decay, and what it changes is below rounding.

    r, k, v, log_w: (B, T, H, N), u: (H, N) -> (B, T, H, N) in float32 or float64.
    """
    totals = F.pad(log_w.detach().float(), (0, 0, 0, 0, 0, -log_w.shape[1] % CHUNK)).unflatten(1, (-1, CHUNK)).sum(2)
    kind = torch.float32 if log_w.dtype != torch.float64 and totals.amin() > -2 * FLOAT32_RANGE else torch.float64
    log_w = log_w.clamp(min=LOG_DECAY_FLOOR) if kind == torch.float64 else log_w
    r, k, v, log_w = (a.to(kind).transpose(1, 2) for a in (r, k, v, log_w))  # (B, H, T, N)
    chunks = zip(*(a.split(CHUNK, dim=2) for a in (r, k, v, log_w, r * u.to(kind)[:, None, :])))
    later = torch.ones(CHUNK, CHUNK, dtype=torch.bool, device=r.device).triu()
    state, out = None, []
    for r, k, v, log_w, ru in chunks:
        c, n = log_w.cumsum(dim=2), log_w.shape[2]  # decay from the chunk's start to after token t, (B, H, C, N)
        before, total = c - log_w, c[:, :, -1:]  # the same to before token t; over the whole chunk
        pivot = total / 2
        a = (r * (before - pivot).exp()) @ (k * (pivot - c).exp()).transpose(2, 3)  # (B, H, C, C)
        a = a.masked_fill(later[:n, :n], 0.0)  # only earlier tokens
        y = a @ v + (ru * k).sum(-1, keepdim=True) * v  # (B, H, C, N)
        new = (k * (total - c).exp()).transpose(2, 3) @ v  # what this chunk adds to the state, (B, H, N, N)
        if state is not None:
            y = y + (r * before.exp()) @ state
            new = new + total.exp().transpose(2, 3) * state
        state = new
        out.append(y)
    return torch.cat(out, dim=2).transpose(1, 2)


@functools.cache
def fused_kernel(device):
    """The chunked kernel of `flash-linear-attention` (extra `gpu`) as a function like `wkv`, or None.

    It is used on a GPU with weights in bfloat16 or float16, where it is installed and, tried once on random input, agrees with
    `wkv` within 2 % of the largest value, four times the resolution of bfloat16; if not, that is said and `wkv` is used.
    """
    try:
        from fla.ops.rwkv6 import chunk_rwkv6
    except ImportError:
        return None

    def fused(r, k, v, log_w, u):
        return chunk_rwkv6(r, k, v, log_w.to(r.dtype), u.to(r.dtype), scale=1.0)[0]

    generator = torch.Generator().manual_seed(0)
    r, k, v, d = torch.randn(4, 2, 100, 4, 64, generator=generator).to(device, torch.bfloat16)
    u = torch.randn(4, 64, generator=generator).to(device, torch.bfloat16)
    try:
        ours, theirs = (function(r, k, v, -torch.exp(d.float() - 1), u).float() for function in (wkv, fused))
    except Exception as error:  # whatever a kernel's compiler may raise
        warnings.warn(f"flash-linear-attention does not run on {device} ({error}): going on without it", stacklevel=2)
        return None
    difference = ((ours - theirs).abs().max() / ours.abs().max()).item()
    if not difference <= 0.02:  # NaN is no agreement either
        warnings.warn(f"flash-linear-attention differs from our recurrence by {difference:.1%} on {device}: going on without it", stacklevel=2)
        return None
    return fused


def recurrence(r, k, v, log_w, u):
    """`wkv`, by a fused kernel where there is one for this device and type."""
    kernel = fused_kernel(r.device) if r.is_cuda and r.dtype in (torch.bfloat16, torch.float16) and not torch.is_grad_enabled() else None
    return (kernel or wkv)(r, k, v, log_w, u)


class LayerNorm(nn.LayerNorm):
    """LayerNorm in the type of its input (float32 residual), cast to the type of its weights on the way out."""

    def forward(self, x):
        return F.layer_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps).to(self.weight.dtype)


class Rwkv6TimeMix(nn.Module):
    """Time mixing (arXiv 2404.05892, time mixing of Finch)."""

    def __init__(self, config, layer):
        super().__init__()
        D, H, N = config.hidden_size, config.hidden_size // config.head_size, config.head_size
        self.layer, self.heads, self.depth = layer, H, config.num_hidden_layers
        for name in "xwkvrg":
            setattr(self, f"time_maa_{name}", nn.Parameter(torch.empty(1, 1, D)))
        self.time_maa_w1 = nn.Parameter(torch.empty(D, 5 * config.time_mix_extra_dim))
        self.time_maa_w2 = nn.Parameter(torch.empty(5, config.time_mix_extra_dim, D))
        self.time_decay = nn.Parameter(torch.empty(1, 1, D))
        self.time_decay_w1 = nn.Parameter(torch.empty(D, config.time_decay_extra_dim))
        self.time_decay_w2 = nn.Parameter(torch.empty(config.time_decay_extra_dim, D))
        self.time_faaaa = nn.Parameter(torch.empty(H, N))
        for name in ("receptance", "key", "value", "gate", "output"):
            setattr(self, name, nn.Linear(D, D, bias=False))
        self.ln_x = nn.GroupNorm(H, D, eps=1e-5 * config.head_size_divisor**2)

    def forward(self, x):
        d = shift(x) - x  # (B, T, D)
        low = torch.tanh((x + d * self.time_maa_x) @ self.time_maa_w1).unflatten(-1, (5, -1))  # (B, T, 5, R)
        mw, mk, mv, mr, mg = torch.einsum("btfr,frd->fbtd", low, self.time_maa_w2)  # in this order in the checkpoints
        decay = torch.tanh((x + d * (self.time_maa_w + mw)) @ self.time_decay_w1) @ self.time_decay_w2
        log_w = -torch.exp((self.time_decay + decay).float())  # (B, T, D)
        k = self.key(x + d * (self.time_maa_k + mk))
        v = self.value(x + d * (self.time_maa_v + mv))
        r = self.receptance(x + d * (self.time_maa_r + mr))
        g = F.silu(self.gate(x + d * (self.time_maa_g + mg)))
        y = recurrence(*(a.unflatten(-1, (self.heads, -1)) for a in (r, k, v, log_w)), self.time_faaaa)  # (B, T, H, N)
        y = y.flatten(0, 1).flatten(1).to(torch.promote_types(torch.float32, x.dtype))  # (B T, D)
        norm = self.ln_x
        y = F.group_norm(y, self.heads, norm.weight.to(y.dtype), norm.bias.to(y.dtype), norm.eps)  # each head by itself
        return self.output(y.view(x.shape).to(x.dtype) * g)


class Rwkv6ChannelMix(nn.Module):
    """Channel mixing (arXiv 2404.05892, channel mixing)."""

    def __init__(self, config, layer):
        super().__init__()
        D = config.hidden_size
        self.layer, self.depth = layer, config.num_hidden_layers
        self.time_maa_k = nn.Parameter(torch.empty(1, 1, D))
        self.time_maa_r = nn.Parameter(torch.empty(1, 1, D))
        self.key = nn.Linear(D, config.intermediate_size, bias=False)
        self.receptance = nn.Linear(D, D, bias=False)
        self.value = nn.Linear(config.intermediate_size, D, bias=False)

    def forward(self, x):
        d = shift(x) - x
        k = torch.relu(self.key(x + d * self.time_maa_k)) ** 2  # (B, T, intermediate_size)
        return torch.sigmoid(self.receptance(x + d * self.time_maa_r)) * self.value(k)


class Rwkv6Block(nn.Module):
    """x + time mixing of ln1(x), then + channel mixing of ln2 of that. Block 0 also owns the norm of the embedding."""

    def __init__(self, config, layer):
        super().__init__()
        D, eps = config.hidden_size, config.layer_norm_epsilon
        if layer == 0:
            self.pre_ln = LayerNorm(D, eps=eps)
        self.ln1, self.ln2 = LayerNorm(D, eps=eps), LayerNorm(D, eps=eps)
        self.attention = Rwkv6TimeMix(config, layer)
        self.feed_forward = Rwkv6ChannelMix(config, layer)

    def forward(self, x):
        x = x + self.attention(self.ln1(x))
        return x + self.feed_forward(self.ln2(x))


class Rwkv6PreTrainedModel(PreTrainedModel):
    config_class = Rwkv6Config
    base_model_prefix = "rwkv"
    _no_split_modules = ("Rwkv6Block",)

    @torch.no_grad()
    def _init_weights(self, module):
        """Mixes, decays and bonus as in BlinkDL's training code, matrices normal with variance 1 / inputs.

        BlinkDL starts the output matrices at zero; here they are random too, so that an untrained model is a control in
        which every block does something.
        """
        if isinstance(module, nn.Linear):
            init.normal_(module.weight, std=module.in_features**-0.5)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=0.02)
        elif isinstance(module, nn.LayerNorm | nn.GroupNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, Rwkv6TimeMix | Rwkv6ChannelMix):
            depth, down = module.layer / max(module.depth - 1, 1), 1 - module.layer / module.depth  # 0 to 1; 1 to almost 0
            D = module.time_maa_k.shape[-1]
            place = torch.arange(D) / D
            mix = (1 - place**down).view(1, 1, D)
            init.copy_(module.time_maa_k, mix)
            if isinstance(module, Rwkv6ChannelMix):
                init.copy_(module.time_maa_r, mix)
                return
            init.copy_(module.time_maa_x, mix)
            init.copy_(module.time_maa_w, mix)
            init.copy_(module.time_maa_v, mix - 0.3 * depth)
            init.copy_(module.time_maa_r, (1 - place ** (0.5 * down)).view(1, 1, D))
            init.copy_(module.time_maa_g, (1 - place ** (0.5 * down)).view(1, 1, D))
            for name in ("time_maa_w1", "time_maa_w2", "time_decay_w1", "time_decay_w2"):
                init.uniform_(getattr(module, name), -0.01, 0.01)
            place = torch.arange(D) / max(D - 1, 1)
            init.copy_(module.time_decay, (-6 + 5 * place ** (0.7 + 1.3 * depth)).view(1, 1, D))
            zigzag = ((torch.arange(D) + 1) % 3 - 1) * 0.1
            init.copy_(module.time_faaaa, (depth * (1 - place) + zigzag).view(module.heads, -1))


class Rwkv6Model(Rwkv6PreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.blocks = nn.ModuleList(Rwkv6Block(config, layer) for layer in range(config.num_hidden_layers))
        self.ln_out = LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.post_init()

    def get_input_embeddings(self):
        return self.embeddings

    def set_input_embeddings(self, embeddings):
        self.embeddings = embeddings

    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None, output_hidden_states=None, **_):
        """Token ids (B, T) or their embeddings (B, T, D) -> the normed last layer (B, T, D).

        With `output_hidden_states`, `hidden_states` holds the L + 1 layers of contract C1: the normed embedding, then the
        residual stream after each block, float32, without the final norm. The model is causal, so right padding changes
        nothing before it; left padding would, and is refused with ValueError.
        """
        if attention_mask is not None and (attention_mask[:, 1:] > attention_mask[:, :-1]).any():
            raise ValueError("attention_mask has padding before a token: RWKV reads from the left, so pad on the right")
        x = self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        x = self.blocks[0].pre_ln(x)
        x = x.to(torch.promote_types(torch.float32, x.dtype))
        layers = [x]
        for block in self.blocks:
            x = block(x)
            if output_hidden_states:
                layers.append(x)
        return BaseModelOutput(last_hidden_state=self.ln_out(x), hidden_states=tuple(layers) if output_hidden_states else None)


class Rwkv6ForCausalLM(Rwkv6PreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.rwkv = Rwkv6Model(config)
        self.head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_output_embeddings(self):
        return self.head

    def set_output_embeddings(self, head):
        self.head = head

    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None, labels=None, output_hidden_states=None, **_):
        """As `Rwkv6Model`, with logits (B, T, vocabulary) and, given labels (B, T; -100 is left out), the mean next-token loss in nats."""
        out = self.rwkv(input_ids, attention_mask, inputs_embeds, output_hidden_states)
        logits = self.head(out.last_hidden_state)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        return CausalLMOutput(loss=loss, logits=logits, hidden_states=out.hidden_states)


AutoConfig.register("rwkv6", Rwkv6Config)
AutoModel.register(Rwkv6Config, Rwkv6Model)
AutoModelForCausalLM.register(Rwkv6Config, Rwkv6ForCausalLM)
