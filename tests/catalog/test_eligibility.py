"""Which taxa become classes, and what eligibility.csv says of each."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from taxonvision.catalog.eligibility import (
    COLUMNS,
    Decision,
    Tally,
    decide,
    total,
    write_eligibility,
)
from taxonvision.catalog.fates import FATES, LEFT_OUT
from taxonvision.catalog.rules import RULES, Rules
from taxonvision.tables import read_csv
from taxonvision.taxonomy.changes import NO_CHANGES, Change, Changes
from taxonvision.taxonomy.tree import Taxon, Taxonomy

FAMILY, GENUS, IO, URTICAE, GEISHA, VANESSA, ATALANTA = 30, 20, 21, 22, 23, 40, 41
TREE = Taxonomy(
    [
        Taxon(1, None, "order", "Lepidoptera", 40),
        Taxon(FAMILY, 1, "family", "Nymphalidae", 30),
        Taxon(GENUS, FAMILY, "genus", "Aglais", 20),
        Taxon(IO, GENUS, "species", "Aglais io", 10),
        Taxon(URTICAE, GENUS, "species", "Aglais urticae", 10),
        Taxon(GEISHA, IO, "subspecies", "Aglais io geisha", 5),
        Taxon(VANESSA, FAMILY, "genus", "Vanessa", 20),
        Taxon(ATALANTA, VANESSA, "species", "Vanessa atalanta", 10),
    ]
)
TEN = Rules(min_photos=10, roll_up_to="family")


def classes(usable, rules=TEN, kept=()):
    """The class of each taxon with photographs, and what each class got from below."""
    decisions = decide(usable, TREE, rules, kept)
    below = {t: d.from_below for t, d in decisions.items() if d.class_taxon_id == t}
    return {t: decisions[t].class_taxon_id for t in usable}, below


# Decisions.


def test_enough_and_one_too_few():
    rules = Rules(min_photos=10)
    assert classes({IO: 10, ATALANTA: 9}, rules) == ({IO: IO, ATALANTA: None}, {IO: 0})


def test_up_one_rank_and_two():
    assert classes({IO: 6, URTICAE: 4}) == ({IO: GENUS, URTICAE: GENUS}, {GENUS: 10})
    assert classes({IO: 6, ATALANTA: 4}) == ({IO: FAMILY, ATALANTA: FAMILY}, {FAMILY: 10})


def test_not_above_the_limit():
    below_family = Rules(min_photos=10, roll_up_to="genus")
    assert classes({IO: 6, ATALANTA: 4}, below_family) == ({IO: None, ATALANTA: None}, {})
    assert classes({IO: 6, ATALANTA: 3}) == ({IO: None, ATALANTA: None}, {})


def test_a_class_above_classes():
    assert classes({IO: 10, URTICAE: 4, GENUS: 6}) == (
        {IO: IO, URTICAE: GENUS, GENUS: GENUS}, {IO: 0, GENUS: 4},
    )  # fmt: skip


def test_a_class_gives_nothing_to_those_above():
    assert classes({IO: 10, URTICAE: 9}) == ({IO: IO, URTICAE: None}, {IO: 0})


def test_a_subspecies_rolls_up_to_its_species():
    assert classes({GEISHA: 4, IO: 6}) == ({GEISHA: IO, IO: IO}, {IO: 4})
    assert classes({GEISHA: 10, IO: 10}) == ({GEISHA: GEISHA, IO: IO}, {GEISHA: 0, IO: 0})


def test_classes_of_before_need_one_photograph_only_and_take_from_below():
    assert classes({IO: 1, GEISHA: 2}, kept={IO}) == ({IO: IO, GEISHA: IO}, {IO: 2})
    assert classes({URTICAE: 3}, kept={IO}) == ({URTICAE: None}, {})
    assert classes({URTICAE: 3}, kept={GENUS}) == ({URTICAE: GENUS}, {GENUS: 3})


def test_without_rules_every_taxon_is_a_class():
    usable = {taxon.taxon_id: 1 for taxon in TREE}
    assert classes(usable, RULES["none"])[0] == {taxon_id: taxon_id for taxon_id in usable}


def test_a_taxon_that_got_photographs_from_below_has_a_decision_too():
    assert decide({IO: 6, URTICAE: 4}, TREE, TEN)[GENUS] == Decision(0, 10, GENUS)


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=20),
    st.lists(st.integers(0, 12), min_size=1, max_size=20),
    st.integers(1, 15),
    st.sampled_from([None, "genus", "family", "kingdom"]),
    st.sets(st.integers(1, 20)),
)
def test_photographs_are_counted_once_and_the_rules_hold_in_any_tree(
    parents, counts, least, limit, kept
):
    """`parents`: of taxon n (from 2 on) one of the taxa before it, or none; ranks at random."""
    rules = Rules(min_photos=least, roll_up_to=limit)
    levels = {"kingdom": 70, "family": 30, "genus": 20, "species": 10}
    taxa = []
    for number, parent in enumerate(parents, start=1):
        rank = list(levels)[(parent * 7 + number) % 4]
        above = 1 + parent % (number - 1) if number > 1 and parent else None
        taxa.append(Taxon(number, above, rank, f"T{number}", levels[rank]))
    tree = Taxonomy(taxa)
    usable = {t: n for t, n in enumerate(counts, start=1) if t in tree and n}
    decisions = decide(usable, tree, rules, kept)
    trained = Counter()
    for taxon_id, decision in decisions.items():
        assert decision.usable == usable.get(taxon_id, 0)
        have = decision.usable + decision.from_below
        is_class = decision.class_taxon_id == taxon_id
        assert is_class == (have >= least or (taxon_id in kept and have > 0))
        if decision.class_taxon_id not in (None, taxon_id):
            assert decision.class_taxon_id in [t.taxon_id for t in tree.lineage(taxon_id)]
            assert tree[decision.class_taxon_id].rank_level <= levels[limit]
        trained[decision.class_taxon_id] += decision.usable
    assert sum(trained.values()) == sum(usable.values())
    for taxon_id, decision in decisions.items():
        if decision.class_taxon_id == taxon_id:
            assert trained[taxon_id] == decision.usable + decision.from_below


def test_a_tree_as_deep_as_it_is_large():
    taxa = [Taxon(n, n - 1 or None, "species", str(n), 10) for n in range(1, 5001)]
    decisions = decide({5000: 1}, Taxonomy(taxa), Rules(min_photos=2, roll_up_to="genus"))
    assert len(decisions) == 5000
    assert {d.class_taxon_id for d in decisions.values()} == {None}


# What is told.


def table(tmp_path, tallies, usable, rules=TEN, changes=NO_CHANGES, kept=(), tree=TREE):
    decisions = decide(usable, tree, rules, kept)
    write_eligibility(tmp_path / "e.csv", tallies, decisions, tree, rules, changes)
    rows = read_csv(tmp_path / "e.csv", COLUMNS)
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
    return {int(row["taxon_id"]): row for row in rows}


def reasons(*arguments, **options):
    return {taxon_id: row["reason"] for taxon_id, row in table(*arguments, **options).items()}


def test_counts_of_a_class_with_something_of_everything(tmp_path):
    tally = Tally(
        {"used": 12, "faulty": 2, "quality": 3, "per_observation": 4, "per_class": 5},
        {"train": 9, "val": 2, "test": 1},
    )
    assert dict(table(tmp_path, {IO: tally}, {IO: 17})[IO]) == {
        "taxon_id": "21", "name": "Aglais io", "rank": "species", "photographs": "26",
        "rejected": "2", "left_out": "12", "usable": "12", "from_below": "0", "train": "9",
        "val": "2", "test": "1", "included": "true", "class_taxon_id": "21", "missing": "0",
        "reason": "included: 17 photographs; left out: 2 faulty, 3 below the quality grade asked "
        "for, 4 beyond those allowed of one observation, 5 beyond those allowed of one class",
    }  # fmt: skip


def test_reasons_of_too_few(tmp_path):
    tallies = {
        IO: Tally({"used": 6}),
        URTICAE: Tally({"used": 4, "license": 1}),
        ATALANTA: Tally({"too_few": 1}),
    }
    rows = table(tmp_path, tallies, {IO: 6, URTICAE: 4, ATALANTA: 1})
    said = {t: (row["reason"], row["missing"], row["class_taxon_id"]) for t, row in rows.items()}
    from_below = "not included: 1 photograph of 10 needed, all of them of taxa below, 9 missing"
    assert said == {
        GENUS: ("included: 10 photographs, all of them of taxa below", "0", "20"),
        IO: (
            "not included: 6 photographs of 10 needed, 4 missing; they train the genus Aglais",
            "4",
            "20",
        ),
        URTICAE: (
            "not included: 4 photographs of 10 needed, 6 missing; they train the genus Aglais"
            "; left out: 1 under a licence that is not allowed",
            "6",
            "20",
        ),
        ATALANTA: ("not included: 1 photograph of 10 needed, 9 missing", "9", ""),
        VANESSA: (from_below, "9", ""),
        FAMILY: (from_below, "9", ""),
    }  # fmt: skip


def test_reasons_of_none_at_all(tmp_path):
    tallies = {
        IO: Tally({"faulty": 1, "too_few": 0}),
        URTICAE: Tally({"faulty": 3}),
        ATALANTA: Tally({"quality": 2, "faulty": 1}),
        99: Tally({"unknown_taxon": 7}),
    }
    assert reasons(tmp_path, tallies, {}) == {
        IO: "not included: its only photograph is faulty",
        URTICAE: "not included: its 3 photographs are faulty",
        ATALANTA: "not included: no usable photograph of the 10 needed; left out: 1 faulty, "
        "2 below the quality grade asked for",
        99: "not included: not in the taxa table",
    }
    assert reasons(tmp_path, {IO: Tally({"inactive": 1})}, {}, RULES["none"]) == {
        IO: "not included: no usable photograph; left out: 1 of inactive taxa"
    }


def test_every_reason_but_too_few_is_told_in_its_words(tmp_path):
    tally = Tally(dict.fromkeys(LEFT_OUT, 2))
    said = reasons(tmp_path, {IO: tally}, {})[IO]
    for fate, words in LEFT_OUT.items():
        assert (f"2 {words}" in said) == (fate != "too_few")


CHANGES = Changes(
    [
        Change("renamed", 501, IO),
        Change("merged", 502, 501 + 2),
        Change("renamed", 503, IO),
        Change("split", 504, URTICAE),
        Change("split", 504, ATALANTA),
    ]
)


def test_taxa_that_are_no_more(tmp_path):
    tree = Taxonomy([*TREE, *(Taxon(n, GENUS, "species", f"X{n}", 10) for n in (501, 503, 504))])
    tallies = {
        501: Tally({"used": 4, "per_class": 1}, {"train": 4}),
        502: Tally({"used": 3}),
        IO: Tally({"used": 5}),
        504: Tally({"split_taxon": 9}),
    }
    rows = table(tmp_path, tallies, {IO: 13}, changes=CHANGES, tree=tree)
    said = {t: (row["reason"], row["included"], row["class_taxon_id"], row["missing"])
            for t, row in rows.items()}  # fmt: skip
    count_as = "not included: its photographs count as Aglais io"
    assert said == {
        501: (count_as, "false", "21", "0"),
        502: (count_as, "false", "21", "0"),
        IO: ("included: 13 photographs, 8 of them under former names", "true", "21", "0"),
        504: (
            "not included: split into Aglais urticae and Vanessa atalanta; "
            "a photograph of it may show any", "false", "", "0",
        ),
    }  # fmt: skip
    assert (rows[501]["photographs"], rows[501]["train"]) == ("5", "4")


def test_the_sum_of_all_tallies_by_fate():
    tallies = [Tally({"used": 2, "faulty": 1}), Tally({"used": 3, "too_few": 4})]
    sums = total(tallies)
    assert {fate: count for fate, count in sums.items() if count} == {
        "used": 5, "faulty": 1, "too_few": 4,
    }  # fmt: skip
    assert set(sums) == set(FATES)
