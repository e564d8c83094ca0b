import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.tables import write_csv
from taxonvision.taxonomy.changes import COLUMNS, NO_CHANGES, Change, Changes, read_changes
from taxonvision.taxonomy.tree import Taxon, Taxonomy

TREE = Taxonomy(
    [
        Taxon.of_rank(1, None, "family", "Nymphalidae"),
        Taxon.of_rank(10, 1, "genus", "Danaus"),
        Taxon.of_rank(20, 1, "genus", "Salatura"),
        Taxon.of_rank(11, 10, "species", "Danaus plexippus"),
        Taxon.of_rank(12, 10, "species", "Danaus chrysippus"),
        Taxon.of_rank(21, 20, "species", "Salatura genutia"),
        Taxon.of_rank(121, 12, "subspecies", "Danaus chrysippus orientis"),
    ]
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "changes.csv"


def read(path, *lines):
    path.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n", encoding="utf-8")
    return read_changes(path)


def refusal(path, *lines):
    with pytest.raises(UserError) as caught:
        read(path, *lines)
    return str(caught.value).removeprefix(f"{path}, ")


def lineage(tree, taxon_id):
    return [taxon.taxon_id for taxon in tree.lineage(taxon_id)]


# What the kinds mean.


def test_merged_gives_photographs_and_children_to_the_new_taxon(path):
    changes = read(path, "merged,12,11,,,")
    assert changes.current_ids == {12: 11}
    assert (changes.current(12), changes.current(11), changes.current(999)) == (11, 11, 999)
    tree = changes.apply(TREE)
    assert lineage(tree, 121) == [121, 11, 10, 1]
    assert lineage(tree, 12) == [12, 10, 1]  # it stays, so that a retired class has its place
    assert changes.in_words(12, tree) == "its photographs count as Danaus plexippus"
    assert changes.in_words(11, tree) == ""


def test_merged_into_a_taxon_that_the_tree_lacks(path):
    tree = read(path, "merged,12,13,Danaus petilia,,").apply(TREE)
    assert tree[13] == Taxon(13, 10, "species", "Danaus petilia", 10)
    assert lineage(tree, 121) == [121, 13, 10, 1]
    with pytest.raises(UserError, match=r"line 2: taxon 13 is not in the taxonomy; give its name"):
        read(path, "merged,12,13,,,").apply(TREE)


def test_renamed_in_place(path):
    changes = read(path, "renamed,12,,Anosia chrysippus,,20", "renamed,11,11,Danaus erippus,,")
    assert changes.current_ids == {}
    tree = changes.apply(TREE)
    assert tree[12] == Taxon(12, 20, "species", "Anosia chrysippus", 10)
    assert tree[11].name == "Danaus erippus"
    assert lineage(tree, 121) == [121, 12, 20, 1]


def test_renamed_to_another_id_keeps_name_rank_and_parent_unless_told(path):
    changes = read(path, "renamed,12,13,,,", "renamed,20,30,Anosia,subgenus,10")
    assert changes.current_ids == {12: 13, 20: 30}
    tree = changes.apply(TREE)
    assert tree[13] == Taxon(13, 10, "species", "Danaus chrysippus", 10)
    assert tree[30] == Taxon(30, 10, "subgenus", "Anosia", 15)
    assert lineage(tree, 21) == [21, 30, 10, 1]


def test_a_chain_ends_where_the_last_line_leads(path):
    changes = read(
        path, "merged,12,13,Danaus petilia,,", "renamed,13,14,Anosia petilia,,20", "moved,14,,,,10"
    )
    assert changes.current_ids == {12: 14, 13: 14}
    tree = changes.apply(TREE)
    assert lineage(tree, 121) == [121, 14, 10, 1]
    assert changes.in_words(12, tree) == "its photographs count as Anosia petilia"


def test_split_leaves_no_taxon_for_the_photographs(path):
    changes = read(path, "split,12,13,Danaus a,,", "split,12,14,Danaus b,,20")
    assert changes.current_ids == {12: None}
    assert changes.current(12) is None
    tree = changes.apply(TREE)
    assert tree[13] == Taxon(13, 10, "species", "Danaus a", 10)
    assert lineage(tree, 14) == [14, 20, 1]
    assert lineage(tree, 121) == [121, 12, 10, 1]  # nobody said where it belongs now
    assert changes.in_words(12, tree) == (
        "split into Danaus a and Danaus b; a photograph of it may show any"
    )


def test_what_was_merged_into_a_taxon_that_is_split_later_is_split_too(path):
    changes = read(path, "merged,11,12,,,", "split,12,13,A,,", "split,12,14,B,,", "split,12,15,C,,")
    assert changes.current(11) is None
    assert changes.in_words(11, changes.apply(TREE)).startswith("split into A, B and C; ")


def test_a_taxon_split_into_itself_in_a_narrower_sense_and_others_goes_on(path):
    changes = read(path, "split,12,12,,,", "split,12,13,Danaus petilia,,")
    assert changes.current_ids == {}
    assert changes.in_words(12, TREE) == ""
    assert lineage(changes.apply(TREE), 13) == [13, 10, 1]


def test_a_taxon_that_stays_as_the_complex_of_its_parts_goes_on(path):
    changes = read(path, "split,12,13,Danaus a,,12", "split,12,14,Danaus b,,12")
    assert changes.current_ids == {}
    assert lineage(changes.apply(TREE), 14) == [14, 12, 10, 1]


def test_a_taxon_that_went_on_after_a_split_can_end_later(path):
    split = ("split,12,12,,,", "split,12,13,Danaus petilia,,")
    assert read(path, *split, "merged,12,11,,,").current_ids == {12: 11}
    moved = "moved,12,,,,20"
    again = read(path, *split, moved, "split,12,14,A,,", "split,12,15,B,,")
    assert again.current_ids == {12: None}


def test_moved(path):
    tree = read(path, "moved,12,,Salatura chrysippus,,20").apply(TREE)
    assert lineage(tree, 121) == [121, 12, 20, 1]
    assert tree[12].name == "Salatura chrysippus"


def test_a_genus_merged_into_what_was_below_it_is_replaced_by_it(path):
    tree = read(path, "merged,10,12,,genus,").apply(TREE)
    assert lineage(tree, 12) == [12, 1]
    assert lineage(tree, 11) == [11, 12, 1]
    deep = read(path, "renamed,10,121,,,").apply(TREE)
    assert (lineage(deep, 121), lineage(deep, 12)) == ([121, 1], [12, 121, 1])


def test_the_parts_of_a_split_taxon_are_not_left_below_it(path):
    tree = read(path, "split,12,121,,species,", "split,12,13,Danaus b,,").apply(TREE)
    assert lineage(tree, 121) == [121, 10, 1]


def test_lines_about_taxa_unknown_here_are_counted_and_change_nothing_but_photographs(path):
    changes = read(
        path, "renamed,501,502,A,,", "moved,502,,,,500", "split,600,601,B,,", "split,600,602,C,,",
        "renamed,12,13,,,", "renamed,13,14,,,", "merged,700,11,wrong name,,",
    )  # fmt: skip
    assert changes.unknown_to(TREE) == 5
    assert changes.taxon_ids == {501, 502, 500, 600, 601, 602, 12, 13, 14, 700, 11}
    assert changes.current(501) == 502
    assert changes.current(700) == 11
    tree = changes.apply(TREE)
    assert {taxon.taxon_id for taxon in tree} == {taxon.taxon_id for taxon in TREE} | {13, 14}
    assert tree[11] == TREE[11]
    assert changes.in_words(501, tree) == "its photographs count as A"
    assert read(path, "merged,501,502,,,").in_words(501, tree).endswith("count as taxon 502")


def test_no_changes():
    assert NO_CHANGES.apply(TREE) is TREE
    assert (NO_CHANGES.current(12), NO_CHANGES.unknown_to(TREE)) == (12, 0)


def test_header_only_and_columns_of_remarks(path):
    assert read(path).apply(TREE) is TREE
    write_csv(path, ["committed_on", *COLUMNS], [("2024-03-01", "Merged", 12, 11, "", "", "")])
    assert read_changes(path).current(12) == 11


# What is refused.


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("lumped,12,11,,,", "kind must be one of merged, renamed, split, moved, not 'lumped'"),
        ("merged,x,11,,,", "taxon_id must be a whole number, not 'x'"),
        ("merged,12,0,,,", "new_taxon_id must lie between 1 and"),
        ("merged,12,,,,", "merged needs the new_taxon_id"),
        ("split,12,,,,", "split needs the new_taxon_id"),
        ("merged,12,12,,,", "taxon 12 is merged into itself"),
        ("renamed,12,12,,,", "renamed needs a name or a new_taxon_id"),
        ("moved,12,,,,", "moved needs the parent_taxon_id, and no new_taxon_id"),
        ("moved,12,13,,,10", "moved needs the parent_taxon_id, and no new_taxon_id"),
        ("moved,12,,,,12", "taxon 12 cannot be its own parent"),
        ("merged,12,13,A,,13", "taxon 13 cannot be its own parent"),
        ("merged,12,11,,,12", "taxon 12 ends here and cannot be a parent"),
        ("renamed,12,,A,kind,", "'kind' is no rank; ranks are "),
        ("split,12,13,A,,", "taxon 12 is split into one only; add a line below"),
        ("merged,12,11,,,,,", "more cells than the header has columns"),
    ],
)
def test_faulty_lines(path, line, sentence):
    assert refusal(path, "moved,11,,,,20", line).startswith(f"line 3: {sentence}")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("merged,12,11,,,", "merged,11,12,,,"),  # a circle, or one taken back
        ("merged,12,11,,,", "merged,12,21,,,"),
        ("merged,12,11,,,", "merged,12,11,,,"),
        ("renamed,12,13,,,", "merged,11,12,,,"),
        ("renamed,12,13,,,", "renamed,12,,A,,"),
        ("renamed,10,13,,,", "moved,21,,,,10"),
    ],
)
def test_a_taxon_that_ended_may_not_come_up_again(path, first, second):
    sentence = refusal(path, first, second)
    ended = first.split(",")[1]
    assert sentence.startswith(f"line 3: taxon {ended} is no more since line 2, which made it ")
    assert "put the lines in the order of their dates" in sentence


