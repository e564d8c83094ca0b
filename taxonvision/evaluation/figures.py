"""All that follows from kept scores, in one go: figures, tables, the report and the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taxonvision.evaluation.metrics.breakdowns import RegionAccuracy, TailAccuracy
from taxonvision.evaluation.metrics.measure import measure
from taxonvision.evaluation.metrics.tables import write_tables
from taxonvision.evaluation.report.in_words import in_words
from taxonvision.evaluation.report.results_card import Group, Subject, results_card
from taxonvision.evaluation.report.results_page import write_results_report
from taxonvision.evaluation.results import Results
from taxonvision.photograph import Source
from taxonvision.runtime.recognizer import Recognizer

REPORT, CARD = "report.html", "MODEL_CARD.md"


def write_figures(
    results: Results, recognizer: Recognizer, replicates: int, sources: Mapping[str, Source]
) -> list[str]:
    """Measure results and write what was found into their folder; returns it in sentences.

    Args:
        results: what the model says.
        recognizer: the model.
        replicates: of the bootstrap that intervals come from; 0: no intervals.
        sources: the photographs by id, to be shown in the report.
    """
    evaluation = measure(results, replicates)
    write_tables(results.folder, evaluation)
    words = in_words(results, evaluation)
    write_results_report(results.folder / REPORT, results, evaluation, words, sources)
    ranks = [recognizer.taxonomy[taxon_id].rank for taxon_id in recognizer.class_taxon_ids]
    card = results_card(
        results.manifest,
        evaluation.figures,
        Subject(ranks, sorted(recognizer.names), recognizer.contract),
        _groups(evaluation.tail),
        _groups(evaluation.regions),
        words,
    )
    (results.folder / CARD).write_text(card, encoding="utf-8")
    return words


def _groups(parts: Sequence[TailAccuracy | RegionAccuracy]) -> list[Group]:
    return [Group(each.name, each.part.photographs, each.part.top1.value) for each in parts]
