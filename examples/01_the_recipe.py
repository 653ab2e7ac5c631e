# %% [markdown]
# # The recipe, step by step
#
# Item-based recommendation rests on one thought: **two movies are similar when the same users rated both in the same
# way.** Here it is built by hand from a table of ratings, compared with what Reelated does, and then taken to where
# it misleads.
#
# The sample has well-known movies and *simulated* ratings: take the directions from it, not the sizes. For real
# ratings run `reelated fetch ml-100k` once and change the name below.

# %%
SOURCE = "sample"  # or "ml-100k"

# %%
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from sklearn.metrics.pairwise import pairwise_distances

import reelated

BLUE, ORANGE, GREY = "#2a6fbb", "#e07b28", "#b8bec6"
plt.rcParams |= {"figure.dpi": 75, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}

data = reelated.read(SOURCE)
print(data)

# %% [markdown]
# ## 1. The ratings
#
# Each row says that a user gave a movie so many stars. That is all the recipe knows: no genres, no actors, no plots.

# %%
table = data.ratings.to_polars().rename({"item_id": "movie_id"})  # the recipe's own word
print(table.select("user_id", "movie_id", "rating").head(5))

# %%
per_movie = table.group_by("movie_id").len().sort("len", descending=True)["len"].to_numpy()
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
stars, counts = np.unique(table["rating"], return_counts=True)
left.bar(stars, counts / counts.sum(), width=0.8 * np.diff(stars).min(), color=BLUE)
left.set(title="Users mostly rate what they like", xlabel="rating", ylabel="share of ratings")
right.fill_between(np.arange(len(per_movie)), per_movie, color=BLUE)
right.set(title="Few movies have most of the ratings", xlabel="movies, the most rated first", ylabel="ratings")
right.margins(0)
plt.show()

# %% [markdown]
# ## 2. The matrix: users × movies
#
# One row for each user, one column for each movie, 0 where there is no rating. Most of it is empty.

# %%
user_ids, u = np.unique(table["user_id"], return_inverse=True)
movie_ids, i = np.unique(table["movie_id"], return_inverse=True)
X = np.zeros((len(user_ids), len(movie_ids)))
X[u, i] = table["rating"]
rated = X > 0
raters = rated.sum(axis=0)

facts = {row["item_id"]: row for row in data.items.iter_rows(named=True)}
titles = np.array([facts[movie_id]["title"] for movie_id in movie_ids])
print(f"{X.shape[0]:,} users × {X.shape[1]:,} movies, {rated.mean():.1%} of the places filled")

# %% [markdown]
# ## 3. How similar are two movies?
#
# Take two columns as vectors and measure the angle between them: the cosine is 1 when they point the same way and 0
# when no user rated both. scikit-learn gives the distance, which is one less the cosine.
#
# $$s_{ij} = \frac{\sum_u r_{ui}\, r_{uj}}{\sqrt{\sum_u r_{ui}^2}\,\sqrt{\sum_u r_{uj}^2}}$$
#
# where $r_{ui}$ is the rating of movie $i$ by user $u$, or 0. Only users who rated both add to the sum on top, but
# all who rated either count below: many ratings with few users in common make two movies less similar.

# %%
S = 1 - pairwise_distances(X.T, metric="cosine")
np.fill_diagonal(S, 0)  # a movie says nothing about itself
print(f"{S.shape[0]:,} × {S.shape[1]:,} similarities, from {S.min():.2f} to {S.max():.2f}")

# %% [markdown]
# The same in Reelated, and the largest difference between the two:

# %%
recipe = reelated.textbook().fit(data)
gap = abs(recipe.models_.rater.similarity_.toarray() - S).max()
print(f"largest difference: {gap:.0e}")
assert gap < 1e-6

# %%
FAVOURITE = int(np.argmax(raters))  # the most rated movie; any column will do
print(f"Most like {titles[FAVOURITE]}:")
for row in recipe.similar(movie_ids[FAVOURITE].item(), n=5):
    print(f"  {row.similarity:.3f}  {row.title}, {row.common_raters} users rated both")

# %% [markdown]
# ## 4. What would a user rate a movie?
#
# The average of the user's own ratings, each weighted by how similar its movie is to the one in question:
#
# $$p_{ui} = \frac{\sum_j s_{ij}\, r_{uj}}{\sum_j |s_{ij}|}$$
#
# summed over the movies $j$ that the user has rated.
#
# For all users and all movies that is one product of matrices over another.

