"""The transformers classes that all generations of RWKV share; each generation brings its config and its block.

Two things differ from the code that is published with the checkpoints, both on purpose: the residual stream is never
rescaled (`rescale_every` is ignored, so that every layer is in the same unit), and it stays in float32 when the weights
are in a narrower type.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

from pipeline.models.rwkv_parts import LayerNorm, Mix, State, wide


@dataclass
class RwkvOutput(BaseModelOutput):
    """As transformers' output, with the state after the last token of each block where that is asked for."""

    states: tuple[State, ...] | None = None


@dataclass
class RwkvCausalOutput(CausalLMOutput):
    """As transformers' output, with the state after the last token of each block where that is asked for."""

    states: tuple[State, ...] | None = None


class RwkvPreTrainedModel(PreTrainedModel):
    """What the two classes below share: names, and the values of weights that nobody trained."""

    base_model_prefix = "rwkv"

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
        elif isinstance(module, Mix):
            module.set_initial_values()


class RwkvModel(RwkvPreTrainedModel):
    """The embedding, the blocks and the final norm."""

    block_class: Callable[[Any, int], nn.Module]
    """a generation's block, called like `rwkv_parts.Block`, of its config and the block's number"""
    stack_name, norm_name = "blocks", "ln_out"
    """in the hub's checkpoints"""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.embeddings: nn.Module = nn.Embedding(config.vocab_size, config.hidden_size)
        stack = nn.ModuleList(self.block_class(config, layer) for layer in range(config.num_hidden_layers))
        self.add_module(self.stack_name, stack)
        self.add_module(self.norm_name, LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon))
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
        initial_states: Sequence[State] | None = None,
        return_states: bool = False,
        **_: Any,
    ) -> RwkvOutput:
        """Token ids (B, T) or their embeddings (B, T, D) -> the normed last layer (B, T, D).

        With `output_hidden_states`, `hidden_states` holds the L + 1 layers of contract C1: the normed embedding, then
        the residual stream after each block, float32, without the final norm. The model is causal, so right padding
        changes nothing before it; left padding would, and is refused with ValueError.

        `initial_states` are what L blocks had read before the first token, `states` what they have read after the
        last; asking for those of padded sentences is a ValueError. A text in two parts, the second from the states of
        the first, gives what it gives as one.
        """
        blocks = getattr(self, self.stack_name)
        _check_padding(attention_mask, return_states)
        if initial_states is not None and len(initial_states) != len(blocks):
            raise ValueError(f"{len(initial_states)} initial_states, expected {len(blocks)}: one for each block")
        x = self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        x = wide(blocks[0].pre_ln(x))
        layers, states, carried = [x], [], None
        for number, block in enumerate(blocks):
            x, after, carried = block(x, initial_states and initial_states[number], carried)
            if output_hidden_states:
                layers.append(x)
            if return_states:
                states.append(after)
        return RwkvOutput(
            last_hidden_state=getattr(self, self.norm_name)(x),
            hidden_states=tuple(layers) if output_hidden_states else None,
            states=tuple(states) if return_states else None,
        )


def _check_padding(mask: torch.Tensor | None, return_states: bool) -> None:
    if mask is None:
        return
    if (mask[:, 1:] > mask[:, :-1]).any():
        raise ValueError("attention_mask has padding before a token: RWKV reads from the left, so pad on the right")
    if return_states and not mask.all():
        raise ValueError("attention_mask has padding that states would hold: give sentences of one length")


class RwkvForCausalLM(RwkvPreTrainedModel):
    """An `RwkvModel` and its language-model head."""

    network_class: type[RwkvModel]
    head_name = "head"
    """in the hub's checkpoints"""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.add_module(self.base_model_prefix, self.network_class(config))
        self.add_module(self.head_name, nn.Linear(config.hidden_size, config.vocab_size, bias=False))
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """The language-model head."""
        return getattr(self, self.head_name)

    def set_output_embeddings(self, head: nn.Module) -> None:
        """Replace the language-model head."""
        setattr(self, self.head_name, head)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **more: Any,
    ) -> RwkvCausalOutput:
        """As `RwkvModel`, with logits (B, T, vocabulary).

        Given labels (B, T; -100 is left out), also the mean next-token loss in nats.
        """
        out = self.base_model(input_ids, attention_mask, inputs_embeds, **more)
        logits = self.get_output_embeddings()(out.last_hidden_state)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten())
        return RwkvCausalOutput(loss=loss, logits=logits, hidden_states=out.hidden_states, states=out.states)


def register(model: type[RwkvModel], causal: type[RwkvForCausalLM]) -> None:
    """Let transformers' Auto classes make these of a generation's config, in place of classes that it may bring."""
    config: Any = model.config_class
    AutoConfig.register(config.model_type, config, exist_ok=True)
    AutoModel.register(config, model, exist_ok=True)
    AutoModelForCausalLM.register(config, causal, exist_ok=True)
