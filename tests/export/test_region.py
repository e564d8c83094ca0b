"""Which taxa a region keeps, and that those kept keep their order."""

import math
from types import SimpleNamespace

import duckdb
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from taxonvision.catalog.catalog import open_catalog
from taxonvision.errors import UserError
from taxonvision.export.region import (
    EARTH_RADIUS_KM,
    Region,
    in_both,
    only_taxa,
    parse_within,
    region_of,
    taxa_within,
)
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.tree import Taxon, Taxonomy

TREE = Taxonomy(
    [
        Taxon.of_rank(1, None, "family", "Nymphalidae"),
        Taxon.of_rank(2, 1, "genus", "Aglais"),
        Taxon.of_rank(3, 2, "species", "Aglais io"),
        Taxon.of_rank(4, 2, "species", "Aglais urticae"),
        Taxon.of_rank(5, 1, "genus", "Vanessa"),
        Taxon.of_rank(6, 5, "species", "Vanessa atalanta"),
        Taxon.of_rank(7, 5, "species", "Vanessa cardui"),
        Taxon.of_rank(8, None, "genus", "Oenanthe"),  # a bird
        Taxon.of_rank(9, 8, "species", "Oenanthe oenanthe"),
        Taxon.of_rank(10, None, "genus", "Oenanthe"),  # a plant
        Taxon.of_rank(11, 10, "species", "Oenanthe crocata"),
        Taxon.of_rank(12, None, "genus", "Pieris"),
    ]
)


def classes_of(*taxon_ids, retired=(), tree=TREE):
    return [
        TaxonClass(
            number, taxon_id, tree[taxon_id].name, tree[taxon_id].rank,
            "retired" if taxon_id in retired else "active", "1",
        )
        for number, taxon_id in enumerate(taxon_ids)
    ]  # fmt: skip


# A genus is a class above its species; ids are not in order; a class is retired.
CLASSES = classes_of(9, 3, 5, 7, 4, 6, 11, retired=[7])


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "region.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


# A table of taxa.


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("taxon_id\n3\n4\n", (3, 4)),
        ("remark,taxon_id\nrare,6\n,9\n,9\n", (9, 6)),
        ("taxon_id\n2\n", (3, 4)),
        ("taxon_id\n5\n", (5, 6)),
        ("taxon_id\n6\n4\n", (4, 6)),
        ("taxon_id\n1\n", (3, 5, 4, 6)),
        ("name\nAglais io\nVANESSA  atalanta\n", (3, 6)),
        ("name\nNymphalidae\n", (3, 5, 4, 6)),
        ("taxon_id,name\n3,Oenanthe\n4,\n", (3, 4)),
    ],
)
def test_a_taxon_keeps_every_active_class_at_or_below_it_in_the_order_of_the_head(
    table, text, kept, capsys
):
    assert only_taxa(table(text), CLASSES, TREE) == Region(kept, 6)
    assert capsys.readouterr().err == ""


def test_taxa_that_the_model_does_not_know_are_told_once(table, capsys):
    path = table("taxon_id\n3\n4\n7\n12\n101\n102\n103\n104\n104\n")
    assert only_taxa(path, CLASSES, TREE).taxon_ids == (3, 4)
    assert capsys.readouterr().err == (
        f"warning: 6 of the 8 taxa in {path} are not known to the model: "
        "7, 12, 101, 102, 103 and 1 more\n"
    )
    path = table("name\nAglais\nDanaus plexippus\n")
    assert only_taxa(path, CLASSES, TREE).taxon_ids == (3, 4)
    assert capsys.readouterr().err.endswith("are not known to the model: Danaus plexippus\n")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "region.csv lists no taxon that the model knows"),
        ("taxon_id\n", "region.csv lists no taxon that the model knows"),
        ("taxon_id\n7\n999\n", "region.csv lists no taxon that the model knows"),
        ("species\nAglais io\n", "region.csv has no column taxon_id or name; it has: species"),
        ("taxon_id\n3\nAglais io\n", "line 3: taxon_id must be a whole number, not 'Aglais io'"),
        ("name,x\nAglais io,\n,y\n", "region.csv, line 3: the name is empty"),
        ("name\nOenanthe\n", r"line 2: Oenanthe is the name of 2 taxa \(8, 10\); give the column"),
        ("taxon_id\n3\n", "region.csv keeps 1 of the model's 6 taxa; a bundle needs at least 2"),
        ("taxon_id\n3,4\n", "line 2: more cells than the header has columns"),
    ],
)
def test_a_table_that_cannot_be_used(table, text, sentence):
    with pytest.raises(UserError, match=sentence):
        only_taxa(table(text), CLASSES, TREE)


