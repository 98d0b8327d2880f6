"""``python -m tillhook``: the same as the ``tillhook`` command."""

from tillhook.core.cli import main

if __name__ == "__main__":
    main()
