"""The picture of `planted`: rho of each pooling over the length of sentences, and what attention gains on the mean."""

LOOKS = {  # lines that coincide can all be seen
    "mean": {"color": "0.15", "linewidth": 3.2, "alpha": 0.75},
    "attention": {"color": "tab:red"},
    "diagonal": {"color": "tab:orange", "linestyle": (0, (2, 2)), "zorder": 3},
}
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
}


def draw_condition(top, bottom, results):
    """A column of the picture: rho of each pooling over n, and below it attention's gain with its interval."""
    n = [result.n for result in results]
    for name, look in LOOKS.items():
        top.plot(n, [result.rho[name] for result in results], marker="o", markersize=4, label=name, **look)
    top.set_title(results[0].condition, loc="left", fontweight="bold")
    low, high = [result.low for result in results], [result.high for result in results]
    bottom.fill_between(n, low, high, color="tab:red", alpha=0.15, linewidth=0)
    bottom.plot(n, [result.gain for result in results], color="tab:red", marker="o", markersize=4)
    bottom.axhline(0, color="0.3", linewidth=0.8)
    bottom.set_xscale("log", base=2)
    bottom.set_xticks(n, n)
    bottom.minorticks_off()
    bottom.set_xlabel("n, tokens of a sentence")


def draw(results, path):
    """The results of `planted`, a column for each condition."""
    conditions = list(dict.fromkeys(result.condition for result in results))
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    with plt.rc_context(STYLE):
        layout = {"layout": "constrained", "sharex": "col", "sharey": "row", "height_ratios": [1.5, 1]}
        figure, axes = plt.subplots(2, 2, figsize=(8.4, 5.2), **layout)
        for (top, bottom), condition in zip(axes.T, conditions):
            draw_condition(top, bottom, [result for result in results if result.condition == condition])
        axes[0][0].set_ylabel("rho on test pairs")
        axes[1][0].set_ylabel("attention minus mean,\n95 % interval")
        axes[0][0].legend(frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=160, format="png")
        plt.close(figure)
