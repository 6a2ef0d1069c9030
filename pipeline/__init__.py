"""Drillcore: run a language model once over a corpus, keep every hidden layer, and make every later question a cached stage.

The map. Each arrow is a stage of dvc.yaml (stages/NAME.py) and one module here:

    catalog.yaml, params.yaml                catalog    what a name stands for; params: one dataclass a section
      prepare   -> pairs, sentences          pairs      pairs point at distinct sentences (contract C2)
      tokenize  -> token ids                 tokenizers World, HF, GPT-2, bytes
      dump      -> states of every token     dumping    plan, key (C6) and writer; the only stage that runs a model
                   at every layer            layers     what a layer is, for any transformers model (C1)
                                             rwkv6      RWKV-6; checkpoints: BlinkDL's files; models: any entry -> a model
                                             gate       bits per byte: does the model read this text?
                                             shards     the file format (C3); statistics: what is kept instead of tokens
                                             scratch    unfinished dumps: locks, records, resuming, clearing
      fit       -> learned poolings          learning   attention and its control, on train pairs; fitted: the file format
      pool      -> sentence vectors          pooling    mean, last, idf_mean, attention ...; vectors: the file format (C4)
      baseline  -> vectors or scores         baselines  overlap, random, word vectors
      score     -> one score a pair          scoring    cosine, ... in one tidy table (C5); corrections: centre, whitening ...
      correlate -> rho, AUC, intervals       correlation; inference: differences, bands, trends, choices, covariates
      report    -> report.md, layers.png     reporting
      sweep     -> a score a pair for every  sweeping   pooling x correction x similarity x layer, in one read of the states
      compare   -> poolings.md, .png         comparing, comparison_report

data/demo/dvc.yaml makes the small model and the word vectors that come with the project, apart from the above:

      corpus, pretrain, wordvectors          corpus     documents without the evaluation data's sentences; ngrams: bars to beat
                                             pretraining, wordvectors

Beside them: splits (what is fitted, chosen and reported on), cli (a stage's command line and its errors) and files (written whole or
not at all).
"""