# %%
weights = rated @ S
P = np.divide(X @ S, weights, out=np.full(X.shape, np.nan), where=weights > 0)

# %% [markdown]
# ## 5. One function, both ways
#
# A **row** of `P` holds one user's predictions for every movie; its best are movies for that user. A **column** holds
# every user's prediction for one movie; its best are users for that movie. What is rated already is left out.


# %%
def best(predictions, already_rated, n=10):
    """Return the places of the n highest predictions; among equals the first."""
    order = np.lexsort((np.arange(len(predictions)), -predictions.round(6)))
    return [place for place in order if not already_rated[place] and not np.isnan(predictions[place])][:n]


USER = int(np.argsort(rated.sum(axis=1), kind="stable")[len(X) // 2])  # a user with a middling number of ratings
MOVIE = FAVOURITE
user_id, movie_id = user_ids[USER].item(), movie_ids[MOVIE].item()

movies_by_hand = best(P[USER], rated[USER])
movies = recipe.recommend(user_id=user_id)
assert [row.item_id for row in movies] == movie_ids[movies_by_hand].tolist()

users_by_hand = best(P[:, MOVIE], rated[:, MOVIE])
users = recipe.recommend(item_id=movie_id)
assert [row.user_id for row in users] == user_ids[users_by_hand].tolist()

print(f"Ten movies for user {user_id}, by hand and with Reelated:")
for place, row in zip(movies_by_hand, movies, strict=True):
    print(f"  {P[USER, place]:.4f}  {row.predicted_rating:.4f}  {row.title}")
print(f"Ten users for {titles[MOVIE]}:")
print(" ", ", ".join(f"{row.user_id} ({row.predicted_rating:.2f})" for row in users))

# %% [markdown]
# Where does the first prediction come from? From the rated movies that weigh most:

# %%
first = movies_by_hand[0]
mine = np.flatnonzero(rated[USER])
strongest = mine[np.argsort(-S[first, mine], kind="stable")[:8]]
strongest = strongest[S[first, strongest] > 0]


def bars(axis, names, values, colour):
    """Draw named bars, the first on top."""
    axis.barh(range(len(values)), values, color=colour)
    axis.set_yticks(range(len(values)), names)
    axis.invert_yaxis()


figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
bars(left, [f"{titles[j][:24]} ({X[USER, j]:g} stars)" for j in strongest], S[first, strongest], BLUE)
left.set(title=f"Behind “{titles[first][:24]}”", xlabel="similarity: the weight of the rating")
bars(right, titles[movies_by_hand].astype("<U26"), raters[movies_by_hand], ORANGE)
right.axvline(np.median(raters), color="black", lw=1, ls=":")
right.set(title="The ten listed movies", xlabel="ratings (dotted: the median of all movies)")
plt.show()

# %% [markdown]
# Look at the right-hand side: are these movies that many users know? Section 8 comes back to this.
#
# ## 6. The range of the cosine, and centring
#
# Ratings are positive, so no angle is wider than 90° and **no cosine is negative**: the recipe knows "similar" and
# "unrelated" but not "opposite". Taking each user's mean from their ratings first (*adjusted cosine*) gives ratings
# below the mean a minus sign, and the cosine its whole range from −1 to 1.

# %%
mean = X.sum(axis=1) / rated.sum(axis=1)
centred = np.where(rated, X - mean[:, None], 0)
S_centred = 1 - pairwise_distances(centred.T, metric="cosine")
np.fill_diagonal(S_centred, 0)

signed = reelated.ItemKNN("adjusted-cosine", n_neighbors=None, positive_only=False, dtype="float64")
gap = abs(signed.fit(data.ratings.matrix).similarity_.toarray() - S_centred).max()
print(f"as ratings are: {S.min():+.2f} to {S.max():+.2f}; centred: {S_centred.min():+.2f} to {S_centred.max():+.2f}")
print(f"largest difference to Reelated: {gap:.0e}")
assert gap < 1e-6
assert S.min() >= 0 > S_centred.min()

# %% [markdown]
# Six much rated movies of science fiction and six of romance. As the ratings are, the picture mostly shows how often
# two movies are rated together; centred, some pairs turn red: users who like the one above their average tend to give
# the other less.

# %%
by_raters = np.argsort(-raters, kind="stable")


def much_rated(genre, other):
    """Return the six most rated movies of one genre that are not of the other as well."""
    genres = [facts[movie_ids[j]]["genres"] for j in by_raters]
    return [j for j, have in zip(by_raters, genres, strict=True) if genre in have and other not in have][:6]


chosen = much_rated("Sci-Fi", "Romance") + much_rated("Romance", "Sci-Fi") or list(by_raters[:12])
figure, axes = plt.subplots(1, 2, figsize=(9, 4.3), layout="constrained", sharey=True)
for axis, matrix, name in zip(axes, (S, S_centred), ("ratings as they are", "centred by user"), strict=True):
    block = matrix[np.ix_(chosen, chosen)].copy()
    limit = abs(block).max()
    np.fill_diagonal(block, np.nan)
    image = axis.imshow(block, cmap="RdBu", vmin=-limit, vmax=limit)
    axis.set(title=name, xticks=range(len(chosen)), yticks=range(len(chosen)))
    axis.set_xticklabels([titles[j][:22] for j in chosen], rotation=90)
    axis.set_yticklabels([titles[j][:22] for j in chosen])
    axis.set_facecolor(GREY)  # the diagonal
    axis.spines[:].set_visible(False)
    figure.colorbar(image, ax=axis, shrink=0.8)
plt.show()

# %%
pairs = np.triu(rated.T.astype(float) @ rated, 1) > 0  # pairs of movies with a common rater
figure, axis = plt.subplots(figsize=(7, 2.6), layout="constrained")
axis.hist(S[pairs], bins=np.linspace(-1, 1, 101), color=BLUE, alpha=0.8, label="ratings as they are")
axis.hist(S_centred[pairs], bins=np.linspace(-1, 1, 101), color=ORANGE, alpha=0.6, label="centred by user")
axis.set(title="Cosines of all pairs of movies with a common rater", xlabel="cosine", ylabel="pairs")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 7. Why item-based? Measured, not claimed
#
# The same idea works the other way round: compare **users**, and predict from what similar users gave. Item-based is
# called more *scalable* and more *stable* (Sarwar et al. 2001). Both can be measured.
#
# **Scalable.** A site's users grow faster than its movies. Let the users grow here and watch both matrices; "work"
# counts the pairs of ratings that a sparse computation has to multiply.


# %%
def cosines(rows):
    """Return the cosines between rows."""
    result = 1 - pairwise_distances(rows, metric="cosine")
    np.fill_diagonal(result, -2)  # never its own neighbour
    return result


shuffled = np.random.default_rng(0).permutation(len(X))
growth = []
for share in (0.25, 0.5, 0.75, 1.0):
    part = X[shuffled[: round(share * len(X))]]
    for kind, rows in (("movies", part.T), ("users", part)):
        work = int(((rows > 0).sum(axis=0).astype(float) ** 2).sum())
        growth.append((kind, len(part), len(rows) ** 2, work))
growth = pl.DataFrame(growth, ["similarities of", "users", "places", "work"], orient="row")
with pl.Config(tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, thousands_separator=","):
    print(growth)

# %% [markdown]
# The movies' matrix keeps its size however many users come; the users' matrix grows with the square of their number.
# So which one is smaller depends on the data: **with fewer users than movies, user-based is the cheaper one.** With a
# thousand users for every movie there is no question.
#
# **Stable.** A similarity that is computed once is of use only if tomorrow's ratings leave it in place. Hide a tenth
# of the ratings, find everybody's ten nearest neighbours, let the tenth arrive, and count how many of the ten are
# still there.


# %%
def kept_of_ten(before, after):
    """Return for each row how many of its ten nearest neighbours remain."""
    old, new = (np.argsort(-matrix, axis=1, kind="stable")[:, :10] for matrix in (before, after))
    return np.array([len(set(a) & set(b)) for a, b in zip(old, new, strict=True)])


arrives = rated & (np.random.default_rng(0).random(X.shape) < 0.1)
yesterday = np.where(arrives, 0, X)
kept = {
    "movies": (kept_of_ten(cosines(yesterday.T), cosines(X.T)), raters),
    "users": (kept_of_ten(cosines(yesterday), cosines(X)), rated.sum(axis=1)),
}
for kind, (values, _) in kept.items():
    print(f"{kind:<7} {values.mean():.1f} of 10 nearest neighbours remain")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3), layout="constrained")
