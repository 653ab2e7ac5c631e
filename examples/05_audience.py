# %% [markdown]
# # The audience of a movie
#
# The question turned round: not movies for a user but **users for a movie**. Whom to tell that it is shown tonight?

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
recommenders = {"recipe": reelated.recipe().fit(data), "default": reelated.Recommender().fit(data)}
rec = recommenders["default"]
movie = rec.find(TITLE)[0]
print(movie.title, movie.year, f"rated by {movie.n_ratings} users")

# %% [markdown]
# Who has rated it is left out. `audience(movie_id)` and `recommend(movie_id=…)` are the same question.

# %%
print(rec.audience(movie.movie_id))
assert rec.recommend(movie_id=movie.movie_id) == rec.audience(movie.movie_id)

# %% [markdown]
# The rows carry no reasons. A reason names what a user has rated, and that is for this user alone.
#
# ## Two numbers, two audiences
#
# By **relevance** come users who have rated much that is linked to the movie; by **predicted rating** those who would
# give it most stars. For an invitation one wants both, for instance the most relevant among those with a good
# predicted rating.

# %%
everyone = rec.audience(movie.movie_id, n=len(rec.user_ids))
relevance = np.array([row.score for row in everyone])
stars = np.array([row.predicted_rating for row in everyone])
good = stars >= np.quantile(stars, 0.75)
invited = [row for row, fine in zip(everyone, good, strict=True) if fine][:10]
print("invited:", ", ".join(str(row.user_id) for row in invited))

# %%
figure, axis = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
axis.scatter(relevance, stars, s=10, color=GREY, linewidths=0, label="users who have not rated it")
axis.scatter(
    [row.score for row in invited], [row.predicted_rating for row in invited], s=28, color=BLUE, label="invited"
)
axis.axhline(np.quantile(stars, 0.75), color="black", lw=0.8, ls=":")
axis.set(title=f"The audience of {movie.title}", xlabel="relevance", ylabel="predicted rating")
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Is it this movie's audience, or everybody's?
#
# A list of users is worth something only if it depends on the movie. Ask for ten users for every movie and count who
# is named how often. If all users were named equally often, ten of them would hold hardly any of the places.

# %%
named = {}
for name, model in recommenders.items():
    lists = [model.audience(movie_id) for movie_id in model.movie_ids]
    named[name] = Counter(row.user_id for rows in lists for row in rows)
    share = sum(count for _, count in named[name].most_common(10)) / named[name].total()
    print(f"{name}: {len(named[name])} users are named at all; ten of them hold {share:.0%} of the places")

# %%
figure, axis = plt.subplots(figsize=(6.5, 3), layout="constrained")
for (name, counter), colour in zip(named.items(), (ORANGE, BLUE), strict=True):
    counts = np.array([count for _, count in counter.most_common()])
    axis.plot(np.arange(1, len(counts) + 1), np.cumsum(counts) / counts.sum(), color=colour, label=name)
n_users = len(rec.user_ids)
axis.plot([1, n_users], [1 / n_users, 1], color=GREY, ls=":", label="all equally often")
axis.set(title="Places held by the most named users", xlabel="users, the most named first", ylabel="share of places")
axis.set_xlim(0, n_users)
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# Under the recipe a user's mean decides: who rates everything high is named for everything, and the highest means
# belong to users with few ratings. By relevance the user's ratings of linked movies decide. But there is a remainder,
# and the reason is plain: relevance is a sum, and who has rated much has much to sum. How many movies have the most
# named users rated?

# %%
n_rated = dict(zip(data.ratings.user_ids.values.to_list(), np.diff(data.ratings.matrix.indptr).tolist(), strict=True))
for name, counter in named.items():
    top = np.median([n_rated[user] for user, _ in counter.most_common(10)])
    print(f"{name}: the ten most named users rated {top:.0f} movies each (median)")
print(f"all users: {np.median(list(n_rated.values())):.0f}")

# %% [markdown]
# ## A fairer share
#
# Where the busy must not be asked again and again, go through the movies in turn and let every user be named for
# three times as many movies as an even share would be, and no more. The lists lose score and reach many more
# users.

# %%
LIMIT = round(3 * 10 * len(rec.movie_ids) / n_users)  # three times an even share
given, fair, lost = Counter(), {}, []
for movie_id in rec.movie_ids:
    ranked = rec.audience(movie_id, n=n_users)
    fair[movie_id] = [row for row in ranked if given[row.user_id] < LIMIT][:10]
    given.update(row.user_id for row in fair[movie_id])
    best = sum(row.score for row in ranked[:10])
    lost.append(1 - sum(row.score for row in fair[movie_id]) / best if best else 0)
share = sum(count for _, count in given.most_common(10)) / given.total()
print(f"at most {LIMIT} times: {len(given)} users are named; ten of them hold {share:.0%} of the places")
print(f"the price: {np.mean(lost):.0%} of the score")
