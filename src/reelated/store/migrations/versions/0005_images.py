"""Add the URL of a picture to items."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column."""
    op.add_column("items", sa.Column("image", sa.Text))
