"""The metrics in plain loops over lists of ids; it imports nothing from reelated."""

import math


def score_list(listed, relevant, n):
    """Return every metric of one list, given the non-empty set of relevant ids."""
    hits = [1 if entry in relevant else 0 for entry in listed[:n]]
    gain = sum(hit / math.log2(rank + 2) for rank, hit in enumerate(hits))
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(n, len(relevant))))
    precisions = [sum(hits[: rank + 1]) / (rank + 1) for rank, hit in enumerate(hits) if hit]
    first = hits.index(1) + 1 if 1 in hits else math.inf
    return {
        "ndcg": gain / ideal,
        "map": sum(precisions) / len(relevant),
        "precision": sum(hits) / n,
        "recall": sum(hits) / len(relevant),
        "recall_capped": sum(hits) / min(n, len(relevant)),
        "mrr": 1 / first,
        "hit_rate": 1.0 if first < math.inf else 0.0,
    }


def mean_over_users(lists, relevant, n):
    """Return the means over the users with a list and relevant ids, and the number of these users."""
    each = [score_list(lists[user], relevant[user], n) for user in lists if relevant.get(user)]
    return {name: sum(one[name] for one in each) / len(each) for name in each[0]}, len(each)


def overall(lists, raters, n_users, n_items):
    """Return coverage, top10_share and novelty of all lists."""
    places = {}
    for entries in lists.values():
        for entry in entries:
            places[entry] = places.get(entry, 0) + 1
    bits = [
        sum(-math.log2(raters[entry] / n_users) for entry in entries) / len(entries)
        for entries in lists.values()
        if entries
    ]
    most = sorted(places.values(), reverse=True)[:10]
    return {
        "coverage": len(places) / n_items,
        "top10_share": sum(most) / sum(places.values()),
        "novelty": sum(bits) / len(bits),
    }


def errors(pairs):
    """Return RMSE and MAE of (predicted, rated)."""
    squares, gaps = [(p - r) ** 2 for p, r in pairs], [abs(p - r) for p, r in pairs]
    return {"rmse": math.sqrt(sum(squares) / len(pairs)), "mae": sum(gaps) / len(pairs)}
