"""A layer of a model, pooled, for other tools: as an encoder of sentence-transformers, through it mteb, or as a file.

`layer.sentence_transformer("demo", layer=3)` reads the catalogue and params.yaml and gives the vectors of the stage
pool, for any text. `folder` writes such an encoder where transformers can compute it without this project. Both need
the extra `encoders`. `files` writes vectors that are there: NumPy, a projector's TSV, Parquet with the texts.
"""
