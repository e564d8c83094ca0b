"""The names that come near a word, and whether it is clear which of them is meant.

Nearness is 1 - d / n, where d is the number of letters to insert, delete, replace or swap with
their neighbour (optimal string alignment) and n the length of the longer text, and at least
`WHOLE_WORDS` where the words asked for are part of the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

WHOLE_WORDS = 0.9
SIMILAR = 0.6  # names less near are not suggested
CLEAR, AHEAD = 0.85, 0.03  # how near the best must be to be meant, and how far the next behind it
_MOST = 20


def near_names(word: str, with_its_words: Iterable[str], others: Iterable[str]) -> dict[str, float]:
    """Names and their nearness to `word`, the nearest first, at most 20.

    Args:
        word: what was asked for.
        with_its_words: the names that have the word, or all its words in a row, as a part.
        others: names of all kinds.
    """
    from rapidfuzz.distance import OSA
    from rapidfuzz.process import extract

    near = dict.fromkeys(with_its_words, WHOLE_WORDS)
    for name, score, _ in extract(
        word, others, scorer=OSA.normalized_similarity, score_cutoff=SIMILAR, limit=_MOST
    ):
        near[name] = max(score, near.get(name, 0))
    ranked = sorted(near, key=lambda name: (-near[name], len(name), name))
    return {name: near[name] for name in ranked[:_MOST]}


def clearly_meant(near: Mapping[str, float], taxa: Mapping[str, Sequence[int]]) -> Sequence[int]:
    """The taxa of the nearest name, where no name of other taxa comes as near; else none.

    Args:
        near: what `near_names` answered.
        taxa: the taxa that have each of these names.
    """
    best = next(iter(near), None)
    if best is None or near[best] < CLEAR:
        return ()
    rivals = (name for name, score in near.items() if score > near[best] - AHEAD)
    return () if any(set(taxa[rival]) - set(taxa[best]) for rival in rivals) else taxa[best]
