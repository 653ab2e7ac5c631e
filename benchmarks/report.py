"""From results/*.json to the table, the page and the chart; no figure is typed by hand."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chart import draw

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
BEGIN, END = "<!-- made by benchmarks/run.py --table: begin -->", "<!-- end -->"
WORKS = {"fit": "fit", "everyone": "top 10 for all users", "one": "top 10 of one row"}
Result = dict[str, Any]


def write() -> None:
    """Make the tables and the chart anew from the latest result of each data set and number of threads."""
    found = latest(json.loads(file.read_text(encoding="utf-8")) for file in sorted((HERE / "results").glob("*.json")))
    if not found:
        print("no results yet")
        return
    between(HERE / "README.md", full(found))
    between(DOCS / "speed.md", short(found))
    draw(found, DOCS / "images" / "speed.svg")


def latest(results: Iterable[Result]) -> list[Result]:
    """Return the latest result of each data set and number of threads, small data first.

    Results from other machines than that of the last one are left out: their times cannot be compared.
    """
    newest = {(one["data"], one["threads"]): one for one in sorted(results, key=lambda one: one["date"])}
    here = max(newest.values(), key=lambda one: one["date"], default={"machine": None})["machine"]
    comparable = [one for one in newest.values() if one["machine"] == here]
    return sorted(comparable, key=lambda one: (one["about"]["ratings"], -one["threads"]))


def between(path: Path, text: str, begin: str = BEGIN) -> None:
    """Put a text between the markers of a file."""
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    path.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


# -------------------------------------------------------------------------------------------------- figures
def figure(one: dict[str, Any], work: str, what: str = "median") -> Any:
    """Return a figure of a contender's work, or None."""
    return one.get("works", {}).get(work, {}).get(what) if "skipped" not in one else None


def same_work(one: dict[str, Any], work: str) -> bool:
    """Say whether a contender's figure is of the same work as ours: a list that holds what is seen is not."""
    return not (work == "everyone" and one.get("keeps_seen"))


def seconds(value: float | None) -> str:
    """Show a time in the unit that suits it."""
    if value is None:
        return ""
    for unit, size in (("s", 1), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e6:.0f} µs"


def size(value: float | None) -> str:
    """Show bytes."""
    return "" if value is None else f"{value / 1e6:,.0f} MB"


def share(agreement: dict[str, Any] | None) -> str:
    """Show how much agrees, never rounding up to all."""
    if not agreement:
        return ""
    return "all" if agreement["agree"] == 1 else f"{min(agreement['agree'], 0.9999):.2%}"


def error(agreement: dict[str, Any] | None) -> str:
    """Show the largest error of a value."""
    return f"{agreement['largest_error']:.0e}" if agreement else ""


