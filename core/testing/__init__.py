"""What plugin authors test with: contract suites to inherit, fakes, and strategies for generated sales.

Needs pytest and hypothesis: ``pip install tillhook[testing]``.
"""

import pytest

# So that a broken contract shows both sides of the comparison that failed, as the author's own tests do.
pytest.register_assert_rewrite("tillhook.core.testing.contracts")
