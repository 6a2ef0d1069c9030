"""RWKV-6 "Finch" (arXiv 2404.05892) as transformers classes, in plain PyTorch, without remote code.

The equations and the glossary of their letters are in `rwkv6_blocks`, the recurrence is in `rwkv6_recurrence`. Two
things differ from the code that is published with the checkpoints, both on purpose: the residual stream is never
rescaled (`rescale_every` is ignored, so that every layer is in the same unit), and it stays in float32 when the weights
are in a narrower type.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

from pipeline.models.rwkv6_blocks import LayerNorm, Rwkv6Block, Rwkv6ChannelMix, Rwkv6TimeMix
from pipeline.models.rwkv6_config import Rwkv6Config


class Rwkv6PreTrainedModel(PreTrainedModel):
    """What the two classes below share: names, and the values of weights that nobody trained."""

    config_class = Rwkv6Config
    base_model_prefix = "rwkv"
    _no_split_modules = ("Rwkv6Block",)  # type: ignore[assignment]  # a tuple, which nobody can change

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
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
            module.set_initial_values()


class Rwkv6Model(Rwkv6PreTrainedModel):
    """The embedding, the blocks and the final norm."""

    def __init__(self, config: Rwkv6Config) -> None:
        super().__init__(config)
        self.embeddings: nn.Module = nn.Embedding(config.vocab_size, config.hidden_size)
        self.blocks = nn.ModuleList(Rwkv6Block(config, layer) for layer in range(config.num_hidden_layers))
        self.ln_out = LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The table of the vocabulary."""
        return self.embeddings

    def set_input_embeddings(self, embeddings: nn.Module) -> None:
        """Replace the table of the vocabulary."""
        self.embeddings = embeddings

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **_: Any,
    ) -> BaseModelOutput:
        """Token ids (B, T) or their embeddings (B, T, D) -> the normed last layer (B, T, D).

        With `output_hidden_states`, `hidden_states` holds the L + 1 layers of contract C1: the normed embedding, then
        the residual stream after each block, float32, without the final norm. The model is causal, so right padding
        changes nothing before it; left padding would, and is refused with ValueError.
        """
        if attention_mask is not None and (attention_mask[:, 1:] > attention_mask[:, :-1]).any():
            raise ValueError("attention_mask has padding before a token: RWKV reads from the left, so pad on the right")
        x = self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        x = self.blocks[0].pre_ln(x)  # type: ignore[operator]
        x = x.to(torch.promote_types(torch.float32, x.dtype))
        layers = [x]
        for block in self.blocks:
            x = block(x)
            if output_hidden_states:
                layers.append(x)
        hidden_states = tuple(layers) if output_hidden_states else None
        return BaseModelOutput(last_hidden_state=self.ln_out(x), hidden_states=hidden_states)


class Rwkv6ForCausalLM(Rwkv6PreTrainedModel):
    """`Rwkv6Model` and its language-model head."""

    def __init__(self, config: Rwkv6Config) -> None:
        super().__init__(config)
        self.rwkv = Rwkv6Model(config)
        self.head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_output_embeddings(self) -> nn.Linear:
        """The language-model head."""
        return self.head

    def set_output_embeddings(self, head: nn.Linear) -> None:
        """Replace the language-model head."""
        self.head = head

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
        **_: Any,
    ) -> CausalLMOutput:
        """As `Rwkv6Model`, with logits (B, T, vocabulary).

        Given labels (B, T; -100 is left out), also the mean next-token loss in nats.
        """
        out = self.rwkv(input_ids, attention_mask, inputs_embeds, output_hidden_states)
        logits = self.head(out.last_hidden_state)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        return CausalLMOutput(loss=loss, logits=logits, hidden_states=out.hidden_states)


AutoConfig.register("rwkv6", Rwkv6Config)
AutoModel.register(Rwkv6Config, Rwkv6Model)
AutoModelForCausalLM.register(Rwkv6Config, Rwkv6ForCausalLM)