def test_a_split_taxon_may_not_come_up_again(path):
    split = ("split,12,13,A,,", "split,12,14,B,,")
    expected = "line 4: taxon 12 is no more since line 2, which split it into 13 and 14; put"
    assert refusal(path, *split, "merged,12,11,,,").startswith(expected)
    apart = refusal(path, *split, "moved,11,,,,20", "split,12,15,C,,", "split,12,16,D,,")
    assert apart.startswith("line 5: taxon 12 is no more")
    assert "those of one split together" in apart


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("moved,12,,,,77", "the parent 77 of taxon 12 is not in the taxonomy; add it there"),
        ("moved,10,,,,121", "taxon 121 is below taxon 10 and cannot be its parent; move it first"),
    ],
)
def test_what_the_tree_refuses_names_the_line(path, line, sentence):
    changes = read(path, "moved,11,,,,20", line)
    with pytest.raises(UserError) as caught:
        changes.apply(TREE)
    assert str(caught.value).startswith(f"{path}, line 3: {sentence}")


def test_missing_file_and_columns(path):
    with pytest.raises(UserError, match="does not exist"):
        read_changes(path)
    path.write_text("kind,taxon_id,new_taxon_id\n")
    with pytest.raises(UserError, match="has no column name or rank or parent_taxon_id"):
        read_changes(path)


