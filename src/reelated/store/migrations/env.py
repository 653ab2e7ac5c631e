"""Alembic environment: it uses the connection from `Store.upgrade`."""

from alembic import context

from reelated.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
