"""What every test may ask for."""

from collections.abc import Iterator

import pytest
import structlog

from tests.services.postgres import NoPostgres, Postgres


@pytest.fixture(scope="session", autouse=True)
def plain_tracebacks() -> None:
    """Drawing every local of every frame takes seconds for each exception that is logged."""
    if not structlog.is_configured():
        renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
        structlog.configure([structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, renderer])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for the whole run; tests that ask for it are skipped where there is none."""
    try:
        server = Postgres.find()
    except NoPostgres as reason:
        pytest.skip(f"no PostgreSQL: {reason}")
    with server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh, empty database, dropped after the test."""
    url = postgres.fresh_database()
    yield url
    postgres.drop(url)