# Whatever is in the table.


@st.composite
def cases(draw):
    """A forest, and lines about its taxa and a few others that contradict each other or not."""
    ids = draw(st.lists(st.integers(1, 15), min_size=1, max_size=10, unique=True))
    tree = Taxonomy(
        Taxon.of_rank(
            taxon_id,
            draw(st.none() | st.sampled_from(ids[:position])) if position else None,
            "species",
            f"T{taxon_id}",
        )
        for position, taxon_id in enumerate(ids)
    )
    some = st.integers(1, 18)
    changes = []
    for line in range(2, draw(st.integers(2, 8))):
        kind = draw(st.sampled_from(["merged", "renamed", "split", "moved"]))
        taxon_id, new, parent = draw(some), draw(some), draw(st.none() | some)
        if kind == "moved":
            changes.append(Change(kind, taxon_id, None, "", "", parent or 1, line))
        elif kind == "split":
            others = draw(st.lists(some, min_size=2, max_size=3, unique=True))
            changes += [
                Change(kind, taxon_id, other, "new", "", parent if parent != other else None, line)
                for other in others
            ]
        else:
            changes.append(Change(kind, taxon_id, new, "new", "", parent, line))
    return tree, changes


def naive_end(changes, taxon_id):
    """Follow the lines one by one, as somebody reading the table would."""
    while changes:
        change, *changes = changes
        if change.taxon_id != taxon_id:
            continue
        if change.kind == "split":
            lines = [change]
            while changes and (changes[0].kind, changes[0].taxon_id) == ("split", taxon_id):
                lines.append(changes.pop(0))
            if all(taxon_id not in (line.new_taxon_id, line.parent_taxon_id) for line in lines):
                return None
        elif change.new_taxon_id is not None:
            taxon_id = change.new_taxon_id
    return taxon_id


@given(cases())
def test_every_table_is_refused_in_a_sentence_or_leads_somewhere(case):
    tree, lines = case
    try:
        changes = Changes(lines, "changes.csv")
        after = changes.apply(tree)
    except UserError as error:
        assert str(error).startswith("changes.csv, line ")
        return
    for taxon_id in range(1, 20):
        current = changes.current(taxon_id)
        assert current is None or changes.current(current) == current  # there is no further to go
        assert bool(changes.in_words(taxon_id, after)) == (current != taxon_id)
    assert {taxon.taxon_id for taxon in tree} <= {taxon.taxon_id for taxon in after}
    for taxon in after:
        current = changes.current(taxon.taxon_id)
        if current is not None:
            assert current in after or taxon.taxon_id not in tree
        parent = taxon.parent_taxon_id
        if parent is not None:  # nothing is left below what was merged
            assert changes.current(parent) in (parent, None)


@given(cases())
def test_chains_end_where_reading_line_by_line_leads(case):
    _, lines = case
    try:
        changes = Changes(lines)
    except UserError:
        return
    for taxon_id in range(1, 20):
        assert changes.current(taxon_id) == naive_end(lines, taxon_id)
