"""Class ids never move, whatever the catalog of the next release looks like."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meadow import (
    ATALANTA,
    IO,
    NAPI,
    NEW,
    OLD,
    OLD_AND_NEW,
    RAPAE,
    URTICAE,
    Listed,
    of_taxa,
    write_changes_table,
)

from taxonvision.catalog.catalog import open_catalog
from taxonvision.errors import UserError
from taxonvision.release.plan import Plan, plan_release
from taxonvision.taxonomy.changes import NO_CHANGES, Change, Changes, read_changes
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.tree import Taxon, Taxonomy


def tree_of(taxon_ids):
    return Taxonomy(Taxon.of_rank(i, None, "species", f"T{i:02}") for i in taxon_ids)


def listed(*taxon_ids, retired=(), version="1", tree=None, since="1"):
    classes = [
        TaxonClass(n, i, f"T{i:02}", "species", "retired" if i in retired else "active", since)
        for n, i in enumerate(taxon_ids)
    ]
    return Listed(classes, tree or tree_of(taxon_ids), manifest={"version": version})


def rows(plan: Plan):
    return [(c.taxon_id, c.status, c.since) for c in plan.classes]


def planned_from(parent, folder) -> Plan:
    """As the command plans it."""
    catalog = open_catalog(folder)
    return plan_release(parent, catalog, read_changes(folder / "changes.csv"))


def change(kind, taxon_id, new=None, name="", parent=None, line=2):
    return Change(kind, taxon_id, new, name, "", parent, line)


@pytest.mark.parametrize("taxa", [OLD_AND_NEW, NEW, (ATALANTA, NAPI)], ids=str)
def test_catalogs_made_with_and_without_the_parents_classes(base, catalog_of, taxa):
    plans = [
        planned_from(base, catalog_of(of_taxa(*taxa, numbers=range(2, 8), earlier=earlier)))
        for earlier in (None, base.folder)
    ]
    for plan in plans:
        new = [i for i in NEW if i in taxa]
        assert rows(plan) == [(i, "active", "1") for i in (3, 4, 6, 5)] + [
            (i, "active", "2") for i in new
        ]
        assert plan.version == "2"
        assert plan.taxonomy[ATALANTA].parent_taxon_id == 7 or ATALANTA not in taxa
        assert [c.taxon_id for c in plan.differences.added] == new
    assert plans[0].classes == plans[1].classes


def test_class_ids_of_the_catalog_become_those_of_the_release():
    parent, new = listed(10, 20, 30), listed(40, 30, 10, retired=[10])
    plan = plan_release(parent, new, NO_CHANGES)
    assert rows(plan) == [
        (10, "retired", "1"), (20, "active", "1"), (30, "active", "1"), (40, "active", "2"),
    ]  # fmt: skip
    assert plan.class_ids.tolist() == [3, 2, -1]
    assert plan.class_ids.dtype == "int32"
    assert plan.active == {20: 1, 30: 2, 40: 3}
    assert [c.taxon_id for c in plan.differences.retired] == [10]


def test_a_class_that_comes_back_has_its_row():
    parent = listed(10, 20, retired=[10])
    assert rows(plan_release(parent, listed(20), NO_CHANGES))[0] == (10, "retired", "1")
    plan = plan_release(parent, listed(10), NO_CHANGES)
    assert rows(plan) == [(10, "active", "1"), (20, "active", "1")]
    assert [c.taxon_id for c in plan.differences.returned] == [10]


def test_absent_ones_are_retired_by_the_catalog(base, catalog_of):
    wanted = of_taxa(IO, NAPI, earlier=base.folder, retire_absent=True)
    plan = planned_from(base, catalog_of(wanted))
    assert [c.taxon_id for c in plan.classes if not c.active] == [URTICAE, RAPAE]
    assert plan.differences.counts["retired"] == 2


ALL_AT_ONCE = [
    {"kind": "renamed", "taxon_id": IO, "new_taxon_id": 30, "name": "Inachis io"},
    {"kind": "merged", "taxon_id": RAPAE, "new_taxon_id": NAPI},
    {"kind": "split", "taxon_id": URTICAE, "new_taxon_id": URTICAE},
    {"kind": "split", "taxon_id": URTICAE, "new_taxon_id": ATALANTA},
    {"kind": "moved", "taxon_id": NAPI, "parent_taxon_id": 7},
]


@pytest.mark.parametrize("kept_in", ["catalog", "flag"])
def test_changes_of_the_catalog_or_of_the_flag(base, catalog_of, tmp_path, kept_in):
    if kept_in == "catalog":
        folder = catalog_of(of_taxa(*OLD, ATALANTA, changes=ALL_AT_ONCE))
        table = folder / "changes.csv"
    else:
        folder = catalog_of(of_taxa(URTICAE, NAPI, ATALANTA))
        table = write_changes_table(tmp_path / "table.csv", ALL_AT_ONCE)
    plan = plan_release(base, open_catalog(folder), read_changes(table))
    assert [(c.taxon_id, c.name, c.status) for c in plan.classes] == [
        (30, "Inachis io", "active"), (URTICAE, "Aglais urticae", "active"),
        (NAPI, "Pieris napi", "active"), (RAPAE, "Pieris rapae", "retired"),
        (ATALANTA, "Vanessa atalanta", "active"),
    ]  # fmt: skip
    counts = plan.differences.counts
    assert {kind: n for kind, n in counts.items() if n} == {
        "merged": 1, "split": 1, "renamed": 1, "moved": 1,
    }  # fmt: skip
    assert plan.taxonomy[NAPI].parent_taxon_id == 7
    assert plan.names["en"][30] == "IO"  # the organism is the same


def test_a_catalog_with_taxa_that_the_changes_end(base, all_catalog, tmp_path):
    table = write_changes_table(tmp_path / "table.csv", [ALL_AT_ONCE[1]])
    with pytest.raises(UserError) as told:
        plan_release(base, open_catalog(all_catalog), read_changes(table))
    assert str(told.value) == (
        f"{all_catalog} has the class Pieris rapae (taxon 5), which {table} ends; ingest with "
        "--changes, so that its photographs count as what it became"
    )


def test_versions_count_although_a_release_brings_nothing():
    parent = listed(10)
    for version in ("2", "3", "4"):
        plan = plan_release(parent, listed(10), NO_CHANGES)
        assert plan.version == version
        parent = Listed(plan.classes, plan.taxonomy, manifest={"version": plan.version})
    plan = plan_release(parent, listed(20), NO_CHANGES)
    assert rows(plan) == [(10, "active", "1"), (20, "active", "5")]
    assert plan.version == "5"


def test_a_table_given_again_changes_nothing_more():
    changes = Changes([change("renamed", 10, 11, "T11"), change("merged", 20, 30, line=3)])
    first = plan_release(listed(10, 20, 30), listed(11, 30), changes)
    parent = Listed(first.classes, first.taxonomy, manifest={"version": "2"})
    again = plan_release(parent, listed(11, 30), changes)
    assert again.classes == first.classes
    assert not any(again.differences.counts.values())


subsets = st.sets(st.integers(1, 12), min_size=1)


@given(subsets, subsets, subsets, st.randoms(use_true_random=False))
def test_ids_never_move_and_photographs_keep_their_taxon(before, now, retired, random):
    tree = tree_of(range(1, 13))
    order = random.sample(sorted(before), len(before))
    parent = listed(*order, retired=retired, tree=tree)
    catalog = listed(*random.sample(sorted(now), len(now)), tree=tree)
    plan = plan_release(parent, catalog, NO_CHANGES)
    assert [c.class_id for c in plan.classes] == list(range(len(plan.classes)))
    assert [replace(c, status="active") for c in plan.classes[: len(order)]] == [
        replace(c, status="active") for c in parent.classes
    ]
    for own, class_id in zip(catalog.classes, plan.class_ids.tolist(), strict=True):
        assert plan.classes[class_id].taxon_id == own.taxon_id
        assert plan.classes[class_id].active
    still = {c.taxon_id for c in plan.classes if not c.active}
    assert still == (before & retired) - now
