# %% [markdown]
# # The audience of a movie
#
# This notebook finds **users for a movie** instead of movies for a user: who should be told that it is shown tonight?

# %%
SOURCE = "sample"  # or "ml-100k"
TITLE = "Star Wars"

# %%
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np

import reelated

BLUE, ORANGE, GREY = "#2a6fbb", "#e07b28", "#8a929c"
plt.rcParams |= {"figure.dpi": 75, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}

data = reelated.read(SOURCE)
print(data)
recommenders = {"textbook": reelated.textbook().fit(data), "default": reelated.Recommender().fit(data)}
rec = recommenders["default"]
item = rec.find(TITLE)[0]
print(item.title, item.year, f"rated by {item.n_ratings} users")

# %% [markdown]
# Users who have rated the movie are left out. `audience(item_id)` and `recommend(item_id=…)` return the same list.

# %%
print(rec.audience(item.item_id))
assert rec.recommend(item_id=item.item_id) == rec.audience(item.item_id)

# %% [markdown]
# The rows have no reasons. A reason reveals what a user has rated and is for that user only.
#
# ## Three numbers
#
# Sorted by **score**, the list starts with very active users, because scores add up. Sorted by **predicted rating**, it
# starts with users who would give the most stars, often those who give many stars to everything. The default is
# **adjusted score**, which corrects both: the score above the user's usual level, raised where the predicted rating is
# above the user's own mean (`above_user_mean`).

# %%
everyone = rec.audience(item.item_id, n=len(rec.user_ids))
score = np.array([row.score for row in everyone])
above_user_mean = np.array([row.above_user_mean for row in everyone])
invited = everyone[:10]
for by in ("adjusted_score", "score", "rating"):
    print(f"by {by}:", ", ".join(str(row.user_id) for row in rec.audience(item.item_id, by=by)))

# %%
figure, axis = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
axis.scatter(score, above_user_mean, s=10, color=GREY, linewidths=0, label="users who have not rated it")
axis.scatter(
    [row.score for row in invited],
    [row.above_user_mean for row in invited],
    s=28,
    color=BLUE,
    label="highest adjusted scores",
)
axis.axhline(0, color="black", lw=0.8, ls=":")
axis.set(title=f"The audience of {item.title}", xlabel="score", ylabel="stars above own mean")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Does the list depend on the movie?
#
# A list of users is useful only if it depends on the movie. List ten users for every movie and count how often each
# user is listed. If all users were listed equally often, ten of them would hold few of the places.

# %%
named = {}
for name, model in recommenders.items():
    lists = model.audience_batch(model.item_ids)
    named[name] = Counter(lists["user_id"])
    share = sum(count for _, count in named[name].most_common(10)) / named[name].total()
    print(f"{name}: {len(named[name])} users are listed at least once; ten of them hold {share:.0%} of the places")

# %%
figure, axis = plt.subplots(figsize=(6.5, 3), layout="constrained")
for (name, counter), colour in zip(named.items(), (ORANGE, BLUE), strict=True):
    counts = np.array([count for _, count in counter.most_common()])
    axis.plot(np.arange(1, len(counts) + 1), np.cumsum(counts) / counts.sum(), color=colour, label=name)
n_users = len(rec.user_ids)
axis.plot([1, n_users], [1 / n_users, 1], color=GREY, ls=":", label="all equally often")
axis.set(title="Places held by the most listed users", xlabel="users, the most listed first", ylabel="share of places")
axis.set_xlim(0, n_users)
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# With the recipe, the user's mean decides: users with high means are listed for everything, and the highest means
# belong to users with few ratings. With the adjusted score, the movie decides: the most listed users are active ones,
# because more is known about them, but no user dominates. How many movies have the most listed users rated?

# %%
n_rated = dict(zip(data.ratings.user_ids.values.to_list(), np.diff(data.ratings.matrix.indptr).tolist(), strict=True))
named["default, by score"] = Counter(rec.audience_batch(rec.item_ids, by="score")["user_id"])
for name, counter in named.items():
    top = np.median([n_rated[user] for user, _ in counter.most_common(10)])
    print(f"{name}: the ten most listed users rated {top:.0f} movies each (median)")
print(f"all users: {np.median(list(n_rated.values())):.0f}")

# %% [markdown]
# ## A limit for each user
#
# If several movies are announced at once, no user should get a message for each of them. `audience_batch` lists users
# for several movies, and `per_user` limits how often a user is listed: pairs with higher adjusted scores take
# precedence.

# %%
item_ids = [match.item_id for match in (rec.find(title)[0] for title in (TITLE, "Alien", "Fargo", "Titanic"))]
for per_user in (None, 1):
    table = rec.audience_batch(item_ids, per_user=per_user)
    summary = f"per_user={per_user}: {table['user_id'].n_unique()} users for {len(table)} places"
    print(f"{summary}, mean adjusted score {table['adjusted_score'].mean():.3f}")
