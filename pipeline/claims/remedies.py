"""The commands that measure; why a measure was not tested, and the command that would test it.

A command has places for {model}, and for {models} and {baselines} of the study, each with a comma after it.
"""

REPRO = "dvc repro claims"
COST = "dvc --cd cost repro && dvc repro claims"
GEOMETRY = "dvc --cd geometry repro && dvc repro claims"
VECTORS = "dvc exp run -S 'baselines=[{baselines}glove-6b-50d]'"
TUNE = (
    "dvc exp run -S 'models=[{models}{model}-finetuned]' "
    "# once catalog.yaml has {model}-finetuned: {{finetune: {model}}}"
)
ENCODER = "pip install -c constraints.txt -e '.[encoders]' && dvc exp run -S 'baselines=[{baselines}all-minilm-l6-v2]'"
COSINE = "dvc exp run -S 'score.similarities=[cosine]'"
ATTENTION = "dvc exp run -S 'sweep.poolings=[mean,attention,diagonal]' -S fit.controls=true -S sweep.controls=true"
PROBES = "dvc exp run -S probe.layers=all -S probe.controls=true"
OVERLAP = "dvc exp run -S 'baselines=[{baselines}overlap]'"

NO_CURVE = "fewer than two layers from 1 on have a rho of cosines"
NO_VECTORS = "no averaged word vectors among the baselines"
NOT_TUNED = "no model of this study was tuned from it"
NO_ENCODER = "no sentence encoder among the baselines"
NO_OVERLAP = "no word overlap among the baselines"
NO_GPU = "no GPU was used"
REMEDIES = {
    NO_CURVE: COSINE,
    NO_VECTORS: VECTORS,
    NOT_TUNED: TUNE,
    NO_ENCODER: ENCODER,
    NO_OVERLAP: OVERLAP,
}
"""why a measure was not tested -> what would test it, where that is not the command of the rule"""
