import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.tables import write_csv
from taxonvision.taxonomy.ranks import MAIN_RANKS, RANK_LEVELS
from taxonvision.taxonomy.tree import COLUMNS, Taxon, Taxonomy, read_taxonomy, write_taxonomy

LIFE = Taxonomy(
    [
        Taxon.of_rank(1, None, "kingdom", "Animalia"),
        Taxon.of_rank(9, 8, "species", "Danaus plexippus"),  # children may stand before parents
        Taxon.of_rank(7, 1, "family", "Nymphalidae"),
        Taxon.of_rank(8, 7, "genus", "Danaus"),
        Taxon.of_rank(5, 7, "genus", "Vanessa"),
        Taxon.of_rank(2, None, "kingdom", "Plantae"),
    ]
)


@st.composite
def trees(draw, least=1):
    """Parents by taxon id: any forest, in any order, with any ids."""
    ids = draw(st.lists(st.integers(1, 10**12), min_size=least, max_size=20, unique=True))
    parents = {ids[0]: None}
    for position, taxon_id in enumerate(ids[1:], start=1):
        parents[taxon_id] = draw(st.none() | st.sampled_from(ids[:position]))
    order = draw(st.permutations(ids))
    return {taxon_id: parents[taxon_id] for taxon_id in order}


def taxonomy_of(parents):
    return Taxonomy(Taxon.of_rank(i, parent, "species", f"T{i}") for i, parent in parents.items())


def test_lineage_goes_up_to_the_root():
    assert [taxon.name for taxon in LIFE.lineage(9)] == [
        "Danaus plexippus", "Danaus", "Nymphalidae", "Animalia",
    ]  # fmt: skip
    assert LIFE.lineage(2) == (LIFE[2],)


def test_at_rank():
    assert LIFE.at_rank(9, "family") == 7
    assert LIFE.at_rank(9, "species") == 9
    assert LIFE.at_rank(9, "order") is None
    assert LIFE.at_rank(7, "genus") is None


def test_children_in_the_order_listed():
    assert LIFE.children() == {None: [1, 2], 8: [9], 1: [7], 7: [8, 5]}


def test_closure_keeps_ancestors_and_order():
    assert [taxon.taxon_id for taxon in LIFE.closure([5, 9])] == [1, 9, 7, 8, 5]
    assert [taxon.taxon_id for taxon in LIFE.closure([2])] == [2]
    assert len(LIFE.closure([])) == 0


def test_contains_and_length():
    assert 9 in LIFE
    assert 3 not in LIFE
    assert len(LIFE) == 6


def test_levels_of_ranks_fall_from_kingdom_to_species():
    levels = [RANK_LEVELS[rank] for rank in MAIN_RANKS]
    assert levels == [70, 60, 50, 40, 30, 20, 10]
    assert LIFE[9].rank_level == 10


@given(trees())
def test_random_trees_agree_with_their_parents(parents):
    tree = taxonomy_of(parents)
    assert [taxon.taxon_id for taxon in tree] == list(parents)
    for taxon_id, parent in parents.items():
        chain = [taxon.taxon_id for taxon in tree.lineage(taxon_id)]
        assert chain[0] == taxon_id
        assert [parents[i] for i in chain] == [*chain[1:], None]
        assert taxon_id in tree.children()[parent]
    assert sum(map(len, tree.children().values())) == len(tree)


@given(trees(), st.data())
def test_closure_is_the_union_of_the_lineages(parents, data):
    tree = taxonomy_of(parents)
    chosen = data.draw(st.lists(st.sampled_from(list(parents))))
    expected = {taxon.taxon_id for i in chosen for taxon in tree.lineage(i)}
    assert [t.taxon_id for t in tree.closure(chosen)] == [i for i in parents if i in expected]


@given(trees(least=2), st.data())
def test_every_cycle_is_found(parents, data):
    tree = taxonomy_of(parents)
    taxon_id = data.draw(st.sampled_from(list(parents)))
    below = [i for i in parents if taxon_id in [t.taxon_id for t in tree.lineage(i)]]
    broken = parents | {taxon_id: data.draw(st.sampled_from(below))}
    with pytest.raises(UserError, match="is among its own ancestors"):
        taxonomy_of(broken)


def test_cycle_missing_parent_and_repeated_taxon_are_named():
    one = Taxon.of_rank(1, 2, "genus", "A")
    two = Taxon.of_rank(2, 1, "genus", "B")
    with pytest.raises(UserError, match=r"^tree: taxon 1 is among its own ancestors$"):
        Taxonomy([one, two], "tree")
    with pytest.raises(UserError, match=r"^tree: the parent 2 of taxon 1 \(A\) is not listed$"):
        Taxonomy([one], "tree")
    with pytest.raises(UserError, match=r"^tree: taxon 2 is listed twice$"):
        Taxonomy([two, two], "tree")


def test_a_very_deep_tree_needs_no_recursion():
    depth = 20_000
    tree = taxonomy_of({i: i - 1 if i else None for i in range(depth)})
    assert len(tree.lineage(depth - 1)) == depth


@given(trees(), st.data())
def test_round_trip(tmp_path_factory, parents, data):
    names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    taxa = [
        Taxon.of_rank(
            i, parent, data.draw(st.sampled_from(list(RANK_LEVELS))), data.draw(names).strip()
        )
        for i, parent in parents.items()
    ]
    path = tmp_path_factory.getbasetemp() / "round_trip_taxonomy.csv"
    write_taxonomy(path, Taxonomy(taxa))
    assert list(read_taxonomy(path)) == taxa


def test_the_table_is_as_documented(tmp_path):
    tree = Taxonomy([Taxon(1, None, "infraorder", "A", 35), Taxon(2, 1, "x", "B, c", 33.5)])
    write_taxonomy(tmp_path / "taxonomy.csv", tree)
    assert (tmp_path / "taxonomy.csv").read_text() == (
        'taxon_id,parent_taxon_id,rank_level,rank,name\n1,,35,infraorder,A\n2,1,33.5,x,"B, c"\n'
    )


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (("x", "", "10", "species", "A"), "line 3: taxon_id must be a whole number, not 'x'"),
        (("2", "y", "10", "species", "A"), "line 3: parent_taxon_id must be a whole number"),
        (("2", "1", "low", "species", "A"), "line 3: rank_level must be a number, not 'low'"),
        (("2", "1", "nan", "species", "A"), "line 3: rank_level must be a number, not 'nan'"),
        (("1", "", "10", "species", "A"), "taxon 1 is listed twice"),
        (("2", "3", "10", "species", "A"), "the parent 3 of taxon 2"),
        (("2", "2", "10", "species", "A"), "taxon 2 is among its own ancestors"),
    ],
)
def test_faults_of_the_table_name_the_file(tmp_path, row, sentence):
    path = tmp_path / "taxonomy.csv"
    write_csv(path, COLUMNS, [("1", "", "70", "kingdom", "Animalia"), row])
    with pytest.raises(UserError) as caught:
        read_taxonomy(path)
    assert str(caught.value).startswith(str(path))
    assert sentence in str(caught.value)
