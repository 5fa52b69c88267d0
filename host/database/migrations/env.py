"""Migrate the schema. Alembic runs this with the connection that `engine.migrate` hands over."""

from alembic import context

from host.database.access import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