def times(theirs: float | None, ours: float | None) -> str:
    """Show how many times ours theirs is."""
    return f"{theirs / ours:.2g}×" if theirs is not None and ours else ""


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    lines = [list(heads), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# -------------------------------------------------------------------------------------------------- sections
def full(found: list[Result]) -> str:
    """Return everything: a section for each data set, then threads, growth and where we lose."""
    parts = [section(result) for result in found]
    return "\n\n".join([*parts, *filter(None, (by_threads(found), growth(found))), losses(found)])


def section(result: Result) -> str:
    """Return what one data set showed."""
    parts = [f"### {result['data']}, {threads(result)}", setting(result), contest_table(result)]
    out = []
    for name, one in result["contenders"].items():
        out += [f"* {name} is left out: {one['skipped']}"] if "skipped" in one else []
        out += [f"* {name} without {WORKS.get(work, work)}: {why}" for work, why in one.get("without", {}).items()]
    parts += ["\n".join(out)] if out else []
    parts += [*filter(None, (measures(result), journey(result), stages(result)))]
    return "\n\n".join(parts)


def threads(result: Result) -> str:
    """Return the number of threads in words."""
    return f"{result['threads']} thread{'s' * (result['threads'] != 1)}"


def setting(result: Result) -> str:
    """Return what was measured, where and when."""
    machine, about = result["machine"], result["about"]
    memory = f", {machine['memory'] / 2**30:.0f} GiB" if machine["memory"] else ""
    return (
        f"{about['shape'][0]:,} users × {about['shape'][1]:,} movies; {about['told']}. "
        f"Medians of {result['rounds']} round{'s' * (result['rounds'] != 1)}, {result['date'][:10]}, "
        f"Reelated at {result['commit']}, "
        f"{machine['processor']}, {machine['cores']} cores{memory}, {machine['system']}, Python {machine['python']}."
    )


def contest_table(result: Result) -> str:
    """Return the contenders by the time of their fit, ours first."""
    entrants = {name: one for name, one in result["contenders"].items() if "skipped" not in one}
    ours = entrants.get("reelated", {})
    order = sorted(entrants, key=lambda name: (name != "reelated", figure(entrants[name], "fit") or 0))
    heads = ["", "fit", "of ours", "peak memory", "neighbours right", "largest error"]
    heads += ["all users' top 10", "of ours", "lists right", "one row", "of ours", "first call above the next"]
    rows = []
    for name in order:
        one, row = entrants[name], [f"{name} {entrants[name]['version']}"]
        for work in WORKS:
            shown = seconds(figure(one, work))
            row += [shown if same_work(one, work) else f"({shown})", times(figure(one, work), figure(ours, work))]
            row += [size(figure(one, work, "peak"))] if work == "fit" else []
            row += [share(figure(one, work, "agreement"))] if work != "one" else []
            row += [error(figure(one, work, "agreement"))] if work == "fit" else []
        rows.append([*row, seconds(one["first_call"])])
    notes = [f"* {name}: {entrants[name]['notes']}" for name in order if entrants[name]["notes"]]
    return "\n\n".join(filter(None, (table(heads, rows), "\n".join(notes))))


def measures(result: Result) -> str:
    """Return our other fits beside the plain cosine."""
    ours = result["contenders"].get("reelated", {})
    plain = figure(ours, "fit")
    rows = [
        [work.removeprefix("fit "), seconds(figure(ours, work)), times(figure(ours, work), plain)]
        for work in ours.get("works", {})
        if work.startswith("fit ") and "skipped" not in ours
    ]
    return table(["our other fits", "time", "of plain cosine"], rows) if rows and plain else ""


def journey(result: Result) -> str:
    """Return the way from Parquet to a saved model."""
    told = result.get("alone", {}).get("journey")
    if not told:
        return ""
    parts = ", ".join(f"{name} {seconds(value)}" for name, value in told["parts"].items())
    return (
        f"From Parquet to a saved default recommender: {seconds(told['median'])} ({parts}), at most "
        f"{size(told['peak'])}. Then `Recommender.recommend(user_id=…)`: {seconds(told['one_user'])} a user."
    )


def stages(result: Result) -> str:
    """Return where the time of a fit goes, and how far the additions are from a bare loop of them."""
    told = result.get("alone", {}).get("stages")
    if not told:
        return ""
    whole = sum(told["busy"].values())
    parts = ", ".join(f"{name} {value / whole:.0%}" for name, value in told["busy"].items())
    steps = ", ".join(f"`{name}` {seconds(value)}" for name, value in told["steps"].items())
    rate = f" Pairs: {told['rate']:.2e} additions per second; " if told["rate"] else ""
    rate += f"a bare loop of scattered additions has {told['bare_rate']:.2e}." if rate else ""
    return f"Where our fit's kernels spend their time: {parts}. Steps of the driver: {steps}.{rate}"


def by_threads(found: list[Result]) -> str:
    """Return our fit by the number of threads, where there are several."""
    rows = []
    for name in dict.fromkeys(result["data"] for result in found):
        same = sorted((one for one in found if one["data"] == name), key=lambda one: one["threads"])
        fits = [figure(one["contenders"].get("reelated", {}), "fit") for one in same]
        if len(same) > 1 and all(fits):
            rows += [
                [name, str(one["threads"]), seconds(fit), f"{fits[0] / fit:.2f}×"]
                for one, fit in zip(same, fits, strict=True)
            ]
    return f"### Threads\n\n{table(['data', 'threads', 'our fit', 'faster'], rows)}" if rows else ""


def growth(found: list[Result]) -> str:
    """Return how our fit grows from 20 to 100 million ratings."""
    fits = {
        one["data"]: figure(one["contenders"].get("reelated", {}), "fit")
        for one in found
        if one["threads"] == most(found)
    }
    small, large = fits.get("ml-20m"), fits.get("ml-100m")
    if not small or not large:
        return ""
    told = f"From 20 to 100 million ratings by five times the users our fit takes {large / small:.2f}× the time."
    return f"### Growth\n\n{told}"


def most(found: list[Result]) -> int:
    """Return the largest number of threads measured."""
    return max(one["threads"] for one in found)


def losses(found: list[Result]) -> str:
    """Return every work at which a peer was quicker or leaner than we were."""
    lines = []
    for result in found:
        ours = result["contenders"].get("reelated", {})
        for work, what, show in (
            (w, what, show) for w in WORKS for what, show in (("median", seconds), ("peak", size))
        ):
            mine = figure(ours, work, what)
            peers = {n: figure(one, work, what) for n, one in result["contenders"].items() if same_work(one, work)}
            ahead = sorted(
                (value, name) for name, value in peers.items() if value is not None and mine and value < mine
            )
            if ahead:
                told = ", ".join(f"{name} {show(value)}" for value, name in ahead)
                place = f"{result['data']}, {threads(result)}, {WORKS[work]}{', memory' * (what == 'peak')}"
                lines.append(f"* {place}: we {show(mine)}, {told}")
    return "### Where we lose\n\n" + ("\n".join(lines) or "Nowhere in these runs.")


def short(found: list[Result]) -> str:
    """Return the summary for the documentation: how many times ours each peer takes."""
    found = [one for one in found if one["threads"] == most(found)]
    rows = []
    for work in ("fit", "everyone", "one"):
        for result in found:
            ours = figure(result["contenders"].get("reelated", {}), work)
            peers = {n: figure(one, work) for n, one in result["contenders"].items() if same_work(one, work)}
            peers.pop("reelated", None)
            ranked = sorted((value, name) for name, value in peers.items() if value is not None)
            told = ", ".join(f"{name} {times(value, ours)}" for value, name in ranked)
            rows += [[WORKS[work], result["data"], seconds(ours), told]] if ours else []
    heads = ["work", "ratings", "Reelated", "the others, times ours"]
    where = f"Measured with {threads(found[0])}: {'; '.join(machines(found))}."
    return "\n\n".join([where, table(heads, rows), losses(found).replace("###", "##")])


def machines(found: list[dict[str, Any]]) -> list[str]:
    """Say which data were measured where and when."""
    told: dict[str, list[str]] = {}
    for one in found:
        where = f"{one['date'][:10]} on {one['machine']['processor']} ({one['machine']['cores']} cores)"
        told.setdefault(where, []).append(one["data"])
    return [f"{', '.join(names)} on {where}" for where, names in told.items()]
