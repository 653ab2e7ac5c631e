# %% [markdown]
# # The recipe, step by step
#
# Item-based recommendation has one basic assumption: **two movies are similar if the same users rated both in the same
# way.** This notebook builds the recipe by hand from a table of ratings, compares it with Reelated, and shows where it
# misleads.
#
# The sample has well-known movies and *simulated* ratings: the directions of the effects are realistic, their sizes are
# not. For real ratings run `reelated fetch ml-100k` once and change the name below.
#
# The recipe keeps its usual words, such as `movie_id`. Reelated calls the same column `item_id`.

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
# Each row is a user, a movie and a number of stars. The recipe uses nothing else: no genres, no actors, no plots.

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
# The matrix has one row for each user, one column for each movie, and 0 for a missing rating. Most of it is empty.

# %%
user_ids, u = np.unique(table["user_id"], return_inverse=True)
movie_ids, i = np.unique(table["movie_id"], return_inverse=True)
X = np.zeros((len(user_ids), len(movie_ids)))
X[u, i] = table["rating"]
rated = X > 0
raters = rated.sum(axis=0)

attributes = {row["item_id"]: row for row in data.items.iter_rows(named=True)}
titles = np.array([attributes[movie_id]["title"] for movie_id in movie_ids])
print(f"{X.shape[0]:,} users × {X.shape[1]:,} movies, {rated.mean():.1%} of the entries filled")

# %% [markdown]
# ## 3. How similar are two movies?
#
# Take two columns as vectors and measure the angle between them: the cosine is 1 if they point in the same direction
# and 0 if no user rated both. scikit-learn returns the distance, which is 1 minus the cosine.
#
# $$s_{ij} = \frac{\sum_u r_{ui}\, r_{uj}}{\sqrt{\sum_u r_{ui}^2}\,\sqrt{\sum_u r_{uj}^2}}$$
#
# where $r_{ui}$ is the rating of movie $i$ by user $u$, or 0. Only users who rated both movies contribute to the
# numerator, but all raters of either movie contribute to the denominator: many ratings with few common raters reduce
# the similarity.

# %%
S = 1 - pairwise_distances(X.T, metric="cosine")
np.fill_diagonal(S, 0)  # a movie is not its own neighbour
print(f"{S.shape[0]:,} × {S.shape[1]:,} similarities, from {S.min():.2f} to {S.max():.2f}")

# %% [markdown]
# The same in Reelated, and the largest difference between the two results:

# %%
recipe = reelated.textbook().fit(data)
gap = abs(recipe.models_.rater.item_weights_.toarray() - S).max()
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
# Take the average of the user's own ratings, weighted by the similarity of the rated movies to this movie:
#
# $$p_{ui} = \frac{\sum_j s_{ij}\, r_{uj}}{\sum_j |s_{ij}|}$$
#
# summed over the movies $j$ that the user has rated.
#
# For all users and all movies, this is an element-wise quotient of two matrix products.

# %%
weights = rated @ S
P = np.divide(X @ S, weights, out=np.full(X.shape, np.nan), where=weights > 0)

# %% [markdown]
# ## 5. One function, both ways
#
# A **row** of `P` has one user's predictions for all movies; the highest give movies for that user. A **column** has
# all users' predictions for one movie; the highest give users for that movie. Existing ratings are left out.


# %%
def best(predictions, already_rated, n=10):
    """Return the indices of the n highest predictions; ties are in ascending order."""
    order = np.lexsort((np.arange(len(predictions)), -predictions.round(6)))
    return [place for place in order if not already_rated[place] and not np.isnan(predictions[place])][:n]


