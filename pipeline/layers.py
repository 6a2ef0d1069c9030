"""Contract C1: every hidden layer of any transformers model, in one pass, by hooks of our own.

A model of L blocks has layers 0..L: layer 0 is the residual stream that enters the first block, layer l the residual
stream after block l; no final norm, no rescaling. `output_hidden_states` is not used, since it means something else in
each family: GPT-2 and Llama replace the last layer by its norm, Mamba and RWKV leave the first out.
"""

import torch


def blocks(model):
    """The list of a model's L blocks: the one ModuleList with `num_hidden_layers` entries of one class.

    Raises ValueError when there is none or more than one (encoder-decoders), naming what was found.
    """
    base = model.base_model
    depth = base.config.get_text_config().num_hidden_layers
    lists = {name: m for name, m in base.named_modules() if isinstance(m, torch.nn.ModuleList) and len(m) == depth}
    outer = {name: m for name, m in lists.items() if not any(name.startswith(other + ".") for other in lists)}
    if len(outer) != 1:
        raise ValueError(
            f"{type(model).__name__} has {len(outer)} lists of {depth} blocks ({', '.join(outer) or 'none'}): "
            "only models with a single stack of blocks are supported (decoders or encoders, not both)"
        )
    return next(iter(outer.values()))


class _Enough(Exception):
    """Raised by a hook to leave the forward pass: what follows the last wanted layer is not computed."""


def hidden_layers(model, ids, wanted=None):
    """Token ids (B, T) without padding -> the wanted layers (all L + 1 by default), in their order, as tensors (B, T, D) on
    the model's device, in its residual type.

    Sentences of a batch have one length, so no mask is needed and none can be ignored. Nothing is computed after the last
    wanted layer: no further block, no final norm, no head.
    """
    stack = blocks(model)
    wanted = set(range(len(stack) + 1) if wanted is None else wanted)
    layers, handles, seen = [], [], 0

    def keep(output):
        nonlocal seen
        if seen in wanted:
            layers.append(output[0] if isinstance(output, tuple) else output)
        seen += 1
        if seen > max(wanted):
            raise _Enough

    def first_input(module, args, kwargs):
        keep(args[0] if args else kwargs["hidden_states"])

    if hasattr(stack[0], "pre_ln"):  # RWKV: the first residual is added to the normed embedding, inside block 1
        handles.append(stack[0].pre_ln.register_forward_hook(lambda module, args, output: keep(output)))
    else:
        handles.append(stack[0].register_forward_pre_hook(first_input, with_kwargs=True))
    handles += [block.register_forward_hook(lambda module, args, output: keep(output)) for block in stack]
    try:
        with torch.inference_mode():
            model.base_model(input_ids=ids)
    except _Enough:
        return layers
    finally:
        for handle in handles:
            handle.remove()
    raise ValueError(f"{type(model).__name__} ran {seen - 1} of its {len(stack)} blocks: layers cannot be told apart")


def numbers(spec, depth):
    """`dump.layers` -> the sorted layer numbers: "all", a list (negative numbers count from the last layer), or n for every n-th
    from layer 0 on. ValueError for a layer that a model of `depth` blocks does not have."""
    if spec == "all":
        return list(range(depth + 1))
    if isinstance(spec, int) and spec >= 1:
        return list(range(0, depth + 1, spec))
    if isinstance(spec, list) and spec and all(-depth - 1 <= layer <= depth for layer in spec):
        return sorted({layer % (depth + 1) for layer in spec})
    raise ValueError(
        f"dump.layers is {spec!r}: give all, a list of layers from {-depth - 1} to {depth} (this model has {depth} blocks), or n for every n-th layer"
    )
