"""Reading ``tillhook.toml``: the system's settings, and layers of settings per store type."""
