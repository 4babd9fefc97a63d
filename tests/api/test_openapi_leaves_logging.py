"""Describing the API must not touch how the process logs."""

import logging

from ledger.api.app import openapi


def test_writing_the_description_configures_no_logging() -> None:
    before = list(logging.getLogger().handlers), logging.getLogger().level

    openapi()

    assert (list(logging.getLogger().handlers), logging.getLogger().level) == before
