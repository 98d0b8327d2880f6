"""Runs migrations on the connection and into the version table that ``config.attributes`` names.

The core's and every plugin's own. Whoever calls opens the transaction, and so decides what is undone together
(``tillhook.core.storage.migrating``, ``tillhook.core.storage.own_schemas``).
"""

from alembic import context

given = context.config.attributes
context.configure(
    connection=given["connection"],
    target_metadata=given["metadata"],
    version_table=given["version_table"],
    on_version_apply=given.get("on_version_apply"),
    render_as_batch=given["connection"].dialect.name == "sqlite",  # SQLite alters a table by copying it
)
context.run_migrations()