USER = int(np.argsort(rated.sum(axis=1), kind="stable")[len(X) // 2])  # a user with a median number of ratings
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
# These rated movies have the largest weights in the first prediction:

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
# The right-hand chart shows how many ratings the listed movies have. Section 8 returns to this question.
#
# ## 6. The range of the cosine, and centring
#
# Ratings are positive, so no angle is larger than 90° and **no cosine is negative**: the recipe distinguishes "similar"
# and "unrelated" but has no "opposite". If each user's mean is subtracted first (*adjusted cosine*), ratings below the
# mean become negative, and the cosine uses its full range from −1 to 1.

# %%
mean = X.sum(axis=1) / rated.sum(axis=1)
centred = np.where(rated, X - mean[:, None], 0)
S_centred = 1 - pairwise_distances(centred.T, metric="cosine")
np.fill_diagonal(S_centred, 0)

signed = reelated.ItemKNN("adjusted-cosine", n_neighbors=None, positive_only=False, dtype="float64")
gap = abs(signed.fit(data.ratings.matrix).item_weights_.toarray() - S_centred).max()
print(f"original ratings: {S.min():+.2f} to {S.max():+.2f}; centred: {S_centred.min():+.2f} to {S_centred.max():+.2f}")
print(f"largest difference to Reelated: {gap:.0e}")
assert gap < 1e-6
assert S.min() >= 0 > S_centred.min()

# %% [markdown]
# The next figure has six frequently rated science fiction movies and six romances. With the original ratings it mostly
# shows how often two movies are rated together. With centred ratings some pairs turn red: users who rate one above
# their mean tend to rate the other below it.

# %%
by_raters = np.argsort(-raters, kind="stable")


def much_rated(genre, other):
    """Return the six most rated movies of one genre that do not have the other genre."""
    genres = [attributes[movie_ids[j]]["genres"] for j in by_raters]
    return [j for j, have in zip(by_raters, genres, strict=True) if genre in have and other not in have][:6]


chosen = much_rated("Sci-Fi", "Romance") + much_rated("Romance", "Sci-Fi") or list(by_raters[:12])
figure, axes = plt.subplots(1, 2, figsize=(9, 4.3), layout="constrained", sharey=True)
for axis, matrix, name in zip(axes, (S, S_centred), ("original ratings", "centred by user"), strict=True):
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
axis.hist(S[pairs], bins=np.linspace(-1, 1, 101), color=BLUE, alpha=0.8, label="original ratings")
axis.hist(S_centred[pairs], bins=np.linspace(-1, 1, 101), color=ORANGE, alpha=0.6, label="centred by user")
axis.set(title="Cosines of all pairs of movies with a common rater", xlabel="cosine", ylabel="pairs")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# ## 7. Why item-based? Measured, not claimed
#
# The method also works with **users**: compare users, and predict from the ratings of similar users. Item-based
# recommendation is said to be more *scalable* and more *stable* (Sarwar et al. 2001). Both claims can be measured.
#
# **Scalable.** The number of users of a site grows faster than the number of its movies. The next cell increases the
# number of users and shows the size of both matrices; "work" is the number of products of ratings in a sparse
# computation.


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
growth = pl.DataFrame(growth, ["similarities of", "users", "entries", "work"], orient="row")
with pl.Config(tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, thousands_separator=","):
    print(growth)

# %% [markdown]
# The size of the movie matrix is constant; the user matrix grows with the square of the number of users. Which one is
# smaller depends on the data: **with fewer users than movies, the user-based method is cheaper.** With a thousand users
# per movie, the item-based method is far cheaper.
#
# **Stable.** A precomputed similarity is useful only if new ratings do not change it much. Hide a tenth of the ratings,
# find the ten nearest neighbours of each row, add the tenth again, and count how many of the ten neighbours remain.


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
    left.plot(part["users"], part["entries"] / 1e3, marker="o", color=colour, label=f"{kind} × {kind}")
    values, ratings = kept[kind]
    groups = np.array_split(np.argsort(ratings, kind="stable"), 5)
    right.plot(
        [ratings[g].mean() for g in groups], [values[g].mean() for g in groups], marker="o", color=colour, label=kind
    )
left.set(title="Size of the matrix as users come", xlabel="users", ylabel="thousand entries", ylim=(0, None))
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
# On the sample, movies keep clearly more neighbours than users do, also at the same number of ratings. On MovieLens
# 100K, which has more movies than users, this script gives 7.3 and 6.8, and hardly a difference at the same number of
# ratings; movies with very few ratings keep their neighbours only because they get no new ratings. So "more stable" is
# not a general law: it is true if movies have many ratings each, because a few new ratings then change little.
#
# The third reason is the practical one: **a user's new rating counts at once.** It enters the weighted average
# directly; the similarities can be updated overnight. The user-based method would have to find that user's neighbours
# again. For the same reason a new user needs no refit:

# %%
new_user = dict(zip(movie_ids[chosen[:2]].tolist(), (5, 4), strict=True))
print([row.title for row in recipe.recommend(ratings=new_user, n=3)])

# %% [markdown]
# ## 8. Where the recipe misleads
#
# ### One common rater is enough
#
# Take two movies with a single rating each, by the same user. One star and five stars have the same direction, so the
# cosine is 1:

# %%
print(1 - pairwise_distances([[1, 0, 0]], [[5, 0, 0]], metric="cosine")[0, 0])

# %% [markdown]
# The cosine cannot distinguish agreement from coincidence. The next cell adds a new movie whose **only rating is one
# star**, and counts the users who get it among their top ten.

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
# A movie with many raters is weakly linked to all movies, so its weighted average is close to the user's mean. A movie
# with few raters is linked to few movies, or by chance much more to some than to others. Its average has a high
# variance, and a list shows the movies with a high average. The next chart shows the number of ratings of the
# recommended movies.
#
# ### The same users for every movie
#
# An average of a user's ratings is close to the user's mean, whatever the movie. Users with high means lead the list
# for every movie.
#
# Both charts compare the recipe with Reelated's defaults:

# %%
default = reelated.Recommender().fit(data)
raters_of = dict(zip(movie_ids.tolist(), raters.tolist(), strict=True))
picks, audiences = {}, {}
for name, rec in (("textbook", recipe), ("default", default)):
    picks[name] = [raters_of[m] for lists in rec.recommend_batch() for m in lists["item_id"]]
    audiences[name] = rec.audience_batch(movie_ids.tolist())
    places = Counter(audiences[name]["user_id"])
    share = sum(count for _, count in places.most_common(10)) / places.total()
    print(
        f"{name}: {np.median(picks[name]):.0f} ratings per listed movie (median); ten users hold {share:.0%} of places"
    )

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
row_of = {movie: row for row, movie in enumerate(movie_ids[some].tolist())}
place_of = {user: place for place, user in enumerate(user_ids.tolist())}
for axis, (name, lists), colour in zip(axes, audiences.items(), (ORANGE, BLUE), strict=True):
    listed = lists.select("user_id", "item_id").iter_rows()
    dots = [(place_of[user], row_of[movie]) for user, movie in listed if movie in row_of]
    axis.scatter(*zip(*dots, strict=True), s=5, color=colour, linewidths=0)
    axis.set(title=f"{name}: the ten users for each movie", xlabel="users", xlim=(0, len(user_ids)))
axes[0].set_ylabel("60 movies, a row each")
plt.show()

# %% [markdown]
# A vertical stripe is a user who is listed for almost every movie. With the recipe, the list of users is almost the
# same for every movie.
#
# ## 9. The remedies
#
# | problem | remedy | in Reelated |
# |---|---|---|
# | a similarity with few common raters | multiply it by c / (c + h), c = common raters | `shrinkage=h` |
# | strict users and popular movies affect similarities | subtract the expected rating | `"residual-cosine"` |
# | one weak neighbour decides a prediction | a prior neighbour with the expected rating | `prior_weight` |
# | averages with little evidence lead the lists | rank by the sum of the evidence | `by="score"` |
# | users who rate everything link everything | reduce the weight of their ratings | `weighting="tf-idf"` |
# | redundant information counts repeatedly | learn the weights of all movies jointly | `EASE()` |
# | very active and generous users lead every list of users | compare with the user's usual level | `audience(…)` |
#
# The defaults go further: they learn one matrix of weights for ranking (`EASE`) and one for ratings (`BPMF`).
#
# The next figure shows the effect of the first remedy; every dot is a pair of movies.

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
# **Item-based recommendation works** because many ratings describe each movie: the similarities are stable, can be
# precomputed, and turn the ratings of any user, including a new one, into a list with reasons.
#
# **It does not work** with little evidence: for a rarely rated movie the plain recipe is most confident where it knows
# least; for a movie or a user without ratings, ratings alone give no recommendation.
#
# The remedies have a cost, too: models that rank well favour well-known movies. `03_choose_a_model.py` measures the
# gain of each of them.