def test_a_missing_table(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.csv does not exist"):
        only_taxa(tmp_path / "nowhere.csv", CLASSES, TREE)


# A place.


@pytest.fixture(scope="module")
def catalog_of(tmp_path_factory):
    """A catalog of photographs (class id, latitude, longitude), as far as a region reads it."""
    folder = tmp_path_factory.mktemp("catalog")
    connection = duckdb.connect()

    def make(photographs, classes=CLASSES):
        rows = ", ".join(f"({class_id}, '{lat}', '{lng}')" for class_id, lat, lng in photographs)
        connection.execute(
            "COPY (SELECT class_id::INTEGER AS class_id,"
            " nullif(latitude, 'None')::DOUBLE AS latitude,"
            " nullif(longitude, 'None')::DOUBLE AS longitude"
            f" FROM (VALUES {rows}) AS photos (class_id, latitude, longitude))"
            f" TO '{folder / 'photos.parquet'}' (FORMAT parquet)"
        )
        return SimpleNamespace(folder=folder, classes=classes)

    return make


ZURICH, BERN, SUVA = (47.37, 8.54), (46.95, 7.45), (-18.14, 178.44)


def test_taxa_photographed_near_a_place(catalog_of, capsys):
    catalog = catalog_of(
        [(1, *ZURICH), (1, *SUVA), (4, *BERN), (5, *SUVA), (3, *ZURICH), (0, None, 8.5),
         (6, math.nan, 8.5), (6, 47.4, 188.54), (2, *BERN)]
    )  # fmt: skip
    assert taxa_within(catalog, CLASSES, *ZURICH, 120) == Region((3, 5, 4), 6, (*ZURICH, 120))
    assert "photographs of 1 of its taxa that the model does not answer" in capsys.readouterr().err
    other = classes_of(11, 4, 2, 3)  # a model that numbers its classes otherwise
    assert taxa_within(catalog, other, *ZURICH, 120).taxon_ids == (4, 3)


@pytest.mark.parametrize(
    ("photographs", "sentence"),
    [
        ([(1, None, None), (4, 91.0, 8.5)], "has coordinates; ingest them with latitude and"),
        ([(1, *BERN)], r"was taken within 50 km of 47.37, 8.54; the nearest was 94\.\d km away"),
        ([(1, *ZURICH)], "has photographs of 1 of the model's 6 taxa; a bundle needs at least 2"),
        ([(3, *ZURICH)], "has photographs of 0 of the model's 6 taxa; a bundle needs at least 2"),
    ],
)
def test_a_place_with_too_few_taxa(catalog_of, photographs, sentence):
    with pytest.raises(UserError, match=sentence):
        taxa_within(catalog_of(photographs), CLASSES, *ZURICH, 50)


def test_a_catalog_that_was_ingested_without_coordinates(small_catalog):
    catalog = open_catalog(small_catalog)
    with pytest.raises(UserError, match="has coordinates; ingest them with latitude and longitude"):
        taxa_within(catalog, catalog.classes, *ZURICH, 50)


def test_a_damaged_table_of_photographs(tmp_path):
    (tmp_path / "photos.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match=r"photos.parquet cannot be read \(.*\); ingest again"):
        taxa_within(SimpleNamespace(folder=tmp_path, classes=CLASSES), CLASSES, *ZURICH, 50)


def slow_distance(one, other):
    """Kilometres on the sphere by the angle between vectors, which knows no antimeridian."""
    a, b = (
        np.array([math.cos(lat) * math.cos(lng), math.cos(lat) * math.sin(lng), math.sin(lat)])
        for lat, lng in (map(math.radians, place) for place in (one, other))
    )
    return EARTH_RADIUS_KM * math.atan2(np.linalg.norm(np.cross(a, b)), a @ b)


LATITUDES = st.floats(-90, 90) | st.sampled_from([-90.0, -89.9, -1e-9, 0.0, 66.0, 89.99, 90.0])
LONGITUDES = st.floats(-180, 180) | st.sampled_from([-180.0, -179.9, 0.0, 179.9, 180.0])
PLACES = st.tuples(LATITUDES, LONGITUDES)
MANY = [TaxonClass(n, n + 1, f"taxon {n}", "species", "active", "1") for n in range(40)]


@settings(max_examples=15)
@given(st.lists(PLACES, min_size=10, max_size=38), PLACES, st.floats(0.1, 20015))
def test_distances_are_right_across_the_antimeridian_and_at_the_poles(
    catalog_of, photographs, place, radius
):
    photographs = [place, place, *photographs]  # two classes are always within
    distances = [slow_distance(place, photograph) for photograph in photographs]
    assume(all(abs(distance - radius) > 0.01 for distance in distances))
    catalog = catalog_of([(n, *at) for n, at in enumerate(photographs)], MANY)
    within = tuple(MANY[n].taxon_id for n, far in enumerate(distances) if far < radius)
    assert taxa_within(catalog, MANY, *place, radius).taxon_ids == within


@pytest.mark.parametrize(
    ("place", "near", "far"),
    [
        ((0.0, 179.9), (0.0, -179.9), (0.0, 179.0)),
        ((-18.0, -180.0), (-18.0, 180.0), (-18.0, 0.0)),
        ((89.9, 0.0), (89.9, 180.0), (89.0, 0.0)),
        ((-90.0, 0.0), (-89.8, 123.0), (-89.0, 0.0)),
    ],
)
def test_neighbours_across_an_edge_of_the_map(catalog_of, place, near, far):
    catalog = catalog_of([(1, *near), (4, *near), (5, *far)])
    assert taxa_within(catalog, CLASSES, *place, 30).taxon_ids == (3, 4)


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(1e-3, 20000))
def test_a_place_is_read_as_it_is_written(latitude, longitude, radius):
    assert parse_within(f"{latitude!r}, {longitude!r},{radius!r}") == (latitude, longitude, radius)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'' is not LAT,LNG,RADIUS_KM; write three numbers"),
        ("47.37,8.54", "is not LAT,LNG,RADIUS_KM"),
        ("47.37,8.54,50,1", "is not LAT,LNG,RADIUS_KM"),
        ("47.37;8.54;50", "is not LAT,LNG,RADIUS_KM"),
        ("47N,8E,50", "is not LAT,LNG,RADIUS_KM"),
        ("91,8.54,50", "the latitude must lie between -90 and 90, not 91"),
        ("nan,8.54,50", "the latitude must lie between -90 and 90, not nan"),
        ("47.37,-180.5,50", "the longitude must lie between -180 and 180, not -180.5"),
        ("47.37,inf,50", "the longitude must lie between -180 and 180, not inf"),
        ("47.37,8.54,0", "the radius must lie above 0 and not above 20016 km"),
        ("47.37,8.54,-3", "the radius must lie above 0"),
        ("47.37,8.54,20017", "the radius must lie above 0"),
        ("47.37,8.54,nan", "the radius must lie above 0"),
    ],
)
def test_what_is_no_place(text, sentence):
    with pytest.raises(UserError, match=sentence):
        parse_within(text)


