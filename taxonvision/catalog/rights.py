"""Under which licences a photograph may leave the catalog, in a bundle that goes into any app.

Licences are compared by the short names of `catalog.rules.license_name`, without their versions and
whatever the case.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from taxonvision.catalog.rules import license_name
from taxonvision.errors import UserError

PUBLIC_DOMAIN = frozenset({"CC0", "PDM", "PD", "Public domain"})
"""They ask for no attribution. PD is iNaturalist's code."""
LICENSES = PUBLIC_DOMAIN | {"CC-BY", "CC-BY-SA"}
"""Those allowed by default, commercial use included."""
_EVERYTHING = ("any", "all")


def parse_licenses(values: Sequence[str]) -> frozenset[str]:
    """The short names of licences that were typed; none where no photograph is to be used.

    Raises UserError for an empty name, and for `any` and `all`: whoever passes photographs on
    names the licences that were read.
    """
    for value in values:
        if not value.strip() or value.strip().casefold() in _EVERYTHING:
            raise UserError(
                f"--licenses: {value!r} is no licence; name each one that photographs may have, "
                "as CC0,CC-BY"
            )
    return frozenset(map(license_name, values))


def may_travel(license: str, attribution: str, licenses: Collection[str] = LICENSES) -> bool:
    """Whether a photograph may leave the catalog.

    Args:
        license: its own, "" where unknown: then it may not.
        attribution: the line of credit, without which only the public domain travels, whatever is
            allowed.
        licenses: short names of those allowed.
    """
    name = license_name(license)
    if not name or not _among(name, licenses):
        return False
    return _among(name, PUBLIC_DOMAIN) or bool(attribution.strip())


def _among(name: str, licenses: Collection[str]) -> bool:
    return name.casefold() in {each.casefold() for each in licenses}
