"""What arXiv 2502.14620 claims, asks and would check next: statement, figures, and on what they were measured.

Layers are those of this project: the paper's layer k is k + 1 here (contract C1).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A statement that figures can support or contradict. A question is put as the answer that would be news."""

    statement: str
    """one sentence"""
    figures: str
    """the paper's own, or what it has instead"""
    measured_on: str = ""
    """model and data, and what is known to be wrong with it; empty where nothing was measured"""

    @property
    def said(self) -> str:
        """What the paper says and what it measured, in a sentence or two."""
        return f"The paper: {self.figures}." + (f" Measured on {self.measured_on}." if self.measured_on else "")


BLOCKS = 24
"""of the paper's model, RWKV-6 Finch 1.6B"""
SHALLOW = 2
"""the layer that it calls the best, its layer 1"""
LOOKED_AT = (2, 12)
"""the first and the last layer of its tables: the first half of the model"""
ENTROPY_AT = (4, 13)
"""the layers between which the entropy falls"""

MRPC = "RWKV-6 Finch 1.6B on MRPC, 408 validation pairs and 1,000 train pairs, with the token ids of GPT-2"
CLAIMS: dict[str, Claim] = {
    "C1": Claim("The shallow layer is the best.", "rho .350 at layer 2, .341 at the next that was measured", MRPC),
    "C2": Claim("Rho falls with depth.", "rho .350 at layer 2, .307 at layer 12", MRPC),
    "C3": Claim("Every layer is below averaged word vectors.", "rho .350 at most, .433 with GloVe", MRPC),
    "C4": Claim(
        "A pair takes about 700 times as long as with averaged word vectors.",
        "0.41 s and 0.0006 s",
        "a Tesla T4, without warm-up; each time includes all 24 blocks",
    ),
    "C5": Claim(
        "It needs about as much GPU memory as averaged word vectors.",
        "3078 MB and 3060 MB",
        "a Tesla T4, where the second figure is that of the idle model",
    ),
    "C6": Claim(
        "The entropy of the hidden states falls with depth.",
        "5.2 at layer 4, 3.8 at layer 13",
        "RWKV-6 Finch 1.6B; the paper has no formula, so each candidate has a verdict",
    ),
    "C7": Claim("The mean dilutes the signal of few tokens.", "n / m, an argument without a measurement"),
    "Q1": Claim("Contrastive fine-tuning closes the gap to averaged word vectors.", "an open question"),
    "Q2": Claim("Learned attention is better than the mean.", "an open question"),
    "Q3": Claim("Sentence encoders order the pairs better.", "an open question"),
    "N1": Claim("A linear probe reads from deep layers what their cosine hides.", "its first next check"),
}
"""C1 to C7 are claims, Q1 to Q3 questions, N1 is the first next check"""


def at_share(layers: list[int], layer: int) -> int:
    """Of a model's layers the one at the same share of depth as a layer of the paper's model, but not layer 0.

    layers: in ascending order, the last of them taken as the depth of the model. Of two at the same distance, the
    shallower one.
    """
    candidates = [one for one in layers if one >= 1] or layers
    wanted = layer * layers[-1] / BLOCKS
    return min(candidates, key=lambda one: (abs(one - wanted), one))
