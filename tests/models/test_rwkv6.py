"""Our RWKV-6 against expected logits and PyPI's `rwkv` package, and as a transformers model."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.models.checkpoints import load_rwkv6
from pipeline.models.layers import hidden_layers
from pipeline.models.rwkv6 import Rwkv6ForCausalLM
from pipeline.models.rwkv6_config import Rwkv6Config
from pipeline.models.rwkv6_recurrence import CHUNK


def test_expected_logits_of_the_small_checkpoint(testdata):
    """Logits that rwkv.cpp's tests expect after the bytes `"in`, from a fresh state."""
    model = load_rwkv6(testdata / "rwkv/tiny-rwkv-6v0-1m-FP32.safetensors").eval()
    expected = load_file(testdata / "rwkv/expected_logits.safetensors")["6v0-1m"]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[34, 105, 110]])).logits[0, -1]
    assert (logits - expected).abs().max() <= 1e-5


def package_outputs(path, ids):
    """(logits (T, V), [state after each block (T, D)]) from PyPI's `rwkv` package, which keeps no layers itself."""
    os.environ.update(RWKV_JIT_ON="0", RWKV_CUDA_ON="0")
    from rwkv.model import RWKV

    package = RWKV(model=str(path).removesuffix(".pth"), strategy="cpu fp32", verbose=False)
    kept, channel_mix = [], package.ffn_seq_v6

    def keep(*args):
        out = channel_mix(*args)
        kept.append(out[0].clone())
        return out

    package.ffn_seq_v6 = keep
    logits, _ = package.forward(ids, None, full_output=True)
    return logits, kept


def compare_with_the_package(tensors, tmp_path, ids):
    torch.save(tensors, tmp_path / "model.pth")
    logits, layers = package_outputs(tmp_path / "model.pth", ids[0].tolist())
    ours = load_rwkv6(tmp_path / "model.pth").eval()
    with torch.inference_mode():
        out = ours(input_ids=ids, output_hidden_states=True)
    scale = max(1.0, logits.abs().max().item())
    assert (out.logits[0] - logits).abs().max() <= 1e-4 * scale
    assert len(layers) == ours.config.num_hidden_layers
    for mine, theirs in zip(out.hidden_states[1:], layers):
        assert (mine[0] - theirs).abs().max() <= 1e-4 * max(1.0, theirs.abs().max().item())


@pytest.mark.parametrize("checkpoint", ["6v0-1m-FP32", "6v0-3m-Q5_1"])
def test_logits_and_every_layer_equal_the_rwkv_package(testdata, tmp_path, checkpoint):
    tensors = load_file(testdata / f"rwkv/tiny-rwkv-{checkpoint}.safetensors")
    compare_with_the_package(tensors, tmp_path, torch.randint(0, 256, (1, 75)))


def test_random_weights_equal_the_rwkv_package(finch, blinkdl, tmp_path):
    compare_with_the_package(blinkdl(finch), tmp_path, torch.randint(0, 97, (1, 40)))


def test_hooks_and_hidden_states_are_the_same_layers(finch):
    ids = torch.randint(0, 97, (2, 9))
    with torch.inference_mode():
        own = finch(input_ids=ids, output_hidden_states=True).hidden_states
    hooked = hidden_layers(finch, ids)
    assert len(own) == len(hooked) == 4
    assert all(torch.equal(a.float(), b.float()) for a, b in zip(own, hooked))


def test_batch_of_one_equals_batch_of_many(finch):
    ids = torch.randint(0, 97, (5, CHUNK + 7))
    many = hidden_layers(finch, ids)
    for i in range(5):
        single = hidden_layers(finch, ids[i : i + 1])
        assert max((a[i] - b[0]).abs().max() for a, b in zip(many, single)) <= 1e-5 * scale_of(many)


def scale_of(layers):
    """The largest value, to which float32's rounding is relative."""
    return max(1.0, *(layer.abs().max().item() for layer in layers))


def test_right_padding_changes_nothing_and_left_padding_is_refused(finch):
    ids = torch.randint(0, 97, (1, 20))
    padded = torch.cat([ids, torch.randint(0, 97, (1, 9))], dim=1)
    mask = (torch.arange(29) < 20).long()[None]
    with torch.inference_mode():
        bare = finch(input_ids=ids, output_hidden_states=True).hidden_states
        right = finch(input_ids=padded, attention_mask=mask, output_hidden_states=True).hidden_states
    assert max((a - b[:, :20]).abs().max() for a, b in zip(bare, right)) <= 1e-5 * scale_of(bare)
    with pytest.raises(ValueError, match="pad on the right"):
        finch(input_ids=padded, attention_mask=mask.flip(1))


def test_a_prefix_gives_the_prefix_and_a_bos_changes_the_states(finch):
    ids = torch.randint(1, 97, (1, 2 * CHUNK))
    full, prefix = hidden_layers(finch, ids), hidden_layers(finch, ids[:, : CHUNK + 3])
    assert max((a[:, : CHUNK + 3] - b).abs().max() for a, b in zip(full, prefix)) <= 1e-5 * scale_of(full)
    with_bos = hidden_layers(finch, torch.cat([torch.zeros(1, 1, dtype=torch.long), ids], dim=1))
    assert (with_bos[-1][:, 1:] - full[-1]).abs().max() > 1e-3


