from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

from taxonvision.geography.regions import AT_SEA, country_name, locate, region, world


def where(latitude: float, longitude: float) -> tuple[str, str]:
    (country,) = locate(np.array([latitude]), np.array([longitude])).tolist()
    return country_name(country), region(country, longitude)


@pytest.mark.parametrize(
    ("latitude", "longitude", "country", "name_of_region"),
    [
        (48.2, 16.4, "Austria", "Western Europe"),
        (-1.3, 36.8, "Kenya", "Eastern Africa"),
        (35.7, 139.7, "Japan", "Eastern Asia"),
        (-22.9, -43.2, "Brazil", "South America"),
        (-33.9, 151.2, "Australia", "Australia and New Zealand"),
        (-29.5, 28.0, "Lesotho", "Southern Africa"),  # a hole in South Africa
        (1.35, 103.8, "Singapore", "South-eastern Asia"),  # too small for a coarse outline
        (4.2, 73.5, "Maldives", "Southern Asia"),
        (4.9, -52.3, "French Guiana", "South America"),  # not France
        (-21.1, 55.5, "Réunion", "Eastern Africa"),
        (21.3, -157.9, "Hawaii", "Polynesia"),  # not the mainland
        (52.5, -113.0, "Canada", "Northern America"),
        (78.2, 15.6, "Svalbard and Jan Mayen Islands", "Northern Europe"),
        (55.8, 37.6, "Russia", "Eastern Europe"),
        (55.0, 82.9, "Russia", "Northern Asia"),
        (66.0, -175.0, "Russia", "Northern Asia"),  # beyond the antimeridian
        (-18.1, 178.4, "Fiji", "Melanesia"),
        (-16.8, -179.97, "Fiji", "Melanesia"),
        (-75.0, 0.0, "Antarctica", "Antarctica"),
    ],
)
def test_cities(latitude, longitude, country, name_of_region):
    assert where(latitude, longitude) == (country, name_of_region)


def test_the_coast_reaches_a_degree_into_the_sea_and_no_further():
    assert where(33.0, -119.5)[0] == "United States of America"  # off San Diego
    assert where(0.0, -30.0) == (AT_SEA, AT_SEA)
    assert where(-9.0, 13.13 - 0.9)[0] == "Angola"
    assert where(-9.0, 13.13 - 1.3)[0] == AT_SEA


def test_a_degree_of_longitude_is_shorter_in_the_north():
    assert where(65.5, -24.5 - 2.0)[0] == "Iceland"  # 92 km off its west
    assert where(65.5, -24.5 - 3.0)[0] == AT_SEA


def test_the_poles():
    longitudes = np.array([-180, -90, 0, 12.3, 180])
    south, north = (locate(np.full(5, pole), longitudes) for pole in (-90.0, 90.0))
    assert {country_name(country) for country in south} == {"Antarctica"}
    assert {country_name(country) for country in north} == {AT_SEA}


def test_both_sides_of_the_antimeridian_are_one_place():
    latitudes = np.linspace(-90, 90, 721)
    west, east = (locate(latitudes, np.full(721, side)) for side in (-180.0, 180.0))
    assert (west == east).all()
    assert {country_name(country) for country in west} >= {"Antarctica", "Fiji", "Russia", AT_SEA}


def test_near_the_antimeridian_the_land_on_the_other_side_is_near():
    # Chukotka ends at 180° on both sides of it; Wrangel Island lies across it.
    assert where(71.0, 179.9)[0] == where(71.0, -179.9)[0] == "Russia"
    assert where(-16.9, 179.3)[0] == "Fiji"


def test_the_order_of_the_points_is_no_matter():
    rng = np.random.default_rng(4)
    latitudes = np.degrees(np.arcsin(rng.uniform(-1, 1, 400)))
    longitudes = rng.uniform(-180, 180, 400)
    order = rng.permutation(400)
    there = locate(latitudes, longitudes)
    assert (locate(latitudes[order], longitudes[order]) == there[order]).all()
    assert 0.3 < (there >= 0).mean() < 0.5  # land is 29 % of the Earth, and there is its coast


def test_nothing_is_nowhere():
    assert locate(np.array([]), np.array([])).tolist() == []


def test_a_point_in_the_middle_of_a_country_is_in_it():
    for number, country in enumerate(world().countries):
        if country.name in {"Austria", "Chad", "Bolivia", "Mongolia", "Botswana", "Poland"}:
            low, high = (
                getattr(np.concatenate([ring.corners for ring in country.rings]), side)(axis=0)
                for side in ("min", "max")
            )
            middle = (low + high) / 2
            assert locate(middle[1:], middle[:1]).tolist() == [number]


def test_the_land_is_small_and_whole():
    file = resources.files("taxonvision.geography") / "land" / "countries.json"
    assert len(file.read_bytes()) <= 150_000
    countries = world().countries
    assert len({country.name for country in countries}) == len(countries) > 240
    assert {country.region for country in countries} >= {"Western Africa", "Polynesia"}
    for country in countries:
        for ring in country.rings:
            assert (ring.corners[0] == ring.corners[-1]).all()
            assert (np.abs(ring.corners) <= (180, 90)).all()
