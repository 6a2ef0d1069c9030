"""Drillcore: run a language model once over a corpus, keep every hidden layer, make each later question a cached stage.

The map. Each arrow is a stage of dvc.yaml, its script is stages/NAME.py, and its work is done in one room:

    params.yaml, catalog.yaml
      check     -> nothing is wrong in them               check      settings, names, references, missing files
      prepare   -> pairs, sentences                       text       pairs point at distinct sentences (contract C2)
      tokenize  -> token ids                              text       World, Hugging Face, GPT-2, bytes; templates
      finetune  -> an adapter, where one is wanted        finetune   contrastive training on the train pairs
      dump      -> states of every token at every layer   dump       plan, key (C6), writer; the only stage with a model
                   and the unembedding                    models     what the head reads, in which directions
      fit       -> learned poolings                       fit        queries, learned on train pairs
      pool      -> sentence vectors                       pool       mean, last, idf_mean, attention ...
      baseline  -> vectors or scores                      baselines  word overlap, word vectors, sentence encoders
      score     -> one score for each pair                score      cosine, dot ... of vectors, after a correction
      correlate -> rho, AUC, intervals, tests             analyse    and which layer was chosen on train
      report    -> report.md, layers.png                  report
      sweep     -> scores of every combination            score      pooling x correction x similarity x layer
      compare   -> which of them beats the mean           analyse
      poolings  -> poolings.md, poolings.png              report
      probe     -> probes of every layer, a score a pair  probe       logistic or ridge regression on train pairs
      probe_baselines -> the same of baselines            probe       word overlap's own measures are the floor
      probes    -> probes.csv, probes.md, probes.png      analyse     and report
      claims    -> claims.md, .csv, .json, conditions.csv claims      a verdict on each claim of the paper
      page      -> report.html                            page        all of it on one page, with a browser of the pairs

cost/dvc.yaml has one more, which measures this machine and runs by hand (dvc --cd cost repro):

      efficiency -> time, memory, size of encoders        cost        each in a process of its own
      cost      -> cost.md, cost.png                      report

geometry/dvc.yaml has one too, which takes a while for what few ask (dvc --cd geometry repro):

      geometry  -> how each layer spreads, bends, changes geometry    anisotropy, spectra, dimension, CKA ...
      relate    -> geometry.md, .parquet, .csv, .png      report      the same beside rho

Both leave a copy in data/beside/, which the stages claims and page read.

    By hand: drillcore runs and reads all of that from the command line (docs/howto/command.md);
    stages/datasets.py runs it for several data sets -> datasets.md, datasets.csv, datasets.png;
    stages/clean.py shows and empties the scratch store of the dumps.

Rooms, from the bottom up; each imports only rooms above its line:

    base       settings, command line, errors, whole files, the code behind a result, the machine, data sets in turn
    stats      numbers in, numbers out: ranks, bootstrap, tests, bands, folds
    engine     a function over items: in this process, or in many of a Ray cluster
    catalog    names of datasets, models and baselines; fetching and hashing their files
    storage    where shards lie while they are made, by any number of workers
    formats    every file that one stage writes and another reads: columns, write, read, check
    models     a catalogue entry -> a network; what a layer is (C1); RWKV-4 to 7
    text       sources of pairs, tokenizers
    baselines  what models are compared with: word overlap, word vectors, sentence encoders
    pool       token states -> sentence vectors: every pooling, correction and mix, and their names
    readouts   what is read of a network: hidden layers, or something else of each token and layer
    dump       run a network once and keep what it computes
    fit        poolings that are learned from train pairs
    finetune   weights that are learned from train pairs
    score      sentence vectors -> a number for each pair
    probe      sentence vectors and train labels -> linear classifiers of pairs, and their scores
    analyse    numbers of pairs -> tables
    geometry   states and vectors of a layer -> what shape they have; that beside rho
    claims     figures -> verdicts on what the paper claims and asks
    report     tables -> pages and pictures; computes nothing, the only place that rounds
    page       the same on one page: charts, and a browser of the pairs
    export     a layer, pooled, as an encoder for sentence-transformers and mteb, or as a file for other tools
    demo       how the model and the word vectors that ship were made
    cost       what an encoder costs, measured in a process of its own
    check      everything that can be wrong in params.yaml and catalog.yaml
    command    the command `drillcore`: pairs and a model to a report, for people
"""
