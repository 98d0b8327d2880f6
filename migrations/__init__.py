"""The steps from an empty database to the tables of ``tillhook.core.storage.tables``, on SQLite and PostgreSQL."""
