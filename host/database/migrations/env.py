"""Migrate the schema. Alembic runs this with the connection that `opening.migrate` hands over."""

from alembic import context

import host.database.access.tables  # noqa: F401 -- they are in the metadata
from host.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
