"""Sentence vectors and train labels -> probes, simple classifiers of pairs, with a score for every pair.

A cosine asks whether the geometry of the vectors orders pairs. A probe asks whether the answer can be read from the
vectors at all, by a linear function that is fitted on train pairs.

settings  section `probe` of params.yaml
features  what a probe sees of the two vectors of a pair; symmetric in their order
fit       logistic regression or, for grades, ridge regression; its strength is chosen on inner folds of train
run       every layer of a model, or a baseline, with the control: the same on permuted train labels

A probe is one function and one entry in `features.FEATURES`; add a row to tests/probe/test_features.py.
"""
