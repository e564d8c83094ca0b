from __future__ import annotations

import pytest

from taxonvision.errors import UserError
from taxonvision.export.own_thresholds import own_thresholds
from taxonvision.models.directory import open_model


@pytest.fixture
def table(tmp_path):
    def write(*rows):
        path = tmp_path / "thresholds.csv"
        path.write_text("\n".join(["taxon_id,threshold", *rows]))
        return path

    return write


def test_thresholds_of_taxa_that_the_model_knows(small_model, table, capsys):
    model = open_model(small_model)
    assert own_thresholds(model, None) == {}
    # A class and a genus above it.
    assert own_thresholds(model, table("3,0.25", "1,1")) == {3: 0.25, 1: 1.0}
    assert capsys.readouterr().err == ""


def test_taxa_that_it_lacks_are_told(small_model, table, capsys):
    model = open_model(small_model)
    assert own_thresholds(model, table("3,0.25", "99,0.5")) == {3: 0.25}
    assert "for 2 taxa, 1 of which is not in the model" in capsys.readouterr().err
    with pytest.raises(UserError, match="no threshold for a taxon of the model four butterflies"):
        own_thresholds(model, table("99,0.5"))
    with pytest.raises(UserError, match="no threshold for a taxon"):
        own_thresholds(model, table())
