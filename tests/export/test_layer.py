"""An exported layer gives the vectors of the pipeline, in sentence-transformers and in mteb."""

import numpy as np
import pytest

pytest.importorskip("sentence_transformers", reason="the extra encoders is not installed")

from pipeline.base.errors import InputError
from pipeline.export.layer import sentence_transformer
from pipeline.formats import pairs, vectors
from tests.helpers import ROOT
from tests.study import CATALOG, SIZES, run_all, write_settings

TINY = CATALOG["models"] | {
    "begun": {"random": 2, "config": SIZES, "tokenizer": "bytes", "bos": 0},
    "prepended": CATALOG["models"]["tiny"] | {"readout": "token_prepending_1"},
    "values": CATALOG["models"]["tiny"] | {"readout": "values"},
}
STUDIED = ("tiny", "begun", "prepended", "values")

UNKNOWN = ("reference", "date", "domains", "task_subtypes", "license", "annotations_creators", "dialect")
UNKNOWN += ("sample_creation",)
"""what mteb wants to know of a task, and we need not say"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder in which models were pooled by `last`, one with a token before each sentence, two otherwise read."""
    folder = tmp_path_factory.mktemp("study")
    write_settings(folder, CATALOG | {"models": TINY}, models=list(STUDIED), pooling="last")
    run_all(folder)
    return folder


@pytest.fixture
def texts(study, monkeypatch):
    monkeypatch.chdir(study)
    table = pairs.read_pairs("data/pairs/pairs.parquet")
    return pairs.read_sentences("data/pairs/sentences.parquet", table)["text"].to_list()


@pytest.mark.parametrize("model", STUDIED)
@pytest.mark.parametrize("layer", [0, 1, -1])
def test_an_exported_layer_gives_the_vectors_of_the_pipeline(texts, model, layer):
    """Whatever the batches: those of 7 hold many lengths."""
    read = vectors.read(f"data/pooled/{model}/vectors.parquet", f"pool@{model}")
    number = read.layers[layer]  # of values the first is 1
    exact = read.layer(number)
    encoder = sentence_transformer(model, number, "last")
    assert encoder.get_embedding_dimension() == exact.shape[1]
    for batch_size in (1, 7):
        found = encoder.encode(texts, batch_size=batch_size)
        assert np.abs(found - exact).max() <= 1e-5
    assert np.abs(sentence_transformer(model, number, "mean").encode(texts) - exact).max() > 0.01


def test_a_pooling_may_change_the_width(texts):
    encoder = sentence_transformer("tiny", 1, "mean_max")
    assert encoder.encode(texts[:3]).shape == (3, encoder.get_embedding_dimension()) == (3, 2 * SIZES["hidden_size"])


def test_a_prompt_comes_before_each_text(texts):
    encoder = sentence_transformer("tiny", 1)
    asked = encoder.encode(texts[:5], prompt="Means: ")
    assert np.array_equal(asked, encoder.encode(["Means: " + text for text in texts[:5]]))


@pytest.mark.parametrize(
    ("layer", "pooling", "message"),
    [
        (1, "attention", "pooling attention takes more than the states of a sentence"),
        (1, "idf_mean", "pooling idf_mean takes more"),
        (1, "first_last", "pooling first_last takes more"),
        (3, "mean", "give all, a list of layers from -3 to 2"),
    ],
)
def test_what_cannot_be_exported_is_named(texts, layer, pooling, message):
    with pytest.raises(InputError, match=message):
        sentence_transformer("tiny", layer, pooling)


def test_it_is_not_saved(texts, tmp_path):
    with pytest.raises(InputError, match="an exported layer is not saved"):
        sentence_transformer("tiny", 1).save(str(tmp_path / "saved"))


def test_mteb_scores_it_as_we_do(texts):
    mteb = pytest.importorskip("mteb")
    from datasets import Dataset, DatasetDict
    from mteb.abstasks.sts import AbsTaskSTS
    from mteb.abstasks.task_metadata import TaskMetadata
    from scipy.stats import spearmanr

    table = pairs.read_pairs("data/pairs/pairs.parquet").filter(split="test")
    ids = [table[name].to_numpy() for name in ("sentence1_id", "sentence2_id")]
    labels = table["label"].to_list()

    class Ours(AbsTaskSTS):
        metadata = TaskMetadata(
            name="Ours",
            description="the pairs of the study",
            dataset={"path": "ours", "revision": "1"},
            type="STS",
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="cosine_spearman",
            bibtex_citation=None,
            **dict.fromkeys(UNKNOWN),
        )
        min_score, max_score = 0, 1

        def load_data(self, **kwargs):
            first, second = ([texts[i] for i in of_side] for of_side in ids)
            columns = {"sentence1": first, "sentence2": second, "score": labels}
            self.dataset = DatasetDict(test=Dataset.from_dict(columns))
            self.data_loaded = True

    encoder = sentence_transformer("tiny", 1, "last")
    result = mteb.evaluate(encoder, [Ours()], cache=None, overwrite_strategy="always").task_results[0]
    exact = vectors.read("data/pooled/tiny/vectors.parquet", "pool@tiny").layer(1).astype(np.float64)
    first, second = (exact[of_side] / np.linalg.norm(exact[of_side], axis=1, keepdims=True) for of_side in ids)
    rho = spearmanr((first * second).sum(axis=1), labels).statistic
    assert result.scores["test"][0]["cosine_spearman"] == pytest.approx(rho, abs=1e-4)


def test_the_demo_model_opens_as_the_mean_of_its_last_layer():
    """Whatever the padding."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel, AutoTokenizer

    import pipeline.models.rwkv6  # noqa: F401 - it tells transformers what rwkv6 is

    folder, given = str(ROOT / "data/demo/model"), ["The court dismissed the appeal of the three men.", "It was."]
    found = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": torch.float32}).encode(given)
    network, tokenizer = AutoModel.from_pretrained(folder, dtype=torch.float32), AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        each = [network(**tokenizer(text, return_tensors="pt")).last_hidden_state.mean(1)[0].numpy() for text in given]
    assert np.abs(found - np.stack(each)).max() <= 1e-4 * np.abs(each).max()