for kind, colour in (("movies", BLUE), ("users", ORANGE)):
    part = growth.filter(pl.col("similarities of") == kind)
    left.plot(part["users"], part["places"] / 1e3, marker="o", color=colour, label=f"{kind} × {kind}")
    values, ratings = kept[kind]
    groups = np.array_split(np.argsort(ratings, kind="stable"), 5)
    right.plot(
        [ratings[g].mean() for g in groups], [values[g].mean() for g in groups], marker="o", color=colour, label=kind
    )
left.set(title="Size of the matrix as users come", xlabel="users", ylabel="thousand places", ylim=(0, None))
right.set(title="Neighbours that remain", xlabel="ratings of the movie or user (fifths)", ylabel="of 10", ylim=(0, 10))
right.set_xscale("log")
least, most = right.get_xlim()
ticks = [tick for tick in (1, 3, 10, 30, 100, 300, 1000) if least < tick < most]
right.set_xticks(ticks, map(str, ticks), minor=False)
right.set_xticks([], minor=True)
left.legend(frameon=False)
right.legend(frameon=False)
plt.show()

# %% [markdown]
# On the sample, movies keep clearly more of their neighbours than users do, also at the same number of ratings. On
# MovieLens 100K, which has more movies than users, this script finds 7.3 against 6.8, and at the same number of ratings
# hardly a difference; movies with next to no ratings keep theirs only because nothing arrives. So "more stable" is no
# law: it holds where movies gather many ratings each, because what rests on many is not moved by a few more.
#
# There is a third reason, and it is the practical one: **a user's new rating counts at once.** It goes into the
# weighted average; the similarities of the movies may wait for the night. User-based would have to look for that
# user's neighbours again. For the same reason a newcomer needs no refit:

