"""The model of several machines prints the table that the documentation shows."""

from pathlib import Path

import pytest

from benchmarks import scaling_model


def test_the_page_shows_what_the_model_prints(capsys: pytest.CaptureFixture[str]) -> None:
    scaling_model.main()
    page = Path(__file__).parents[2] / "docs" / "guides" / "scaling.md"
    assert f"```text\n{capsys.readouterr().out}```" in page.read_text()
