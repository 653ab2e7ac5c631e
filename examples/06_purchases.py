# %% [markdown]
# # Purchases
#
# This notebook recommends products of a simulated outdoor shop, from views and purchases without any rating.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
import polars as pl

import reelated
from reelated.evaluation import compare, evaluate, leave_last_out

# %% [markdown]
# ## Simulated events
#
# Three groups of customers look at many products and buy some of those that suit their group. A few products are
# popular with everybody. The numbers say nothing about real customers.

# %%
PRODUCTS = {
    "hiking": ["boots", "poles", "backpack", "map", "gaiters", "socks", "compass", "rain jacket"],
    "climbing": ["rope", "harness", "chalk", "helmet", "quickdraws", "belay device", "tape", "crash pad"],
    "camping": ["tent", "stove", "pan", "sleeping bag", "mat", "lantern", "spork", "cool box"],
    "everybody": ["water bottle", "headlamp", "sun cream", "first-aid kit"],
}
rng = np.random.default_rng(7)
names = [name for group in PRODUCTS.values() for name in group]
group_of = np.repeat(np.arange(4), [len(group) for group in PRODUCTS.values()])
events = []
for customer in range(400):
    own = customer % 3
    chance = np.where(group_of == own, 6.0, np.where(group_of == 3, 4.0, 1.0))
    seen = rng.choice(len(names), size=rng.integers(4, 14), p=chance / chance.sum())
    for step, product in enumerate(seen):
        time = 1_600_000_000 + 86_400 * int(rng.integers(0, 300)) + 60 * step
        events.append((f"c{customer:03}", names[product], "view", time))
        if rng.random() < (0.5 if group_of[product] == own else 0.15):
            events.append((f"c{customer:03}", names[product], "purchase", time + 30))
table = pl.DataFrame(events, schema=["customer", "product", "event", "timestamp"], orient="row")
print(f"{len(table):,} events")

# %% [markdown]
# ## Read and check
#
# The table has no ratings, so its rows are events. `validate` reports the kind, sessions and the time span.

# %%
report = reelated.validate(table)
print(report.kind)
print(next(issue.message for issue in report.issues if issue.code == "time_span"))

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the notes are printed instead
    shop = reelated.read(table, events={"view": 1, "purchase": 5}, noun="product", name="shop")
print(shop)
for note in shop.notes:
    print("note:", note)

# %% [markdown]
# ## Recommend and explain
#
# A new customer passes products. Each reason is a part of the score.

# %%
rec = reelated.Recommender().fit(shop)
print(rec.recommend(items=["rope", "chalk"], n=5))

# %%
print(rec.explain(None, "harness", items=["rope", "chalk"]))

# %% [markdown]
# A customer who is not interested in a product does not get it, and it adds nothing to the scores:

# %%
print([row.item_id for row in rec.recommend(ratings={"rope": 5, "harness": -1}, n=5)])

# %% [markdown]
# ## Measure
#
# The last product of each customer is hidden. Only lists are measured; there is no rating to predict.

# %%
split = leave_last_out(shop)
best = evaluate(rec, split)
popular = evaluate(reelated.Recommender(reelated.Popularity(), rater=None), split)
for measure in ("hit_rate@10", "ndcg@10"):
    print(f"{measure}: {best.value(measure, 'any'):.3f}, most popular products {popular.value(measure, 'any'):.3f}")
difference = next(row for row in compare(popular, best) if row.measure == "ndcg@10")
print(f"difference in nDCG@10: {difference.difference:+.3f}")
assert difference.difference > 0

# %% [markdown]
# Customers with more events in training are served better:

# %%
groups = best.groups().filter(of="user")
figure, axis = plt.subplots(figsize=(5, 2.4), dpi=75, layout="constrained")
axis.bar([f"from {low}" for low in groups["low"]], groups["recall"], color="#2a6fbb")
axis.set(title="Share of hidden products that are listed", xlabel="products known of a customer", ylabel="recall at 10")
plt.show()
