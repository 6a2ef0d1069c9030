import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from pipeline.base.errors import InputError
from pipeline.dump.checks import check_batches, check_lengths, check_sources, check_tokens, check_vocabulary
from pipeline.formats.tokens import Tokens
from pipeline.models.layers import hidden_layers


def test_an_id_outside_the_vocabulary_is_refused_with_the_vocabulary():
    check_vocabulary([np.array([3, 63]), np.array([0])], 64, "m")
    message = r"token id 64 is outside the vocabulary of 64 of model m: its `tokenizer` .*belongs to another model"
    with pytest.raises(InputError, match=message):
        check_vocabulary([np.array([3, 9]), np.array([64, 1])], 64, "m")


def test_a_negative_id_is_refused():
    with pytest.raises(InputError, match=r"token id -1 is outside the vocabulary of 64 of model m"):
        check_vocabulary([np.array([3, 9]), np.array([-1, 1])], 64, "m")


def test_sentences_beyond_learned_positions_are_refused_before_the_dump(model):
    sizes = {"vocab_size": 80, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 8}
    gpt2 = AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt2", **sizes))
    message = r"9 tokens, but model m has 8 positions: set tokenize\.max_tokens to 8 and truncate to true"
    with pytest.raises(InputError, match=message):
        check_lengths([np.arange(3), np.arange(9)], gpt2, "m")
    check_lengths([np.arange(8)], gpt2, "m")
    check_lengths([np.arange(5000) % 64], model, "m")


def test_tokens_of_other_sentences_are_refused(model):
    tokens = Tokens("m", np.arange(2), [np.array([1]), np.array([2, 63])], None, np.zeros(2, dtype=bool), {})
    check_tokens(tokens, ["a", "b"], model)
    message = r"there are 3 sentences, but the tokens of model m are those of 2: .*dvc repro -f -s tokenize@m"
    with pytest.raises(InputError, match=message):
        check_tokens(tokens, ["a", "b", "c"], model)


A, B = ({"hub": "owner/name", "revision": "main", "commit": letter * 40} for letter in "ab")


def test_weights_and_a_tokenizer_of_two_commits_of_one_name_are_refused_with_both_and_the_line():
    message = rf"model m: .* owner/name@main at commit {'a' * 40}, .* of commit {'b' * 40}\. .* revision: {'b' * 40}"
    with pytest.raises(InputError, match=message) as error:
        check_sources({"weights": B, "tokenizer": A}, "m")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "tokenizer", [A, None, B | {"hub": "owner/other"}, B | {"revision": "v1"}, A | {"revision": "v1"}]
)
def test_one_commit_or_two_names_are_as_the_catalogue_wants_it(tokenizer):
    check_sources({"weights": A, "tokenizer": tokenizer}, "m")
    check_sources({"weights": None, "tokenizer": tokenizer}, "m")


def random_of(family, **sizes):
    config = AutoConfig.for_model(family, vocab_size=80, bos_token_id=0, eos_token_id=1, **sizes)
    return AutoModelForCausalLM.from_config(config).eval()


ROBERTA = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4}


@pytest.mark.parametrize(
    ("family", "sizes", "limit"),
    [
        ("roberta", ROBERTA | {"max_position_embeddings": 12, "pad_token_id": 1}, 10),  # it begins to count at 2
        ("xlm-roberta", ROBERTA | {"max_position_embeddings": 12, "pad_token_id": 1}, 10),
        ("bert", ROBERTA | {"max_position_embeddings": 12}, 12),
        ("opt", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64,
                 "max_position_embeddings": 12, "word_embed_proj_dim": 32}, 12),
        ("openai-gpt", GPT | {"n_positions": 12}, 12),
        ("gptj", GPT | {"n_positions": 12, "rotary_dim": 4}, 12),
        ("codegen", GPT | {"n_positions": 12, "n_ctx": 12, "rotary_dim": 4}, 12),
        ("ctrl", GPT | {"n_positions": 12, "dff": 64}, 12),
    ],
)  # fmt: skip
def test_the_longest_sentence_that_a_model_can_read_is_right(family, sizes, limit, rng):
    model = random_of(family, **sizes)
    fits = [rng.integers(3, 80, limit), rng.integers(3, 80, 2)]
    check_lengths(fits, model, "m")
    hidden_layers(model, torch.as_tensor(fits[0])[None])
    message = (
        rf"a sentence has {limit + 1} tokens, but model m has {limit} positions: set tokenize.max_tokens to {limit}"
    )
    with pytest.raises(InputError, match=message):
        check_lengths([rng.integers(3, 80, limit + 1)], model, "m")


def test_positions_that_are_computed_have_no_end(rng):
    llama = random_of("llama", max_position_embeddings=8, **ROBERTA)
    check_lengths([rng.integers(3, 80, 50)], llama, "m")


def test_a_model_whose_sentences_depend_on_each_other_is_refused(model, rng):
    sentences = [rng.integers(0, 64, n) for n in (9, 5, 7, 8)]
    check_batches(sentences, model, "m")
    block = model.rwkv.blocks[1]
    block.register_forward_hook(lambda module, args, output: (output[0] + 0.5 * output[0].roll(1, dims=0), *output[1:]))
    with pytest.raises(InputError, match=r"layer 2 of model m .* is another for a sentence in a batch than alone"):
        check_batches(sentences, model, "m")


def test_a_model_that_cannot_be_run_is_one_line(model, rng):
    def fail(*arguments, **options):
        raise ValueError("language unknown\nsecond line")

    model.rwkv.forward = fail
    with pytest.raises(InputError, match=r"model m cannot be run on token ids alone: language unknown$"):
        check_lengths([rng.integers(0, 64, 9)], model, "m")
