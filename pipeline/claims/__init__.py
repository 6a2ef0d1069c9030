"""Figures -> verdicts on what arXiv 2502.14620 claims, asks and would check next, for any model and data set.

paper        the claims: statement, figures, what they were measured on; which layer of a model is meant
rules        when a figure supports a claim, contradicts it, or leaves it open: data, and the function that applies it
evidence     what is judged, and how the models of a study hang together
curves       rho of every layer of a split, in the same resamples
from_scores  C1, C2, C3, Q1, and the order by sentence encoders (Q3)
from_tables  learned attention (Q2), probes (N1)
from_beside  time and memory (C4, C5, Q3), geometry (C6, C7)
conditions   the same weights in two conditions, layer by layer
judge        evidence -> the table of verdicts
study        all of that from the files of a study
"""
