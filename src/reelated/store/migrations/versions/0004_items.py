"""Movies become items, in the names of tables, columns, indexes and facts.

Written out, because `schema` changes with later migrations.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

COLUMNS = (
    ("movies", "movie_key", "item_key"),
    ("movies", "movie_id", "item_id"),
    ("movies", "folded", "title_normalized"),
    ("genres", "movie_key", "item_key"),
    ("genres", "place", "position"),
    ("ratings", "movie_key", "item_key"),
    ("ratings", "place", "position"),
    ("visitor_ratings", "movie_key", "item_key"),
    ("set_aside", "movie_key", "item_key"),
)
TABLES = (("movies", "items"), ("set_aside", "dismissed"))
WHERE: Any = {"sqlite_where": sa.text("hidden = 1"), "postgresql_where": sa.text("hidden")}


def upgrade() -> None:
    """Rename tables and columns; an existing store holds movies, so its noun is "movie"."""
    op.drop_index("ix_movies_hidden", "movies")
    op.drop_index("ix_ratings_movie_key", "ratings")
    for table, old, new in COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    for old, new in TABLES:
        op.rename_table(old, new)
    op.create_index("ix_items_hidden", "items", ["item_key"], **WHERE)
    op.create_index("ix_ratings_item_key", "ratings", ["item_key"])
    op.execute("UPDATE facts SET name = 'item_id_type' WHERE name = 'movie_id_type'")
    op.execute("INSERT INTO facts SELECT 'noun', 'movie' FROM facts WHERE name = 'item_id_type'")
    op.execute(
        "UPDATE items SET title = 'Item ' || item_id, title_normalized = 'item ' || item_id "
        "WHERE title = 'Movie ' || item_id"
    )
