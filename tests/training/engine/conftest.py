import pytest


@pytest.fixture(autouse=True)
def quick_curves(request, monkeypatch):
    """Drawing takes a second: it is left out but where a test asks for the curves."""
    if "with_curves" not in request.fixturenames:
        monkeypatch.setattr("ringrift.training.engine.trainer.draw_curves", lambda *_: None)


@pytest.fixture
def with_curves():
    """Ask for the curves."""
