"""Finding plugins, building them per store type, calling their hooks."""
