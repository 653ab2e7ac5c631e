"""Movies can be hidden. The index has the hidden movies only, because every request reads them.

Written out, because `schema` changes with later migrations.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column and its index."""
    op.add_column("movies", sa.Column("hidden", sa.Boolean, nullable=False, server_default=sa.false()))
    where: Any = {"sqlite_where": sa.text("hidden = 1"), "postgresql_where": sa.text("hidden")}
    op.create_index("ix_movies_hidden", "movies", ["movie_key"], **where)
