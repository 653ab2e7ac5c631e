"""The database schema. A `…_key` is a number of the database; a `…_id` is the caller's id, stored as text."""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite auto-increments only an INTEGER PRIMARY KEY

# metadata of the store: types of ids, scale, name, and counters
facts = sa.Table(
    "facts", metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("user_key", KEY, primary_key=True, autoincrement=True),
    sa.Column("user_id", sa.Text, nullable=False, unique=True),
    sa.Column("age", sa.Integer),
    sa.Column("gender", sa.Text),
    sa.Column("occupation", sa.Text),
    sa.Column("zip_code", sa.Text),
    sqlite_autoincrement=True,  # the key of an erased user is never reused
)

# `title_normalized` is the title for search, without case and accents; a `hidden` item keeps its ratings
items = sa.Table(
    "items",
    metadata,
    sa.Column("item_key", KEY, primary_key=True, autoincrement=True),
    sa.Column("item_id", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("title_normalized", sa.Text, nullable=False),
    sa.Column("year", sa.Integer),
    sa.Column("release_date", sa.Text),
    sa.Column("imdb_id", sa.Text),
    sa.Column("tmdb_id", sa.Text),
    sa.Column("image", sa.Text),
    sa.Column("hidden", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("item_id", name="uq_movies_movie_id"),  # SQLite cannot rename a constraint
    sqlite_autoincrement=True,
)
sa.Index("ix_items_hidden", items.c.item_key, sqlite_where=items.c.hidden, postgresql_where=items.c.hidden)

genres = sa.Table(
    "genres",
    metadata,
    sa.Column("item_key", KEY, sa.ForeignKey("items.item_key", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("genre", sa.Text, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# WITHOUT ROWID stores the rows of a user together; `rated_at` is in seconds since 1970; `position` orders the
# ratings of a user
ratings = sa.Table(
    "ratings",
    metadata,
    sa.Column("user_key", KEY, sa.ForeignKey("users.user_key", ondelete="CASCADE"), primary_key=True),
    sa.Column("item_key", KEY, sa.ForeignKey("items.item_key"), primary_key=True, index=True),
    sa.Column("rating", sa.REAL, nullable=False),
    sa.Column("rated_at", sa.BigInteger),
    sa.Column("position", sa.BigInteger),
    sqlite_with_rowid=False,
)

# import runs with their progress, so that an interrupted one resumes
imports = sa.Table(
    "imports",
    metadata,
    sa.Column("import_key", KEY, primary_key=True, autoincrement=True),
    sa.Column("fingerprint", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("finished_at", sa.BigInteger),
    sa.Column("users_done", sa.BigInteger, nullable=False),
    sa.Column("ratings_done", sa.BigInteger, nullable=False),
)

# visitors of the web page; only the browser links the id to a person
visitors = sa.Table(
    "visitors",
    metadata,
    sa.Column("visitor_key", KEY, primary_key=True, autoincrement=True),
    sa.Column("visitor_id", sa.Text, nullable=False, unique=True),
    sa.Column("seen_at", sa.BigInteger, nullable=False, index=True),
    sqlite_autoincrement=True,
)


def _visitor_and_item() -> list[sa.Column[int]]:
    """Return the columns of the primary key."""
    return [
        sa.Column("visitor_key", KEY, sa.ForeignKey("visitors.visitor_key", ondelete="CASCADE"), primary_key=True),
        sa.Column("item_key", KEY, sa.ForeignKey("items.item_key"), primary_key=True),
    ]


visitor_ratings = sa.Table(
    "visitor_ratings",
    metadata,
    *_visitor_and_item(),
    sa.Column("rating", sa.REAL, nullable=False),
    sa.Column("rated_at", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# items that a visitor dismissed
dismissed = sa.Table("dismissed", metadata, *_visitor_and_item(), sqlite_with_rowid=False)
