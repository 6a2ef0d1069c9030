"""The last section of each page: how its figures are made, and what they do not say."""

from pipeline.report.markdown import escaped, section
from pipeline.report.material import Method
from pipeline.report.numbers import percent


def of_report(method: Method, chosen_on: str, decisions: bool) -> list[str]:
    """For report.md; `decisions`: whether it has decisions of 0 or 1."""
    chosen = escaped(chosen_on)
    paragraphs = [
        "**Rho, AUC, r.** Each compares the score of a pair with its label: Spearman's rho, the area under the ROC "
        "curve and Pearson's r. *rho / ceiling* divides rho by the largest value that scores without ties can reach.",
        f"**Intervals.** Brackets are {percent(method.confidence)} intervals, each by itself. They come from a "
        "bootstrap over components, which are groups of pairs that share sentences "
        f"({method.resamples:,} resamples).",
        "**The best.** The largest rho owes something to luck. So intervals and p-values of differences from it "
        "hold for all pairs of encoders at once, whichever came out best, and need no further correction.",
        f"**Layers.** The layer of each model is the one with the largest rho on {chosen}.",
        "**p-values.** All others have Holm's correction over the rows of their table. A single interval can exclude 0 "
        "although the corrected p-value is large.",
    ]
    if method.reference:
        paragraphs += _on_the_reference(escaped(method.reference))
    if decisions:
        paragraphs.append(
            f"**Positive or not.** A pair is called positive above the threshold that is most often right on {chosen}."
        )
    paragraphs += [
        "**Depth.** The least-squares slope of rho on the layer number, over the whole curve, from the same resamples. "
        "It does not depend on the selected layer. A curve that rises and falls again can have a slope of 0.",
        "**Language-model check.** Bits per byte of UTF-8 on a sample of the sentences; the first token of each is "
        "charged log2(vocabulary) bits. The unigram models know only how often each byte or token occurs "
        "(leave-one-out). A model that does no better is untrained, or it is fed another model's token ids.",
    ]
    return _section(paragraphs)


def _on_the_reference(reference: str) -> list[str]:
    return [
        f"**Against {reference}.** Differences are paired: both encoders see the same resamples, which also give the "
        "p-value. Differences in AUC are tested a second way, by DeLong's method over components.",
        "**Partial rho.** It correlates what is left of the ranks of scores and labels after their regressions on the "
        f"ranks of {reference}. Its interval is not corrected for the number of encoders. A second measure of word "
        "overlap can keep some partial rho too, so it alone is no evidence of more than shared words.",
    ]


def of_poolings(method: Method, chosen_on: str) -> list[str]:
    """For poolings.md."""
    chosen = escaped(chosen_on)
    return _section(
        [
            "**Rho** is Spearman's, of scores and labels. The layer of each row is the one with the largest rho on "
            f"{chosen}.",
            f"**Intervals.** Brackets are {percent(method.confidence)} intervals by a bootstrap over components, which "
            f"are groups of pairs that share sentences ({method.resamples:,} resamples). Those of differences are "
            "paired.",
            "**Nested selection** is the interval of the difference when the layer is selected anew in every resample "
            f"of {chosen}. It adds the uncertainty of that selection.",
            "**p** has Holm's correction over the rows of its table. A single interval can exclude 0 although the "
            f"corrected p-value is large. *Best of all* is the combination with the largest rho on {chosen}; it has "
            "one test of its own, with fewer resamples where there are many combinations.",
            "**Minimum detectable difference.** A test finds a true difference of that size in 80 % of samples, before "
            "Holm's correction.",
            "**Without labels.** LOES (arXiv 2605.23033) takes the layer whose mean vectors of train sentences are the "
            "most isotropic: the mean of the eigenvalues of their covariance over their standard deviation is the "
            "largest. Its difference from the layer that labels choose is one test, without correction.",
            "**Learned poolings** are means over their runs. Their layers are chosen on train pairs that a run had "
            "held out. Intervals and p-values take these runs as they are: they say what to expect of other test "
            "pairs, not of learning from other train pairs.",
        ]
    )


def of_probes(method: Method, metric: str) -> list[str]:
    """For probes.md; `metric` is accuracy, or spearman for grades."""
    fitted = "Logistic regression" if metric == "accuracy" else "Ridge regression"
    held_out = "accuracy" if metric == "accuracy" else "rho"
    by_chance = "comes out near the most frequent label" if metric == "accuracy" else "its rho is chance"
    return _section(
        [
            f"**Probes.** {fitted} with an L2 penalty, fitted on train pairs. *Difference product* sees |u - v| and "
            "u * v of the two vectors, as SentEval does (arXiv 1803.05449). *Bilinear* sees the terms of a symmetric "
            "u^T W v of a few principal components. *Measures* sees word overlap's own measures. None depends on the "
            "order of the two sentences.",
            f"**Choices.** The strength of the penalty and the layer have the best {held_out} on held-out folds of the "
            "train pairs (*held out*). Nothing is chosen or fitted on the reported splits.",
            "**Control and selectivity.** The control is the same probe with the same penalty, fitted to permuted "
            "train labels. Selectivity is the probe minus its control (after Hewitt and Liang, arXiv 1909.03368). "
            "Pairs do not recur on other splits as their word types do. So a control cannot score by memory there, and "
            f"{by_chance}.",
            f"**Intervals.** Brackets are {percent(method.confidence)} intervals by a bootstrap over components, which "
            f"are groups of pairs that share sentences ({method.resamples:,} resamples). Differences are paired. They "
            "take the fitted probes as they are: they say what to expect of other pairs, not of other train pairs.",
            "**p** is of no difference from word overlap's probe, with Holm's correction over the rows of its table.",
            "**Zero-shot** is the score of the same layer that needs no fit: the correction and similarity with the "
            "largest rho on train. *Gain* is rho of the probe's scores minus that of the zero-shot score; the p beside "
            "it has Holm's correction over the layers of the probe.",
        ]
    )


def of_claims(method: Method) -> list[str]:
    """For claims.md."""
    return _section(
        [
            "**Verdicts.** *Supported*: significantly as the rule says, or an interval wholly in its range. "
            "*Contradicted*: significantly the other way, or an interval wholly outside. *Not resolvable at this n*: "
            "neither, so another sample could say either. *Not tested here*: the figure is missing. Measures *beside "
            "it* explain a claim and do not decide it.",
            "**Layers.** The paper's layers stand for a share of depth: its best, layer 2 of 24, is the nearest to a "
            "twelfth of a model's last layer, and layer 1 at least. Layer 0 is what enters the first block.",
            "**Several comparisons.** What must be true of every layer needs no correction, since one wrong test alone "
            "cannot make it supported. What is enough in one layer has Holm's. The table shows the decisive "
            "comparison, or else the one that is most in the way. *For / against* counts significant ones.",
            f"**Intervals and p.** Of rho: {percent(method.confidence)}, by a paired bootstrap over components "
            f"({method.resamples:,} resamples). Of times: the range over the quartiles of both. Of geometry: normal, "
            "as if the errors of two layers were independent, which makes the test cautious where they go together.",
            "**What verdicts do not say.** Each is of these pairs and these weights. Where a claim has several main "
            "measures with different verdicts, it *depends on the measure*. p-values are not corrected over claims, "
            "models or splits. `claims.csv` has the command behind each figure.",
        ]
    )


def _section(paragraphs: list[str]) -> list[str]:
    return section("How to read this page", *([paragraph] for paragraph in paragraphs))
