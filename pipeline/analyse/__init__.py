"""Numbers of pairs -> tables: how well scores follow the labels, and which pooling is better than the mean.

settings   section `correlate` of params.yaml: resamples, confidence, seed, reference
groups     the splits and subsets that everything is computed on
correlate  rho, AUC and r of every encoder and layer, and the layer that is selected on train
infer      what follows: bands, slopes, differences from the reference, thresholds
options    what a sweep chooses among: poolings, corrections and similarities, at every layer
compare    which of them is better than the plain mean
curves     rho of every pooling by layer
attention  what learned attention looks at
probes     what probes classify rightly, beside their controls and word overlap
learned    what was learned, at the layer that was chosen
"""
