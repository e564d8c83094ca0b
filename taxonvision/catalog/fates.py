"""What may become of a listed photograph: it is used, faulty, or left out for a reason.

Every row has exactly one fate, the first that applies in the order below, so that the counts in
`catalog.json` add up: photographs listed = used + rejected + each reason.
"""

from __future__ import annotations

USED, FAULTY = "used", "faulty"

LEFT_OUT = {
    "duplicate": "listed before",
    "no_photograph": "records without a photograph",
    "no_observation": "of observations that are faulty or not listed",
    "no_taxon": "of observations that are not identified",
    "unknown_taxon": "of taxa that are not in the taxa table",
    "split_taxon": "of taxa that were split into several",
    "quality": "below the quality grade asked for",
    "license": "under a licence that is not allowed",
    "inactive": "of inactive taxa",
    "hybrid": "of hybrids",
    "coarse": "identified to a coarser rank than asked for",
    "per_observation": "beyond those allowed of one observation",
    "too_few": "of taxa with fewer photographs than needed",
    "per_class": "beyond those allowed of one class",
}
"""Why photographs that are not faulty are left out, in order; the words follow a number."""

FATES = (FAULTY, *LEFT_OUT, USED)
