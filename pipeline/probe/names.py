"""The names of probes: those of params.yaml, and that of word overlap."""

PROBES = ("difference_product", "bilinear")
"""the keys of features.FEATURES, without what computes them"""
MEASURES = "measures"
"""the probe of a baseline that brings scores: its features are the measures themselves, such as Dice and Jaccard"""
