"""Run by Alembic: it works on the connection that `Store.upgrade` gives it."""

from alembic import context

from reelated.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
