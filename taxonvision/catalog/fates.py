"""What may become of a listed photograph: it is used, faulty, or left out for a reason.

Every row has exactly one fate, the first that applies in the order below, so that the counts in
`catalog.json` add up: photographs listed = used + rejected + each reason.
"""

from __future__ import annotations

USED, FAULTY = "used", "faulty"

LEFT_OUT = {
    "duplicate": "the photograph is listed twice",
    "no_photograph": "the record lists no photograph",
    "no_observation": "its observation is not listed",
    "no_taxon": "its observation is not identified",
    "unknown_taxon": "its taxon is not in the taxa table",
    "split_taxon": "its taxon was split into several",
    "quality": "below the quality grade asked for",
    "license": "its licence is not allowed",
    "inactive": "its taxon is inactive",
    "hybrid": "its taxon is a hybrid",
    "coarse": "identified to a rank coarser than asked for",
    "per_observation": "more photographs of one observation than allowed",
    "too_few": "its taxon has fewer photographs than needed",
    "per_class": "more photographs of one class than allowed",
}
"""The reasons by which photographs are left out that are not faulty, in order, in words."""

FATES = (FAULTY, *LEFT_OUT, USED)