@given(st.text())
def test_any_text_is_a_place_or_one_sentence(text):
    try:
        assert len(parse_within(text)) == 3
    except UserError as error:
        assert str(error).startswith("--within: ")


# Both, and what becomes of the head.


def test_table_and_place_together(table, catalog_of, capsys):
    catalog = catalog_of([(1, *ZURICH), (4, *BERN), (5, *ZURICH), (0, *SUVA)])
    model = SimpleNamespace(classes=CLASSES, taxonomy=TREE)
    path = table("taxon_id\n9\n3\n6\n")
    within = (*ZURICH, 120.0)
    assert region_of(model, catalog, None, None) is None
    assert region_of(model, catalog, path, None) == Region((9, 3, 6), 6)
    assert region_of(model, catalog, None, within) == Region((3, 4, 6), 6, within)
    region = region_of(model, catalog, path, within)
    assert region == Region((3, 6), 6, within)
    assert region.as_json() == {"taxa": 2, "of": 6, "within": [47.37, 8.54, 120.0]}
    place = "photographed within 120 km of 47.37, 8.54"
    assert capsys.readouterr().err.splitlines() == [
        f"region: 3 of 6 taxa, listed in {path}",
        f"region: 3 of 6 taxa, {place}",
        f"region: 2 of 6 taxa, listed in {path} and {place}",
    ]


def test_two_regions_with_too_few_taxa_in_common():
    listed, near = Region((9, 3, 6), 6), Region((3, 4), 6, (*ZURICH, 120.0))
    with pytest.raises(UserError, match="--only_taxa and --within together keep 1 of the model's"):
        in_both(listed, near)


@st.composite
def heads_and_regions(draw):
    """Logits float64 [N, C] and a region of at least two of the C taxa, numbered at random."""
    count = draw(st.integers(2, 12))
    taxon_ids = draw(st.permutations(range(1, count + 1)))
    kept = draw(st.sets(st.sampled_from(taxon_ids), min_size=2))
    # float16, so that the exponentials of different logits differ too; equal ones are drawn often.
    logit = st.floats(-20, 20, width=16) | st.sampled_from([0.0, 1.0])
    rows = draw(st.lists(st.lists(logit, min_size=count, max_size=count), min_size=1, max_size=4))
    region = Region(tuple(taxon_id for taxon_id in taxon_ids if taxon_id in kept), count)
    return np.array(rows, np.float64), taxon_ids, region


@given(heads_and_regions())
def test_the_taxa_of_a_region_keep_their_order_exactly(drawn):
    logits, taxon_ids, region = drawn
    positions = region.positions(taxon_ids)
    assert [taxon_ids[position] for position in positions] == list(region.taxon_ids)
    full, cut = softmax(logits, axis=1), softmax(logits[:, positions], axis=1)
    kept = full[:, positions]
    assert np.allclose(cut, kept / kept.sum(axis=1, keepdims=True))
    for of_all, of_region in zip(full, cut, strict=True):
        order = [taxon_ids[at] for at in np.argsort(-of_all, kind="stable")]
        among_kept = [taxon_id for taxon_id in order if taxon_id in region.taxon_ids]
        assert [region.taxon_ids[at] for at in np.argsort(-of_region, kind="stable")] == among_kept
