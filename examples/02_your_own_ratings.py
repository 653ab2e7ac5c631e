# %% [markdown]
# # Your own ratings
#
# This notebook makes recommendations from a table of your own, and from a few stars of a new user.

# %%
SOURCE = "sample"  # or "ml-100k"; the first part below needs neither

# %%
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars as pl

import reelated

BLUE = "#2a6fbb"
plt.rcParams |= {"figure.dpi": 75, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}

# %% [markdown]
# ## A table with your own column names
#
# A table needs a user, a movie and a rating in each row. Ids can be integers or text. Reelated recognises common column
# names; name other columns with `columns`. `noun` is the word for what is rated, used in headings.

# %%
table = {
    "who": ["ann", "ann", "ben", "ben", "ben", "cleo", "cleo", "dan", "dan"],
    "what": ["Alien", "Heat", "Alien", "Heat", "Up", "Alien", "Up", "Heat", "Up"],
    "stars": [5, 4, 4, 5, 1, 1, 5, 2, 4],
}
mine = reelated.read(
    table, columns={"user_id": "who", "item_id": "what", "rating": "stars"}, scale=(1, 5, 1), noun="movie"
)
print(mine)

# %% [markdown]
# `scale` gives the possible ratings; the default is the observed range. The same call reads a file. `read` reports its
# changes and keeps them in `notes`: here one user has rated a movie twice.

# %%
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "ratings.csv"
    file.write_text("user,movie,stars\nann,Alien,5\nann,Alien,4\nann,Heat,4\nben,Alien,4\nben,Up,1\n", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the note is printed below instead
        from_file = reelated.read(file, scale=(1, 5, 1), name="my ratings", noun="movie")
print(from_file)
for note in from_file.notes:
    print("note:", note)

# %% [markdown]
# Nine ratings are too few for good recommendations, but they show all the steps. Four users are too few for learned
# models, so use the plain recipe:

# %%
tiny = reelated.textbook().fit(mine)
print(tiny.neighbors())
print(tiny.predict("ann", "Up"))

# %% [markdown]
# ## A new user: a few stars, no refit
#
# The model stores no users: it takes a row of ratings as input, and the row of a new user works as well.

# %%
data = reelated.read(SOURCE)
print(data)
rec = reelated.Recommender().fit(data)
stars = {"Star Wars": 5, "Terminator": 4, "The Lion King": 2}
ratings = {}
for title, rating in stars.items():
    found = rec.find(title, n=1)[0]
    ratings[found.item_id] = rating
    print(f"{rating} stars for {found.title} ({found.year}), movie {found.item_id}")

# %%
for row in rec.recommend(ratings=ratings, n=8):
    print(f"{row.rank:>2}  {row.title:<34} {row.predicted_rating:.2f}  because you rated: {', '.join(row.because)}")

# %% [markdown]
# Change the titles and stars and run the cells again. Filters are applied before the list is cut:

# %%
for row in rec.recommend(ratings=ratings, n=5, genres=["Comedy", "Drama"], years=(1980, 1996)):
    print(f"{row.rank:>2}  {row.title:<34} {row.year}  {', '.join(row.genres)}")

# %% [markdown]
# ## How many stars does it take?
#
# Treat users with 60 or more ratings as new users: show the model only a few of their ratings, and compare the list
# with the list from all of their ratings. (These users were also in the training data, so the result for a true new
# user is slightly worse.)

# %%
X = data.ratings.matrix.toarray()
ranker = rec.models_.ranker  # the model in numbers: rows of ratings in, a score for every movie out
sizes = (1, 2, 3, 5, 10, 20, 40)
rows = X[(X > 0).sum(axis=1) >= 60]
order = np.where(rows > 0, np.random.default_rng(0).random(rows.shape), 2).argsort(axis=1).argsort(axis=1)


def top_ten(given):
    """Return for each row the ten movies with the highest scores that the user has not rated."""
    scores = np.where(rows > 0, -np.inf, np.nan_to_num(ranker.score_items(given)))
    return np.argsort(-scores, axis=1, kind="stable")[:, :10]


complete = top_ten(rows)
means = []
for size in sizes:
    few = top_ten(np.where(order < size, rows, 0))  # each user's first ratings, in a random order
    means.append(np.mean([len(set(a) & set(b)) for a, b in zip(complete.tolist(), few.tolist(), strict=True)]))
    print(f"{size:>3} ratings: {means[-1]:.1f} of the final ten")

# %%
figure, axis = plt.subplots(figsize=(6, 2.8), layout="constrained")
axis.plot(sizes, means, marker="o", color=BLUE)
axis.set_xscale("log")
axis.set_xticks(sizes, map(str, sizes))
axis.set_xticks([], minor=True)
axis.set(title="How fast a new user's list converges", xlabel="ratings given", ylabel="of the final ten", ylim=(0, 10))
plt.show()

# %% [markdown]
# ## Save the model
#
# A saved model is a folder of plain arrays. With `ratings=False` it contains no users' ratings and serves new users
# only.

# %%
with tempfile.TemporaryDirectory() as folder:
    rec.save(Path(folder) / "anonymous.model", ratings=False)
    again = reelated.Recommender.load(Path(folder) / "anonymous.model")
    same = again.recommend(ratings=ratings) == rec.recommend(ratings=ratings)
    del again
print("the loaded model gives the same list:", same)
assert same

# %% [markdown]
# A list converts to a frame for further processing:

# %%
frame = rec.recommend(ratings=ratings, n=3).to_polars()
with pl.Config(tbl_hide_dataframe_shape=True):
    print(frame.select("rank", "item_id", "title", "score", "predicted_rating"))
