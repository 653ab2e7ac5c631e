# %% [markdown]
# # Explain
#
# Every number of an item-based model is a sum over movies that the user has rated. So it can be told as one: a start,
# what each rated movie adds or takes, and the total.

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
user_id = rec.user_ids[int(np.argsort(counts, kind="stable")[len(counts) // 2])]  # a middling number of ratings
best = rec.recommend(user_id=user_id)

# %% [markdown]
# ## Because you rated …
#
# Every row of a list carries its three strongest reasons, and `other`, which is all the rest. *Because you rated*
# names the largest positive contributions, the largest first, whatever the rating.

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
# `explain` gives all parts. For the predicted rating the start is what is expected of this user and this movie before
# any rating is looked at; a movie rated higher than expected pushes up, one rated lower pushes down.

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
        steps.append(("cut to the scale", why.clip))
    level, levels = why.base, [why.base]
    for y, (_, change) in enumerate(steps, 1):
        axis.barh(y, change, left=level, color=BLUE if change > 0 else ORANGE)
        level += change
        levels.append(level)
    axis.plot([why.base, level], [0, len(steps) + 1], "o", color="black")
    axis.set_yticks(range(len(steps) + 2), ["to start from", *(name for name, _ in steps), "predicted"])
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
# Left, the first of the list; right, the movie with the lowest predicted rating of all. In brackets are the user's
# own stars. Three stars can push up: where one was expected to give two, three is a surprise for the better.
#
# ## What if you had not rated it?
#
# A reason can be tested: take the rating away, ask again, and see where the movie stands. `without` does so for the
# three strongest; here for the last of the ten.

# %%
row = best[-1]
why = rec.explain(user_id=user_id, item_id=row.item_id)
print(f"{row.title}, place {why.rank}")
for change in why.without:
    print(f"without {change.title}: from place {change.rank} to {change.new_rank}")

# %% [markdown]
# The same by hand, for any change. What if the strongest reason had been given the lowest star? The ratings are handed
# over as a newcomer's, which have no order in time and all count alike, so ask for the score before in the same way.

# %%
seen, stars = data.ratings.row(data.ratings.user_ids.index_of(user_id))
mine = dict(zip(data.ratings.item_ids.take(seen).to_list(), stars.tolist(), strict=True))
before = rec.explain(None, ratings=mine, item_id=row.item_id)
strongest = before.contributions[0]
mine[strongest.item_id] = data.ratings.scale.low
after = rec.explain(None, ratings=mine, item_id=row.item_id)
print(f"{row.title}: score {before.value:.3f}, place {before.rank}")
print(f"with {data.ratings.scale.low:g} for {strongest.title}: score {after.value:.3f}, place {after.rank}")
assert after.value <= before.value  # a lower star never raises the score of a positively linked movie

# %% [markdown]
# ## How much do explanations rest on?
#
# A reason with many common raters is evidence; one with two may be chance. Over the ten movies of the list:

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
# Weights that are learned together can be negative: having rated a movie may speak against another, beside all else
# that is rated. And by *score* even a low rating of a linked movie adds something, for who watches such movies is
# told by that, too. That is why a list and a predicted rating can disagree, and why each has an explanation of its own.
#
# A reason tells how the model came to its number. It does not tell why the user would like the movie; the model knows
# nothing of that.