# %%
newcomer = dict(zip(movie_ids[chosen[:2]].tolist(), (5, 4), strict=True))
print([row.title for row in recipe.recommend(ratings=newcomer, n=3)])

# %% [markdown]
# ## 8. Where the recipe misleads
#
# ### One common rater is enough
#
# Two movies, each rated once, by the same user. One star and five stars point the same way, so the cosine is 1:

# %%
print(1 - pairwise_distances([[1, 0, 0]], [[5, 0, 0]], metric="cosine")[0, 0])

# %% [markdown]
# A cosine cannot tell agreement from coincidence. So let a new movie arrive in the data whose **only rating is one
# star**, and count the users to whom it is recommended among their ten best.

# %%
few = int(np.argmin(rated.sum(axis=1)))  # its one rater: the user with the fewest ratings
NEW = int(movie_ids.max()) + 1
more = pl.DataFrame({"user_id": [user_ids[few]], "movie_id": [NEW], "rating": [data.ratings.scale.low]})
name = pl.DataFrame({"item_id": [NEW], "title": ["One Star"]})
columns = ["user_id", "movie_id", "rating"]
with_new = reelated.read(
    pl.concat([table.select(columns), more.select(columns)], how="vertical_relaxed"),
    items=pl.concat([data.items.select("item_id", "title"), name]),
    scale=tuple(data.ratings.scale),
    name="with one more movie",
)
listed = {}
for preset, rec in (("textbook", reelated.textbook()), ("default", reelated.Recommender())):
    lists = pl.concat(rec.fit(with_new).recommend_batch())
    listed[preset] = (lists["item_id"] == NEW).sum()
    print(f"{preset}: “One Star” is among the ten best of {listed[preset]} of {len(user_ids)} users")

# %% [markdown]
# ### Little evidence wins
#
# A movie with many raters is linked to everything a little, so its weighted average stays near the user's mean. A movie
# with few raters is linked to few movies, or by chance to some much more than to others: its average strays, up and
# down, and a list shows those that strayed up. Below: how many ratings the recommended movies have.
#
# ### The same users for every movie
#
# An average of one's own ratings stays near one's own mean, whatever the movie. Who rates everything high comes first
# for everything.
#
# Both pictures, for the recipe and for Reelated's defaults:

