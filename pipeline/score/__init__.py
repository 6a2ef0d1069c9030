"""Sentence vectors -> a score for each pair: larger means more alike.

A similarity is one function of two arrays of vectors and one entry in `similarities.SIMILARITIES`; add a row to
tests/score/test_similarities.py.

`run` scores the vectors that the stages pool and baseline wrote (contract C5). `sweep` scores every pooling, correction
and similarity of a model in one read of its states; `swept` has the names that only a sweep knows, `attention` keeps
where learned attention looked, `loes` chooses a layer without labels. `combinations` is what run and sweep share.
"""
