"""The bundled sample: deterministic, realistic, in the layout of MovieLens 100K, and plausible to a moviegoer."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import reelated
from reelated.data.movielens import GENRES
from reelated.data.sample import OCCUPATIONS, Sample, simulate, write_sample
from reelated.errors import InputError

FILES = {"README", "u.data", "u.genre", "u.info", "u.item", "u.occupation", "u.user"}


@pytest.fixture(scope="module")
def sample() -> Sample:
    return simulate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "new" / "folder"
    write_sample(path)
    return path


def fields(path: Path, separator: str) -> list[list[str]]:
    return [line.split(separator) for line in path.read_bytes().decode("latin-1").splitlines()]


def matrix(sample: Sample) -> np.ndarray:
    """Users × items, 0 where there is no rating."""
    X = np.zeros((len(sample.users), len(sample.items)))
    ratings = sample.ratings
    X[ratings["user_id"].to_numpy() - 1, ratings["item_id"].to_numpy() - 1] = ratings["rating"].to_numpy()
    return X


# Determinism


def test_two_simulations_are_the_same(sample: Sample) -> None:
    for once, again in zip(sample, simulate(), strict=True):
        assert once.equals(again)


def test_the_sample_has_its_known_checksums(sample: Sample) -> None:
    """A change of the catalogue or of the simulation changes these numbers; measure them again."""
    weights = sample.ratings.select(pl.col("user_id") * 1009 + pl.col("item_id") * 10 + pl.col("rating")).to_series()
    ordered_parallel_map = (weights.to_numpy() * np.arange(len(weights))).sum()
    assert (len(weights), weights.sum()) == (49_653, 15_229_583_230)
    assert ordered_parallel_map == 377_891_160_911_988
    assert sample.ratings["timestamp"].sum() == 85_215_137_887_053


# Marginals: MovieLens 100K has 6 / 11 / 27 / 34 / 21 % of 1 … 5 stars, a mean of 3.53, and at least 20 ratings a user


def test_the_stars_are_distributed_as_in_movielens_100k(sample: Sample) -> None:
    stars = sample.ratings["rating"].to_numpy()
    shares = np.bincount(stars, minlength=6)[1:] / len(stars)
    assert stars.min() == 1
    assert stars.max() == 5
    assert abs(stars.mean() - 3.53) < 0.05
    assert np.abs(shares - [0.061, 0.114, 0.271, 0.342, 0.212]).max() < 0.02


def test_there_are_about_50_000_distinct_ratings(sample: Sample) -> None:
    assert 48_000 < len(sample.ratings) < 52_000
    assert sample.ratings.select("user_id", "item_id").is_unique().all()


def test_users_rate_20_items_or_more_and_a_few_rate_many(sample: Sample) -> None:
    counts = (matrix(sample) > 0).sum(axis=1)
    assert counts.min() == 20
    assert counts.max() > 250
    assert np.median(counts) < 0.7 * counts.mean()


def test_a_few_items_are_rated_by_most_users_and_many_by_few(sample: Sample) -> None:
    counts = (matrix(sample) > 0).sum(axis=0)
    assert counts.min() >= 5
    assert 0.55 < counts.max() / len(sample.users) < 0.75
    assert np.median(counts) < 0.75 * counts.mean()
    assert (counts < 30).mean() > 0.1


def test_means_of_users_and_items_vary_as_in_movielens_100k(sample: Sample) -> None:
    """There, the standard deviations are 0.44 for users and 0.53 for items with 20 ratings or more."""
    X = matrix(sample)
    of_users, of_items = X.sum(axis=1) / (X > 0).sum(axis=1), X.sum(axis=0) / (X > 0).sum(axis=0)
    assert 0.35 < of_users.std() < 0.6
    assert 0.35 < of_items.std() < 0.6


def test_young_users_rate_fewer_old_items(sample: Sample) -> None:
    seen = sample.ratings.join(sample.users, on="user_id").join(sample.items, on="item_id")
    share = seen.group_by(pl.col("age") > 31).agg((pl.col("year") < 1970).mean()).sort("age")["year"]
    assert share[1] > 1.2 * share[0]


def test_users_have_plausible_attributes(sample: Sample) -> None:
    users = sample.users
    assert len(users) == 600
    assert users["age"].is_between(10, 80).all()
    assert set(users["gender"]) == {"F", "M"}
    assert set(users["occupation"]) == set(OCCUPATIONS)
    assert len(OCCUPATIONS) == 21
    assert users["zip_code"].str.contains(r"^\d{5}$").all()


def test_a_user_rates_items_one_after_another_within_months(sample: Sample) -> None:
    times = sample.ratings.sort("user_id", "timestamp")
    assert (times["timestamp"].diff().filter(times["user_id"].diff() == 0) > 0).all()
    assert date.fromtimestamp(times["timestamp"].min()) >= date(2024, 2, 29)
    assert date.fromtimestamp(times["timestamp"].max()) <= date(2024, 12, 31)
    assert sample.items["year"].max() < 2024


def test_the_ratings_are_in_random_order(sample: Sample) -> None:
    users = sample.ratings["user_id"].to_numpy()
    assert abs(np.corrcoef(users, np.arange(len(users)))[0, 1]) < 0.02


# The catalogue


def test_the_catalogue_has_300_to_500_items_of_every_genre_and_age(sample: Sample) -> None:
    items = sample.items
    assert 300 <= len(items) <= 500
    assert items["item_id"].to_list() == list(range(1, len(items) + 1))
    assert items.select("title", "year").is_unique().all()
    assert set(items["genres"].explode()) == set(GENRES) - {"unknown"}
    assert set(items["year"] // 10 * 10) == set(range(1920, 2030, 10))


def test_titles_contain_special_characters(sample: Sample) -> None:
    titles = " ".join(sample.items["title"])
    assert all(mark in titles for mark in ("'", ":", ",", "&", "!", "...", "(500)", "é", "ä", "½", "·"))
    assert "|" not in titles


# The layout


def test_the_files_are_those_of_movielens_100k(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["folder"]


def test_ratings_are_four_numbers_separated_by_tabs(folder: Path, sample: Sample) -> None:
    rows = fields(folder / "u.data", "\t")
    assert [tuple(map(int, row)) for row in rows] == sample.ratings.rows()


def test_an_item_has_24_fields_in_latin_1(folder: Path, sample: Sample) -> None:
    rows = fields(folder / "u.item", "|")
    assert {len(row) for row in rows} == {24}
    by_title = {row[1]: row for row in rows}
    assert "Beautiful Mind, A (2001)" in by_title
    assert "Good, the Bad and the Ugly, The (1966)" in by_title
    amelie = by_title["Amélie (2001)"]
    assert amelie[2:5] == ["01-Jan-2001", "", ""]
    assert [GENRES[number] for number, flag in enumerate(amelie[5:]) if flag == "1"] == ["Comedy", "Romance"]
    assert {flag for row in rows for flag in row[5:]} == {"0", "1"}
    assert [int(row[0]) for row in rows] == sample.items["item_id"].to_list()


def test_users_genres_occupations_and_counts_are_written(folder: Path, sample: Sample) -> None:
    assert [tuple(row) for row in fields(folder / "u.user", "|")] == sample.users.cast(pl.String).rows()
    assert (folder / "u.genre").read_text() == "".join(
        f"{name}|{number}\n" for number, name in enumerate(GENRES)
    ) + "\n"
    assert (folder / "u.occupation").read_text().split() == list(OCCUPATIONS)
    counts = f"600 users\n{len(sample.items)} items\n{len(sample.ratings)} ratings\n"
    assert (folder / "u.info").read_text() == counts


def test_the_readme_says_that_the_ratings_are_simulated(folder: Path) -> None:
    text = (folder / "README").read_text()
    assert "simulated ratings" in text.splitlines()[0]
    assert "SIMULATED" in text
    assert "MIT" in text


def test_the_written_sample_reads_back_unchanged(folder: Path, sample: Sample) -> None:
    data = reelated.read(folder)
    assert data.items.select(sample.items.columns).equals(sample.items)
    assert data.users.select(sample.users.columns).equals(sample.users)
    assert len(data.ratings) == len(sample.ratings)


# Writing


def test_an_earlier_sample_is_replaced(tmp_path: Path) -> None:
    written = write_sample(tmp_path)
    content = {path: path.read_bytes() for path in written}
    written[0].write_text("old")
    assert write_sample(str(tmp_path)) == written
    assert {path: path.read_bytes() for path in written} == content


@pytest.mark.parametrize("stranger", ["notes.txt", "u.data"])
def test_a_folder_with_other_files_is_an_error_and_unchanged(tmp_path: Path, stranger: str) -> None:
    (tmp_path / stranger).write_text("mine")
    with pytest.raises(InputError, match=rf"it holds '{stranger}'\. Expected a new or empty folder"):
        write_sample(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [stranger]
    assert (tmp_path / stranger).read_text() == "mine"


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="cannot be written"):
        write_sample(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_interrupted_write_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def interrupted(path: Path, content: bytes) -> int:
        if path.name == "README":
            raise KeyboardInterrupt
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


# Plausibility: the neighbours that a person who knows the items expects

NEAR = {
    "Star Wars": "The Empire Strikes Back|Return of the Jedi|Raiders of the Lost Ark|The Matrix|Back to the Future",
    "Toy Story": "Toy Story 2|Toy Story 3|Monsters, Inc.|Finding Nemo|Up|Ratatouille|WALL·E|The Incredibles",
    "Alien": "Aliens|Predator|Jaws|The Thing|Blade Runner|The Terminator|Jurassic Park|Star Wars",
    "Notting Hill": "Four Weddings and a Funeral|When Harry Met Sally...|Bridget Jones's Diary|Sleepless in Seattle",
    "Vertigo": "Rear Window|North by Northwest|Psycho|Rebecca|Notorious|Strangers on a Train|Dial M for Murder",
    "My Neighbor Totoro": "Spirited Away|Princess Mononoke|Kiki's Delivery Service|Howl's Moving Castle",
    "Aladdin": "The Lion King|Beauty and the Beast|The Little Mermaid|Mulan|Cinderella|The Jungle Book",
    "The Godfather": "The Godfather: Part II|Pulp Fiction|Fargo|Goodfellas|The Departed|The Dark Knight",
    "Scream": "Halloween|Psycho|The Exorcist|The Shining|The Silence of the Lambs|Saw|The Sixth Sense",
    "Airplane!": "Monty Python and the Holy Grail|The Naked Gun: From the Files of Police Squad!|Blazing Saddles",
    "Persona": "The Seventh Seal|Wild Strawberries|La Dolce Vita|8½|Bicycle Thieves|The 400 Blows|All About My Mother",
    "Batman Begins": "The Dark Knight|Batman|Iron Man|Spider-Man|X-Men|Inception|The Avengers|Superman",
    "Bowling for Columbine": "Fahrenheit 9/11",
}


@pytest.fixture(scope="module")
def nearest(sample: Sample) -> dict[str, list[str]]:
    """Return title → the ten nearest by cosine, shrunk by the number of common users."""
    X = matrix(sample)
    norms = np.sqrt((X * X).sum(axis=0))
    common = (X > 0).T.astype(float) @ (X > 0)
    similarity = X.T @ X / np.outer(norms, norms) * common / (common + 20)
    np.fill_diagonal(similarity, -1)
    titles = sample.items["title"].to_list()
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :10]
    return {title: [titles[column] for column in row] for title, row in zip(titles, order, strict=True)}


@pytest.mark.parametrize("title", NEAR)
def test_the_nearest_items_are_the_expected_ones(nearest: dict[str, list[str]], title: str) -> None:
    expected = NEAR[title].split("|")
    assert len(set(expected) & set(nearest[title])) >= min(4, (len(expected) + 1) // 2 + 1, len(expected))


def test_the_nearest_item_of_a_series_belongs_to_it(nearest: dict[str, list[str]]) -> None:
    rings = "The Lord of the Rings: The "
    for title, start in [
        (f"{rings}Two Towers", rings),
        ("The Godfather: Part II", "The Godfather"),
        ("Aliens", "Alien"),
    ]:
        assert nearest[title][0].startswith(start)
