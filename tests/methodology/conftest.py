import pytest

from evidence.edition.model_page import registry as evidence_registry


@pytest.fixture(scope="session")
def registry():
    """The registry as it stands in evidence/models."""
    return evidence_registry()
