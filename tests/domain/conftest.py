"""How properties are tried: the same examples in every run; ``TILLHOOK_HYPOTHESIS=explore`` tries new ones."""

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", max_examples=5_000, deadline=None)
settings.load_profile(os.environ.get("TILLHOOK_HYPOTHESIS", "same"))
