from __future__ import annotations

import numpy as np
from small_results import likely, results_of, small_tree

from taxonvision.evaluation.metrics.measure import measure
from taxonvision.evaluation.report import taxon_data as module
from taxonvision.evaluation.report.photographs import Thumbnail
from taxonvision.evaluation.report.tally import mistakes_of, nodes_of
from taxonvision.evaluation.report.taxon_data import Picture, searched_languages, taxon_data


def test_columns_tell_what_was_measured(tmp_path):
    tree, classes = small_tree()
    rng = np.random.default_rng(5)
    truth = rng.choice([*classes[:-1], 99], 30).tolist()
    names = {"en": {31: "peacock"}, "de": {31: "Tagpfauenauge", 12345: "of no taxon"}}
    results = results_of(tmp_path, tree, classes, likely(rng, truth, classes), truth, names)
    evaluation = measure(results, 2)
    best = results.scores.classes.taxon_ids[results.scores.classes.starts[:-1]]
    data = taxon_data(
        results,
        nodes_of(evaluation),
        mistakes_of(results.scores.truth, best),
        [Picture(31, Thumbnail(4, "data:"), "shown"), Picture(21, Thumbnail(5, "", "gone"), "")],
    )
    place = {taxon.taxon_id: i for i, taxon in enumerate(tree)}
    assert [data["names"][i] for i in data["classes"]] == [tree[i].name for i in classes]
    assert data["common"] == {
        "en": [[place[31]], ["peacock"]],
        "de": [[place[31]], ["Tagpfauenauge"]],
    }
    assert place[31] not in data["tested"]  # the last class has no photograph
    assert data["pictures"] == {str(place[31]): [[4, "shown"]]}
    assert data["training"][place[1]] == results.known.training_photographs.sum()
    for taxon_id in (*classes[:-1], 99, 10, 20, 1):
        at = data["tested"].index(place[taxon_id])
        below = np.array([taxon_id in {t.taxon_id for t in tree.lineage(t)} for t in truth])
        assert data["photographs"][at] == below.sum()
        assert data["right"][at] == (below & (best == truth)).sum()
    for i, (given, wrongly) in data["given"].items():
        name = list(place)[int(i)]
        assert given == (best == name).sum()
        assert wrongly == ((best == name) & (np.array(truth) != name)).sum()
    parents = {i: data["parents"][i] for i in range(len(tree))}
    assert parents[place[31]] == place[30] and parents[place[1]] == -1


def test_languages_are_left_out_where_a_page_cannot_hold_them(monkeypatch):
    names = {
        "de": dict.fromkeys(range(10), "zwölf Byte"),
        "en": {1: "one"},
        "fr": dict.fromkeys(range(9), "douze octets"),
    }
    assert list(searched_languages(names)) == ["en", "de", "fr"]
    monkeypatch.setattr(module, "_MOST_BYTES", 250)
    assert list(searched_languages(names)) == ["en", "de"]
    monkeypatch.setattr(module, "_MOST_BYTES", 1)
    assert list(searched_languages(names)) == ["en"]
