"""The application over a database of the story's own."""

from collections.abc import AsyncIterator

import pytest

from tests.support.databases import Database
from tests.support.http import Api, serving


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    """The application in this process, with an administrator."""
    async with serving(database) as served:
        yield served
