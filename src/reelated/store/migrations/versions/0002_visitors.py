"""Visitors of the page with their ratings and dismissed movies, apart from the users of the site.

Written out, because `schema` changes with later migrations.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "visitors",
        sa.Column("visitor_key", KEY, primary_key=True, autoincrement=True),
        sa.Column("visitor_id", sa.Text, nullable=False, unique=True),
        sa.Column("seen_at", sa.BigInteger, nullable=False, index=True),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "visitor_ratings",
        *_whose_and_what(),
        sa.Column("rating", sa.REAL, nullable=False),
        sa.Column("rated_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table("set_aside", *_whose_and_what(), sqlite_with_rowid=False)


def _whose_and_what() -> list[sa.Column[int]]:
    return [
        sa.Column("visitor_key", KEY, sa.ForeignKey("visitors.visitor_key", ondelete="CASCADE"), primary_key=True),
        sa.Column("movie_key", KEY, sa.ForeignKey("movies.movie_key"), primary_key=True),
    ]
