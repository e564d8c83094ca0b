import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.synthetic import names
from taxonvision.synthetic.species import displaced, make_species


@pytest.fixture(scope="module")
def many():
    return make_species(2000, seed=0)


@pytest.mark.parametrize("field", ["scientific_name", "common_name", "common_name_de", "taxon_id"])
def test_two_thousand_taxa_have_two_thousand_names(many, field):
    assert len({getattr(one, field) for one in many}) == 2000


def test_names_are_ascii_binomials_of_their_genus(many):
    for one in many:
        genus, epithet = one.scientific_name.split(" ")
        assert one.scientific_name.isascii()
        assert genus == one.genus and genus[0].isupper() and genus[1:].islower()
        assert epithet.isalpha() and epithet.islower()
        assert one.family.endswith("idae")


def test_each_genus_has_one_family_and_one_body_plan(many):
    of_genus = {}
    for one in many:
        expected = of_genus.setdefault(one.genus_id, (one.genus, one.family_id, one.body))
        assert (one.genus, one.family_id, one.body) == expected
    plans = {plan for _, _, plan in of_genus.values()}
    assert len(plans) == len(of_genus)  # genera differ in shape


def test_congeners_differ_in_pattern(many):
    patterns = [(one.genus_id, one.appearance) for one in many]
    assert len(set(patterns)) == len(patterns)


@pytest.mark.parametrize("seed", range(4))
def test_the_default_number_makes_a_handful_of_families_and_genera(seed):
    species = make_species(24, seed)
    assert 3 <= len({one.family_id for one in species}) <= 5
    genera = [one.genus_id for one in species]
    assert 7 <= len(set(genera)) <= 12
    assert sum(genera.count(genus) >= 2 for genus in set(genera)) > len(set(genera)) / 2


@settings(max_examples=10, deadline=None)
@given(fewer=st.integers(1, 60), more=st.integers(0, 60), seed=st.integers(0, 2**31))
def test_asking_for_more_taxa_keeps_the_first(fewer, more, seed):
    assert make_species(fewer + more, seed)[:fewer] == make_species(fewer, seed)


def test_another_seed_makes_other_species():
    first = {one.scientific_name for one in make_species(24, 0)}
    assert first.isdisjoint(one.scientific_name for one in make_species(24, 1))


def test_species_are_values():
    one = make_species(1, 0)[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.genus = "Other"
    assert hash(one) == hash(make_species(1, 0)[0])


@given(st.integers(0, 2**32))
def test_epithets_agree_with_the_genus(number):
    rng = np.random.default_rng(number)
    taken = set()
    feminine = [names.epithet(rng, "Velunessa", taken) for _ in range(30)]
    masculine = names.epithet(rng, "Velunius", set())
    assert len(set(feminine)) == 30
    assert all(word.endswith(("a", "is")) for word in feminine)
    assert masculine.endswith(("us", "is"))


@given(
    st.floats(-90, 90), st.floats(-180, 180), st.floats(-20_000, 20_000), st.floats(-20_000, 20_000)
)
def test_a_displaced_point_is_on_the_globe(latitude, longitude, north, east):
    lat, lon = displaced(latitude, longitude, north, east)
    assert -90 <= lat <= 90
    assert -180 <= lon <= 180


def test_ranges_of_congeners_are_neighbours(many):
    for before, after in itertools.pairwise(many):
        if before.genus_id == after.genus_id:
            # Each lies within two spreads (900 km at most) of the genus' heartland.
            assert abs(before.range.latitude - after.range.latitude) < 4 * 900 / 111
