"""The chart: time of the fit against the number of ratings, both on logarithmic scales."""

from pathlib import Path
from typing import Any

COLOURS = {
    "reelated": "#c1121f",
    "implicit": "#1f6f8b",
    "similaripy": "#5b8e3e",
    "sparse_dot_topn": "#8a5fa8",
    "irspack": "#b07d2b",
    "lenskit": "#3d5a80",
    "surprise": "#8d6e63",
    "scikit_learn": "#6c757d",
}


def lines(found: list[dict[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Return for each contender its points: ratings, and the median seconds of a fit."""
    drawn: dict[str, list[tuple[int, float]]] = {}
    most = max(one["threads"] for one in found)
    for result in (one for one in found if one["threads"] == most):
        for name, one in result["contenders"].items():
            if "skipped" not in one and "median" in one.get("works", {}).get("fit", {}):
                drawn.setdefault(name, []).append((result["about"]["ratings"], one["works"]["fit"]["median"]))
    return {name: sorted(points) for name, points in drawn.items()}


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Write the chart as SVG, the same bytes for the same results."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "reelated", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(7.2, 4.4), layout="constrained")
        axes = figure.subplots()
        for name, points in lines(found).items():
            ratings, seconds = zip(*points, strict=True)
            ours = name == "reelated"
            axes.loglog(ratings, seconds, marker="o", color=COLOURS.get(name), label=name,
                        linewidth=2.5 if ours else 1.2, zorder=3 if ours else 2)  # fmt: skip
        axes.set(xlabel="ratings", ylabel="seconds", title="Time to fit: cosine, 100 neighbours")
        axes.grid(True, which="major", alpha=0.3)
        axes.legend(fontsize="small", frameon=False)
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
