"""The command `drillcore`, for people: from a file of pairs and a model to a report, and back.

app          its subcommands, each a few lines; options: those that several have; running: what each does
words        what a word of the command line stands for: a name of the catalogue, a file, a folder, a model of the hub
catalogue    entries put into catalog.yaml, of which every other character stays
study        what is set in params.yaml, DVC run on it, and the way back
listing      the names of the catalogue, and what of them is on this machine
estimate     what a run will take of the disk and of time; scale: what more sentences would; quantities: in words
offline      DVC's page of plots, without links to a network
experiments  the scores that DVC's cache has of an experiment or a commit

It adds no way to compute anything: each subcommand edits the two settings files, runs DVC, or reads what stages wrote.
"""