def test_bfloat16_is_near_float32_and_keeps_a_float32_residual(finch):
    ids = torch.randint(0, 97, (1, 30))
    narrow = Rwkv6ForCausalLM(finch.config).to(torch.bfloat16)
    narrow.load_state_dict(finch.state_dict())
    exact, rounded = hidden_layers(finch, ids), hidden_layers(narrow.eval(), ids)
    assert all(layer.dtype == torch.float32 for layer in rounded[1:])
    for a, b in zip(exact, rounded):  # eight bits of mantissa, some tens of roundings in a row
        assert (a - b).norm() <= 0.1 * a.norm()


def test_embeddings_can_be_given_in_place_of_ids(finch):
    ids = torch.randint(0, 97, (1, 7))
    with torch.inference_mode():
        by_ids = finch(input_ids=ids).logits
        by_embeddings = finch(inputs_embeds=finch.get_input_embeddings()(ids)).logits
    assert torch.equal(by_ids, by_embeddings)


def test_loss_is_the_mean_next_token_cross_entropy_and_reaches_every_weight(finch):
    ids = torch.randint(0, 97, (2, 11))
    fresh = Rwkv6ForCausalLM(finch.config)
    fresh.load_state_dict(finch.state_dict())
    out = fresh(input_ids=ids, labels=ids)
    chosen = out.logits.log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None])
    assert torch.allclose(out.loss, -chosen.mean(), atol=1e-5)
    out.loss.backward()
    assert [name for name, p in fresh.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_hf_folder_round_trip_through_the_auto_classes(finch, tmp_path):
    """As published: `auto_map` to remote code, `rescale_every`, a misleading `num_attention_heads`, sharded files."""
    finch.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {
        "auto_map": {"AutoModelForCausalLM": "modeling_rwkv6.Rwkv6ForCausalLM"},
        "rescale_every": 6,
        "num_attention_heads": 64,
        "intermediate_size": None,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "modeling_rwkv6.py").write_text("raise SystemExit('remote code was run')")
    assert isinstance(AutoConfig.from_pretrained(tmp_path), Rwkv6Config)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=False).eval()
    ids = torch.randint(0, 97, (1, 12))
    assert all(torch.equal(a, b) for a, b in zip(hidden_layers(finch, ids), hidden_layers(loaded, ids)))


@pytest.mark.parametrize("cut", [1, CHUNK, CHUNK + 2])
def test_a_text_in_two_parts_is_the_text_as_one(finch, cut):
    """Each part from the states that the one before it left; and another text before it leaves other states."""
    ids = torch.randint(0, 97, (2, 2 * CHUNK + 3))
    with torch.inference_mode():
        whole = finch(input_ids=ids, output_hidden_states=True, return_states=True)
        first = finch(input_ids=ids[:, :cut], return_states=True)
        more = {"output_hidden_states": True, "return_states": True}
        second = finch(input_ids=ids[:, cut:], initial_states=first.states, **more)
        other = finch(input_ids=ids[:, cut:], **more)
    scale = scale_of(whole.hidden_states)
    for a, b in zip(whole.hidden_states[1:], second.hidden_states[1:]):
        assert (a[:, cut:] - b).abs().max() <= 1e-5 * scale
    for a, b in zip(whole.states, second.states, strict=True):
        for one, two in ((a.shift_att, b.shift_att), (a.wkv, b.wkv), (a.shift_ffn, b.shift_ffn)):
            assert (one - two).abs().max() <= 1e-5 * max(1.0, one.abs().max().item())
    assert (whole.hidden_states[-1][:, cut:] - other.hidden_states[-1]).abs().max() > 1e-3


def test_states_of_one_sentence_serve_a_batch(finch):
    ids, prompt = torch.randint(0, 97, (3, 9)), torch.randint(0, 97, (1, 5))
    with torch.inference_mode():
        states = finch(input_ids=prompt, return_states=True).states
        shared = finch(input_ids=ids, initial_states=states).logits
        whole = finch(input_ids=torch.cat([prompt.expand(3, -1), ids], dim=1)).logits[:, 5:]
    assert (shared - whole).abs().max() <= 1e-5 * scale_of([whole])


def test_states_that_cannot_be_are_refused(finch):
    ids, mask = torch.randint(0, 97, (1, 5)), torch.tensor([[1, 1, 1, 1, 0]])
    states = finch(input_ids=ids, return_states=True).states
    with pytest.raises(ValueError, match=r"2 initial_states, expected 3: one for each block"):
        finch(input_ids=ids, initial_states=states[:2])
    with pytest.raises(ValueError, match=r"padding that states would hold: give sentences of one length"):
        finch(input_ids=ids, attention_mask=mask, return_states=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_gpu_equals_cpu(finch):
    ids = torch.randint(0, 97, (3, 50))
    cpu = hidden_layers(finch, ids)
    gpu = hidden_layers(finch.to("cuda"), ids.to("cuda"))
    for a, b in zip(cpu, gpu):
        assert (a - b.cpu()).norm() <= 1e-4 * a.norm()
