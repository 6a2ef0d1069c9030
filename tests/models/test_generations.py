"""Every generation of RWKV against its definition, one token at a time, and the properties that all of them share."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.finetune.method import recompute_blocks
from pipeline.models.layers import caught_layers, hidden_layers
from tests.models.conftest import OF_GENERATION, SIZES
from tests.models.rwkv_by_hand import run, time_mix_4

KINDS = list(OF_GENERATION)
CHUNK = 32
"""tokens that a recurrence takes at once"""
every_generation = pytest.mark.parametrize("kind", KINDS)


def scale_of(layers):
    """The largest value, to which float32's rounding is relative."""
    return max(1.0, *(layer.abs().max().item() for layer in layers))


def largest_difference(a, b):
    return max((x - y).abs().max().item() for x, y in zip(a, b, strict=True)) / scale_of(a)


@every_generation
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_every_layer_and_the_logits_by_the_definition(network, blinkdl, kind, dtype, tolerance):
    model = network(kind)
    ids = torch.randint(0, 97, (1, CHUNK + 9))
    expected, logits = run(kind, blinkdl(model), ids[0].tolist())
    with torch.inference_mode():
        out = model.to(dtype)(input_ids=ids, output_hidden_states=True)
    theirs = [torch.from_numpy(layer) for layer in (*expected, logits)]
    ours = [layer[0].double() for layer in (*out.hidden_states, out.logits)]
    assert len(ours) == 5
    assert all(largest_difference([a], [b]) <= tolerance for a, b in zip(theirs, ours))


@every_generation
def test_hooks_and_hidden_states_are_the_same_layers(network, kind):
    model, ids = network(kind), torch.randint(0, 97, (2, 9))
    with torch.inference_mode():
        own = model(input_ids=ids, output_hidden_states=True).hidden_states
    hooked = hidden_layers(model, ids)
    assert len(own) == len(hooked) == 4
    assert all(torch.equal(a.float(), b.float()) for a, b in zip(own, hooked))


@every_generation
def test_batch_of_one_equals_batch_of_many(network, kind):
    model, ids = network(kind), torch.randint(0, 97, (5, CHUNK + 7))
    many = hidden_layers(model, ids)
    for i in range(5):
        single = hidden_layers(model, ids[i : i + 1])
        assert max((a[i] - b[0]).abs().max() for a, b in zip(many, single)) <= 1e-5 * scale_of(many)


@every_generation
def test_right_padding_changes_nothing_and_left_padding_is_refused(network, kind):
    model, ids = network(kind), torch.randint(0, 97, (1, 20))
    padded = torch.cat([ids, torch.randint(0, 97, (1, 9))], dim=1)
    mask = (torch.arange(29) < 20).long()[None]
    with torch.inference_mode():
        bare = model(input_ids=ids, output_hidden_states=True).hidden_states
        right = model(input_ids=padded, attention_mask=mask, output_hidden_states=True).hidden_states
    assert max((a - b[:, :20]).abs().max() for a, b in zip(bare, right)) <= 1e-5 * scale_of(bare)
    with pytest.raises(ValueError, match="pad on the right"):
        model(input_ids=padded, attention_mask=mask.flip(1))


@every_generation
def test_a_prefix_gives_the_prefix_and_a_bos_changes_the_states(network, kind):
    model, ids = network(kind), torch.randint(1, 97, (1, 2 * CHUNK))
    full, prefix = hidden_layers(model, ids), hidden_layers(model, ids[:, : CHUNK + 3])
    assert max((a[:, : CHUNK + 3] - b).abs().max() for a, b in zip(full, prefix)) <= 1e-5 * scale_of(full)
    with_bos = hidden_layers(model, torch.cat([torch.zeros(1, 1, dtype=torch.long), ids], dim=1))
    assert (with_bos[-1][:, 1:] - full[-1]).abs().max() > 1e-3


@every_generation
def test_bfloat16_is_near_float32_and_keeps_a_float32_residual(network, kind):
    model, ids = network(kind), torch.randint(0, 97, (1, 30))
    narrow = type(model)(model.config).to(torch.bfloat16)
    narrow.load_state_dict(model.state_dict())
    exact, rounded = hidden_layers(model, ids), hidden_layers(narrow.eval(), ids)
    assert all(layer.dtype == torch.float32 for layer in rounded[1:])
    for a, b in zip(exact, rounded):  # eight bits of mantissa, some tens of roundings in a row
        assert (a - b).norm() <= 0.1 * a.norm()


@every_generation
def test_embeddings_can_be_given_in_place_of_ids(network, kind):
    model, ids = network(kind), torch.randint(0, 97, (1, 7))
    with torch.inference_mode():
        by_ids = model(input_ids=ids).logits
        by_embeddings = model(inputs_embeds=model.get_input_embeddings()(ids)).logits
    assert torch.equal(by_ids, by_embeddings)


@every_generation
def test_loss_is_the_mean_next_token_cross_entropy_and_reaches_every_weight(network, kind):
    model, ids = network(kind).requires_grad_(True), torch.randint(0, 97, (2, 11))
    out = model(input_ids=ids, labels=ids)
    chosen = out.logits.log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None])
    assert torch.allclose(out.loss, -chosen.mean(), atol=1e-5)
    out.loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@every_generation
