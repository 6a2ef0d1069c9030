"""Fine-tuning: a model of the catalogue learns to put train pairs closer, and becomes one more model of the catalogue.

    pairs      the train pairs, of this or another data set, without what the study reports on
    vectors    texts -> pooled vectors of one layer, with gradients
    losses     vectors of a batch of pairs -> a number to make small
    method     which weights are trained: a LoRA adapter, or all
    learning   the pairs in batches, and the fold that is held out
    train      the loop
    checkpoint where a run stands, and the key that it is found by
    card       README.md of the result

A later stage sees nothing of this: an entry `{finetune: demo}` of catalog.yaml is the model demo with what was learned.
"""
