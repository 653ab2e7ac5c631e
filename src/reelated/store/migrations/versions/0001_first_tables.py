"""The first tables: users, movies, genres, ratings, imports and facts.

Written out, because `schema` changes with later migrations.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table("facts", sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))
    op.create_table(
        "users",
        sa.Column("user_key", KEY, primary_key=True, autoincrement=True),
        sa.Column("user_id", sa.Text, nullable=False, unique=True),
        sa.Column("age", sa.Integer),
        *(sa.Column(name, sa.Text) for name in ("gender", "occupation", "zip_code")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "movies",
        sa.Column("movie_key", KEY, primary_key=True, autoincrement=True),
        sa.Column("movie_id", sa.Text, nullable=False, unique=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("year", sa.Integer),
        *(sa.Column(name, sa.Text) for name in ("release_date", "imdb_id", "tmdb_id")),
        sqlite_autoincrement=True,
    )
    _tables_between()
    op.create_table(
        "imports",
        sa.Column("import_key", KEY, primary_key=True, autoincrement=True),
        sa.Column("fingerprint", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("users_done", sa.BigInteger, nullable=False),
        sa.Column("ratings_done", sa.BigInteger, nullable=False),
    )


def _tables_between() -> None:
    """Create the tables of movies and users."""
    op.create_table(
        "genres",
        sa.Column("movie_key", KEY, sa.ForeignKey("movies.movie_key", ondelete="CASCADE"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("genre", sa.Text, nullable=False, index=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ratings",
        sa.Column("user_key", KEY, sa.ForeignKey("users.user_key", ondelete="CASCADE"), primary_key=True),
        sa.Column("movie_key", KEY, sa.ForeignKey("movies.movie_key"), primary_key=True, index=True),
        sa.Column("rating", sa.REAL, nullable=False),
        sa.Column("rated_at", sa.BigInteger),
        sa.Column("place", sa.BigInteger),
        sqlite_with_rowid=False,
    )
