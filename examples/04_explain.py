# %% [markdown]
# # Explain
#
# Every number of an item-based model is a sum over the movies that the user has rated. So an explanation is exact: a
# base, the contribution of each rated movie, and the total.

# %%
SOURCE = "sample"  # or "ml-100k"

# %%
import matplotlib.pyplot as plt
import numpy as np

import reelated

BLUE, ORANGE, GREY = "#2a6fbb", "#e07b28", "#8a929c"
plt.rcParams |= {"figure.dpi": 75, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}

data = reelated.read(SOURCE)
print(data)
rec = reelated.Recommender().fit(data)
counts = np.diff(data.ratings.matrix.indptr)
user_id = rec.user_ids[int(np.argsort(counts, kind="stable")[len(counts) // 2])]  # a median number of ratings
best = rec.recommend(user_id=user_id)

# %% [markdown]
# ## Because you rated …
#
# Every row of a list has its three strongest reasons, and `other`, the sum of the rest. *Because you rated* names the
# largest positive contributions, the largest first, whatever the rating.

# %%
for row in best[:5]:
    print(f"{row.rank}  {row.title}: because you rated {', '.join(row.because)}")

# %%
row = best[0]
for reason in row.reasons:
    print(f"{reason.contribution:+7.3f}  {reason.title}, rated {reason.rating:g}, {reason.common_raters} common raters")
print(f"{row.other:+7.3f}  everything else")
total = sum(reason.contribution for reason in row.reasons) + row.other
print(f"{total:7.3f}  = score {row.score:.3f}")
assert abs(total - row.score) < 1e-5

# %% [markdown]
# ## The whole sum
#
# `explain` returns all parts. For the predicted rating, the base is the rating that is expected from *which* movies the
# user has rated. A movie rated higher than expected usually raises the prediction, and one rated lower reduces it.

# %%
why = rec.explain(user_id=user_id, item_id=row.item_id, by="rating")
print(why)
total = why.base + sum(part.contribution for part in why.contributions) + why.clip
assert abs(total - why.value) < 1e-5


# %%
def waterfall(why, axis, most=7):
    """Draw the parts of a number one after another."""
    parts = sorted(why.contributions, key=lambda part: -abs(part.contribution))
    steps = [(f"{part.title[:26]} ({part.rating:g})", part.contribution) for part in parts[:most]]
    if rest := parts[most:]:
        steps.append((f"{len(rest)} more", sum(part.contribution for part in rest)))
    if abs(why.clip) > 1e-5:
        steps.append(("clipped to the scale", why.clip))
    level, levels = why.base, [why.base]
    for y, (_, change) in enumerate(steps, 1):
        axis.barh(y, change, left=level, color=BLUE if change > 0 else ORANGE)
        level += change
        levels.append(level)
    axis.plot([why.base, level], [0, len(steps) + 1], "o", color="black")
    axis.set_yticks(range(len(steps) + 2), ["base", *(name for name, _ in steps), "predicted"])
    axis.invert_yaxis()
    room = 0.06 * max(np.ptp(levels), 0.01)
    axis.set_xlim(min(levels) - room, max(levels) + room)
    axis.axvline(why.base, color=GREY, lw=0.8, ls=":")
    axis.set(title=f"{why.title[:30]}: {why.value:.2f}", xlabel="stars")


lowest = min(rec.recommend(user_id=user_id, n=len(rec.item_ids)), key=lambda row: row.predicted_rating)
against = rec.explain(user_id=user_id, item_id=lowest.item_id, by="rating")
figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.2), layout="constrained")
waterfall(why, axes[0])
waterfall(against, axes[1])
plt.show()

# %% [markdown]
# The left chart explains the first movie of the list, the right chart the movie with the lowest predicted rating. The
# user's own stars are in brackets. Three stars can raise a prediction if the expected rating was two.
#
# ## What if you had not rated it?
#
# A reason can be tested: remove the rating and compute the new rank of the movie. `without` does so for the three
# strongest reasons; here for the last movie of the list.

# %%
row = best[-1]
why = rec.explain(user_id=user_id, item_id=row.item_id)
print(f"{row.title}, rank {why.rank}")
for change in why.without:
    print(f"without {change.title}: from rank {change.rank} to {change.new_rank}")

# %% [markdown]
# The same by hand, for any change: what if the strongest reason had the lowest rating? The ratings are passed as those
# of a new user. They have no order in time and equal weights, so the original score is computed in the same way.

# %%
seen, stars = data.ratings.row(data.ratings.user_ids.index_of(user_id))
own = dict(zip(data.ratings.item_ids.take(seen).to_list(), stars.tolist(), strict=True))
before = rec.explain(None, row.item_id, ratings=own)
strongest = before.contributions[0]
own[strongest.item_id] = data.ratings.scale.low
after = rec.explain(None, row.item_id, ratings=own)
print(f"{row.title}: score {before.value:.3f}, rank {before.rank}")
print(f"with {data.ratings.scale.low:g} for {strongest.title}: score {after.value:.3f}, rank {after.rank}")
assert after.value <= before.value  # a lower star never raises the score of a positively linked movie

# %% [markdown]
# ## The evidence behind reasons
#
# A reason with many common raters is evidence; one with two may be chance. The chart shows all reasons of the list:

# %%
reasons = [reason for row in best for reason in rec.explain(user_id=user_id, item_id=row.item_id).contributions]
figure, axis = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
liked = np.array([reason.liked for reason in reasons])
common = np.array([reason.common_raters for reason in reasons])
parts = np.array([reason.contribution for reason in reasons])
axis.scatter(common[~liked], parts[~liked], s=12, color=ORANGE, linewidths=0, label="rated below the user's mean")
axis.scatter(common[liked], parts[liked], s=12, color=BLUE, linewidths=0, label="rated above it")
axis.set(title="What each rated movie adds", xlabel="users who rated both", ylabel="added to the score")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Jointly learned weights can be negative: given all other ratings, a rated movie can be evidence against another one.
# In a *score* even a low rating of a linked movie adds a little, because it shows which kind of movies the user
# watches. Therefore a list and a predicted rating can disagree, and each has its own explanation.
#
# A reason explains how the model computed its number. It does not explain why the user would like the movie; the model
# has no information about that.