def test_the_gradient_through_a_layer_is_that_of_finite_differences(network, kind, rng):
    """Along a random direction in all weights of the first two blocks, of a sum of layer 2 with random signs."""
    model, ids = network(kind).double().requires_grad_(True), torch.randint(0, 97, (2, CHUNK + 2))
    weights = [p for block in list(model.base_model.children())[1][:2] for p in block.parameters()]
    way = [torch.randn_like(p) for p in weights]
    signs = torch.randint(0, 2, (2, CHUNK + 2, 64)).double() * 2 - 1

    def value():
        return (caught_layers(model, [2], input_ids=ids)[0] * signs).sum()

    def moved(step):
        with torch.no_grad():
            for p, direction in zip(weights, way):
                p.add_(step * direction)
            return value().item()

    gradients = torch.autograd.grad(value(), weights)
    slope = sum((g * direction).sum().item() for g, direction in zip(gradients, way))
    step = 1e-6
    after, before = moved(step), moved(-2 * step)
    assert slope == pytest.approx((after - before) / (2 * step), rel=1e-5, abs=1e-5)


@every_generation
def test_blocks_that_compute_again_on_the_way_back_give_the_same_gradients(network, kind):
    model, ids = network(kind).requires_grad_(True), torch.randint(0, 97, (2, 9))

    def gradients():
        model.zero_grad()
        caught_layers(model, [3], input_ids=ids)[0].square().sum().backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    plain = gradients()
    recompute_blocks(model)
    again = gradients()
    assert plain.keys() == again.keys()
    assert all(torch.allclose(plain[name], again[name], rtol=1e-4, atol=1e-5) for name in plain)


@every_generation
@pytest.mark.parametrize("cut", [1, CHUNK, CHUNK + 2])
def test_a_text_in_two_parts_is_the_text_as_one(network, kind, cut):
    """Each part from the states that the one before it left; without them the second part is another text."""
    model, ids = network(kind), torch.randint(0, 97, (2, 2 * CHUNK + 3))
    more = {"output_hidden_states": True, "return_states": True}
    with torch.inference_mode():
        whole = model(input_ids=ids, **more)
        first = model(input_ids=ids[:, :cut], **more)
        second = model(input_ids=ids[:, cut:], initial_states=first.states, **more)
        other = model(input_ids=ids[:, cut:], **more)
    expected = [layer[:, cut:] for layer in whole.hidden_states]
    assert largest_difference(expected, second.hidden_states) <= 1e-5
    for a, b in zip(whole.states, second.states, strict=True):
        assert largest_difference([a.shift_att], [b.shift_att]) <= 1e-5
        assert largest_difference([a.wkv], [b.wkv]) <= 1e-5
        assert largest_difference([a.shift_ffn], [b.shift_ffn]) <= 1e-5
    assert (expected[-1] - other.hidden_states[-1]).abs().max() > 1e-3


@every_generation
def test_states_of_one_sentence_serve_a_batch(network, kind):
    model, ids, prompt = network(kind), torch.randint(0, 97, (3, 9)), torch.randint(0, 97, (1, 5))
    with torch.inference_mode():
        states = model(input_ids=prompt, return_states=True).states
        shared = model(input_ids=ids, initial_states=states).logits
        whole = model(input_ids=torch.cat([prompt.expand(3, -1), ids], dim=1)).logits[:, 5:]
    assert largest_difference([whole], [shared]) <= 1e-5


@every_generation
def test_states_that_cannot_be_are_refused(network, kind):
    model, ids, mask = network(kind), torch.randint(0, 97, (1, 5)), torch.tensor([[1, 1, 1, 1, 0]])
    states = model(input_ids=ids, return_states=True).states
    with pytest.raises(ValueError, match=r"2 initial_states, expected 3: one for each block"):
        model(input_ids=ids, initial_states=states[:2])
    with pytest.raises(ValueError, match=r"padding that states would hold: give sentences of one length"):
        model(input_ids=ids, attention_mask=mask, return_states=True)


@every_generation
def test_every_block_of_an_untrained_model_does_something(kind):
    """BlinkDL's initial values would leave the residual stream as it is: no control at all."""
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **(SIZES | OF_GENERATION[kind]))).eval()
    layers = hidden_layers(model, torch.randint(0, 97, (2, 12)))
    assert all((b - a).norm() > 0.1 * a.norm() for a, b in pairwise(layers))
    assert not any(p.isnan().any() for p in model.parameters())


@every_generation
def test_hub_folder_round_trip(network, kind, tmp_path):
    model, ids = network(kind), torch.randint(0, 97, (1, 12))
    model.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=False).eval()
    assert type(loaded) is type(model)
    assert all(torch.equal(a, b) for a, b in zip(hidden_layers(model, ids), hidden_layers(loaded, ids)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
@every_generation
def test_gpu_equals_cpu(network, kind):
    model, ids = network(kind), torch.randint(0, 97, (3, 50))
    cpu = hidden_layers(model, ids)
    gpu = hidden_layers(model.to("cuda"), ids.to("cuda"))
    for a, b in zip(cpu, gpu):
        assert (a - b.cpu()).norm() <= 1e-4 * a.norm()


def test_the_definition_of_a_recurrence_by_hand():
    """RWKV-4 of one channel: with k = 0 and u = 0 the mean of the values, each step weighed down by w."""
    one = np.array([1.0])
    w = {f"time_mix_{name}": one for name in "kvr"} | {"time_first": 0 * one, "time_decay": np.log(np.log(2)) * one}
    w |= {"key.weight": np.zeros((1, 1)), "value.weight": np.eye(1), "output.weight": 2 * np.eye(1)}
    w["receptance.weight"] = np.zeros((1, 1))  # sigmoid of it is a half
    y, state = time_mix_4(w, 4 * one, one, None)
    assert y == pytest.approx(4)
    y, _ = time_mix_4(w, 1 * one, one, state)
    assert y == pytest.approx((4 + 1) / 2), "no decay between neighbours"
    y, _ = time_mix_4(w, 1 * one, one, time_mix_4(w, 1 * one, one, state)[1])
    assert y == pytest.approx((4 / 2 + 1 + 1) / (1 / 2 + 1 + 1))