# %%
default = reelated.Recommender().fit(data)
raters_of = dict(zip(movie_ids.tolist(), raters.tolist(), strict=True))
picks, audiences = {}, {}
for name, rec in (("textbook", recipe), ("default", default)):
    picks[name] = [raters_of[m] for lists in rec.recommend_batch() for m in lists["item_id"]]
    audiences[name] = [[row.user_id for row in rec.audience(m)] for m in movie_ids.tolist()]
    places = Counter(user for users in audiences[name] for user in users)
    share = sum(count for _, count in places.most_common(10)) / places.total()
    print(f"{name}: a pick has {np.median(picks[name]):.0f} ratings (median); ten users hold {share:.0%} of all places")

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained", sharey=True)
bins = np.linspace(0, raters.max(), 31)
for axis, (name, values), colour in zip(axes, picks.items(), (ORANGE, BLUE), strict=True):
    for shown, tint, label in ((raters, GREY, "all movies"), (values, colour, "recommended")):
        axis.hist(shown, bins, weights=np.full(len(shown), 1 / len(shown)), color=tint, alpha=0.75, label=label)
    axis.set(title=f"{name}: ratings of the recommended movies", xlabel="ratings")
    axis.legend(frameon=False)
axes[0].set_ylabel("share")
plt.show()

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3), layout="constrained", sharey=True)
some = np.random.default_rng(0).choice(len(movie_ids), 60, replace=False)
place_of = {user: place for place, user in enumerate(user_ids.tolist())}
for axis, (name, users_of), colour in zip(axes, audiences.items(), (ORANGE, BLUE), strict=True):
    dots = [(place_of[user], y) for y, j in enumerate(some) for user in users_of[j]]
    axis.scatter(*zip(*dots, strict=True), s=5, color=colour, linewidths=0)
    axis.set(title=f"{name}: the ten users for each movie", xlabel="users", xlim=(0, len(user_ids)))
axes[0].set_ylabel("60 movies, a row each")
plt.show()

# %% [markdown]
# A vertical stripe is a user who is named for nearly every movie. Under the recipe, the question "who would like this
# movie?" gets nearly the same answer whatever the movie.
#
# ## 9. The cure
#
# | what misleads | what helps | in Reelated |
# |---|---|---|
# | a similarity resting on few users | multiply it by c / (c + h), c = common raters | `shrinkage=h` |
# | strict users and well-liked movies look like taste | take off what was to be expected | `"residual-cosine"` |
# | one weak neighbour decides a prediction | an imagined neighbour that was rated as expected | `prior_weight` |
# | averages of little evidence lead the lists | rank by the sum of the evidence | `by="score"` |
# | users who rate everything link everything | let their ratings count for less | `weighting="tf-idf"` |
# | what two similar movies have in common counts twice | learn the weights of all movies together | `EASE()` |
# | who rates much, or high, leads every list of users | look at what is beyond their usual | `audience(…)` |
#
# The defaults go furthest: they learn one table of weights for the order (`EASE`) and one for ratings (`BPMF`).
#
# The first one alone, on similarities: every dot is a pair of movies.

# %%
common = rated.T.astype(float) @ rated
pick = np.random.default_rng(0).choice(np.flatnonzero(pairs), min(2500, pairs.sum()), replace=False)
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained", sharey=True)
for axis, values, name in (
    (axes[0], S_centred, "centred cosine"),
    (axes[1], S_centred * common / (common + 25), "the same with shrinkage=25"),
):
    axis.scatter(common.flat[pick], values.flat[pick], s=4, color=BLUE, alpha=0.35, linewidths=0)
    axis.set(title=name, xlabel="common raters", xscale="log")
    axis.axhline(0, color="black", lw=0.8)
axes[0].set_ylabel("similarity")
plt.show()

# %% [markdown]
# ## In two sentences
#
# **Item-based recommendation works** because movies are described by many ratings: their similarities settle, can be
# computed beforehand, and turn any user's ratings, a newcomer's too, into a list with reasons.
#
# **It does not work** where there is little to go by: on a movie that few users have rated the plain recipe is
# confident exactly where it knows least; on a movie or a user without ratings item-based has nothing to say at all.
#
# The cures cost something too: whatever ranks well leans towards movies that many users know. `03_choose_a_model.py`
# measures how much each of them gains.
