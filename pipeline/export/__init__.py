"""A layer of a model, pooled, as an encoder that other tools call: sentence-transformers, and through it mteb.

`layer.sentence_transformer("demo", layer=3)` reads the catalogue and params.yaml and gives the vectors of the stage
pool, for any text. Needs the extra `encoders`.
"""
