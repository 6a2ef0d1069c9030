"""States -> sentence vectors: every pooling, mix and correction, and their names.

A pooling is one function and one entry in a registry. The registry says what it takes beside the states h of a
sentence at one layer, (..., T, D):

    tokens.POOLINGS      nothing
    weighted.WEIGHTED    a weight for each token id, counted in the train sentences
    learned.LEARNED      a vector for each layer, learned on train pairs by the stage fit
    recurrent.RECURRENT  instead of h, the recurrent state after the last token, (S, H, N, M)
    mixes.MIXES          instead of h, the mean-pooled vectors of all layers, which it makes into one

To add one: write the function, enter it there, add a row to the test of that module in tests/pool/. Its key is its name
in params.yaml; a capital at the end of a key stands for a number (`last_K` is written last_4). A correction of vectors
is added the same way to `corrections.CORRECTIONS`.

`names` parses what params.yaml says, `batches` applies poolings to the states of a dump, `statistics` does so where the
dump kept no tokens, `inputs` reads what else poolings take, `norms` measures how much one token weighs in
a mean, and `run` writes the vectors.
"""
