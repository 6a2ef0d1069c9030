"""What is learned from train pairs and the states of a dump: poolings, compared with the mean that they start from.

    attention   alpha = softmax_t(q . h_t / sqrt(D)), a query q for each layer (arXiv 2502.14620); q = 0 is the mean
    diagonal    d * mean(h): as many parameters, no choice among tokens, what training alone is worth; d = 1 is the mean
    scalar_mix  softmax weights of the layers' means (arXiv 1802.05365)

They are trained on the cosines of both sentences of a pair with the loss of `losses`. Every run starts at the mean with
a little noise of its own, and holds one fold of the train components out, so that each train pair is scored by the run
that did not learn from it. The epoch with the largest rho of those scores is kept, at each layer for itself; epoch 0,
the mean (for the mix: equal shares), counts too. `guard` keeps what was learned only where it is more than noise.

`learnable` says what is learned: to add to it, make an entry there and in `formats.fits.ARRAYS`. `sentences` and
`pair_states` read the states, `cosines` and `losses` are what is differentiated, and `run` trains.
"""
