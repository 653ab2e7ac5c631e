# %% [markdown]
# # Your own ratings
#
# From a table of yours, or from nothing but a few stars, to recommendations.

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
# ## A table with names of your own
#
# A user, a movie and a rating in each row are enough. Ids may be numbers or text. Common column names are known;
# others you name.

# %%
table = {
    "who": ["ann", "ann", "ben", "ben", "ben", "cleo", "cleo", "dan", "dan"],
    "what": ["Alien", "Heat", "Alien", "Heat", "Up", "Alien", "Up", "Heat", "Up"],
    "stars": [5, 4, 4, 5, 1, 1, 5, 2, 4],
}
mine = reelated.read(table, columns={"user_id": "who", "item_id": "what", "rating": "stars"}, scale=(1, 5, 1))
print(mine)

# %% [markdown]
# `scale` says what ratings are possible; without it the lowest and highest seen are taken. From a file it is the same
# call. What reading changes it says, and keeps in `notes`: here one user has rated a movie twice.

# %%
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "ratings.csv"
    file.write_text("user,movie,stars\nann,Alien,5\nann,Alien,4\nann,Heat,4\nben,Alien,4\nben,Up,1\n", encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the note is printed below instead
        from_file = reelated.read(file, scale=(1, 5, 1), name="my ratings")
print(from_file)
for note in from_file.notes:
    print("note:", note)

# %% [markdown]
# With nine ratings nobody can be served well, but one can see everything. Four users are too few for models that
# learn, so use the bare recipe:

# %%
tiny = reelated.textbook().fit(mine)
print(tiny.neighbors())
print(tiny.predict("ann", "Up"))

# %% [markdown]
# ## A newcomer: a few stars, no refit
#
# The model does not remember users: it takes a row of ratings. Yours can be one that it has never seen.

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
# Put other titles and stars in and run the cells again. A list can be narrowed before it is cut:

# %%
for row in rec.recommend(ratings=ratings, n=5, genres=["Comedy", "Drama"], years=(1980, 1996)):
    print(f"{row.rank:>2}  {row.title:<34} {row.year}  {', '.join(row.genres)}")

# %% [markdown]
# ## How many stars does it take?
#
# Take users with 60 ratings or more as newcomers: show the model only a few of their ratings, and see how much of the
# list that all of them give is there already. (These users were in the fit as well, so a true newcomer does a little
# worse.)

# %%
X = data.ratings.matrix.toarray()
ranker = rec.models_.ranker  # the model in numbers: rows of ratings in, a score for every movie out
sizes = (1, 2, 3, 5, 10, 20, 40)
rows = X[(X > 0).sum(axis=1) >= 60]
turn = np.where(rows > 0, np.random.default_rng(0).random(rows.shape), 2).argsort(axis=1).argsort(axis=1)


def ten_best(given):
    """Return for each row the ten movies with the highest scores that the user has not rated."""
    scores = np.where(rows > 0, -np.inf, np.nan_to_num(ranker.score_items(given)))
    return np.argsort(-scores, axis=1, kind="stable")[:, :10]


whole = ten_best(rows)
means = []
for size in sizes:
    few = ten_best(np.where(turn < size, rows, 0))  # each user's first ratings, in a random order
    means.append(np.mean([len(set(a) & set(b)) for a, b in zip(whole.tolist(), few.tolist(), strict=True)]))
    print(f"{size:>3} ratings: {means[-1]:.1f} of the final ten")

# %%
figure, axis = plt.subplots(figsize=(6, 2.8), layout="constrained")
axis.plot(sizes, means, marker="o", color=BLUE)
axis.set_xscale("log")
axis.set_xticks(sizes, map(str, sizes))
axis.set_xticks([], minor=True)
axis.set(title="How soon a newcomer's list settles", xlabel="ratings given", ylabel="of the final ten", ylim=(0, 10))
plt.show()

# %% [markdown]
# ## Keep it
#
# A saved model is a folder of plain arrays; `ratings=False` leaves every user's ratings out of it, and it still
# serves newcomers.

# %%
with tempfile.TemporaryDirectory() as folder:
    rec.save(Path(folder) / "newcomers.model", ratings=False)
    again = reelated.Recommender.load(Path(folder) / "newcomers.model")
    same = again.recommend(ratings=ratings) == rec.recommend(ratings=ratings)
    del again
print("the loaded model gives the same list:", same)
assert same

# %% [markdown]
# A list is a table too, for whatever comes next:

# %%
frame = rec.recommend(ratings=ratings, n=3).to_polars()
with pl.Config(tbl_hide_dataframe_shape=True):
    print(frame.select("rank", "item_id", "title", "score", "predicted_rating"))
