"""How the model and the word vectors in data/demo were made: once, from a folder of news, by data/demo/make.sh.

`dvc repro` never runs this. Three commands use the rest: `make_corpus` (documents and a tokenizer), `make_model` (a
small RWKV-6) and `make_vectors` (word vectors).
"""
