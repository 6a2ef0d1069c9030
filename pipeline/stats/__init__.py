"""Numbers in, numbers out: rank correlations, the bootstrap over components, tests, bands, folds. No tables, no files.

Everywhere: scores (K, n) of K encoders or layers over n pairs, labels (n,), component (n,) = the cluster of each
pair, which is the unit of resampling. Resampled statistics (K, B) are those of `bootstrap.bootstrap`: column b of
every row is the same resample, so differences of rows, and of calls with the same seed and components, are paired.
NaN marks what is undefined; a resample in which a value is undefined is left out.

How much components can say depends on their effective number, (sum of sizes)^2 / sum of squared sizes: where that is
about 20, tests at .05 reject a true null in .06 (equal sizes) to .09 (one component of a fifth of the pairs). Below 5
there is no interval and no p.

    ranks         Spearman's rho, Pearson's r, AUC            bootstrap     resamples of components, intervals
    weighted      the same of repeated pairs (running_sums)   significance  p-values, Holm, trends, power
    folds         components in folds                         bands         bands over a whole curve
    delong        AUCs without resampling                     partial       rho given a covariate
    thresholds    0/1 decisions                               selection     the best of K, in every resample
    decisions     accuracy and F1 in resamples
    components    how much they can say                       best          all against the best of K
                                                              front         the best by two measures at once
"""
