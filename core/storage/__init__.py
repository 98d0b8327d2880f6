"""The only place that knows SQL: one unit of work, statements built once, nothing else commits."""
