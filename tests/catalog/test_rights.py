"""Which photographs may leave a catalog."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.catalog.rights import LICENSES, PUBLIC_DOMAIN, may_travel, parse_licenses
from taxonvision.errors import UserError

NC = frozenset({"CC-BY-NC"})


@pytest.mark.parametrize(
    ("license", "attribution", "allowed"),
    [
        ("CC0-1.0", "", True),
        ("cc0", "", True),
        ("public domain", "", True),
        ("PD", "", True),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "", True),
        ("CC-BY-4.0", "Ada", True),
        ("cc-by-sa", "Ada", True),
        ("CC-BY", "", False),
        ("CC-BY-SA", "  ", False),
        ("CC-BY-NC", "Ada", False),
        ("CC-BY-ND-4.0", "Ada", False),
        ("", "Ada", False),
        ("all rights reserved", "Ada", False),
    ],
)
def test_by_default_only_open_licences_travel(license, attribution, allowed):
    assert may_travel(license, attribution) is allowed


@pytest.mark.parametrize(
    ("license", "attribution", "allowed"),
    [
        ("CC-BY-NC-4.0", "Ada", True),
        ("CC-BY-NC", "", False),
        ("CC-BY-NC-SA", "Ada", False),
        ("CC0", "", False),
        ("", "Ada", False),
    ],
)
def test_licences_that_are_allowed_replace_those_by_default(license, attribution, allowed):
    assert may_travel(license, attribution, NC) is allowed


def test_a_licence_of_ones_own_travels_with_attribution_only():
    own = parse_licenses(["Museum terms"])
    assert may_travel("museum terms", "The museum", own)
    assert not may_travel("museum terms", "", own)


@given(st.text(), st.sampled_from(["CC-BY", "CC-BY-NC", "CC0", "Museum terms"]), st.text())
def test_without_attribution_nothing_but_the_public_domain_travels(allowed, license, other):
    licenses = {allowed, license, other}
    assert may_travel(license, " ", licenses) is (license in PUBLIC_DOMAIN)
    assert not may_travel("", "Ada", licenses)


def test_typed_licences_have_the_names_that_catalogs_use():
    typed = ["cc-by-nc-4.0", "CC0-1.0", "https://creativecommons.org/licenses/by/4.0/"]
    assert parse_licenses(typed) == {"CC-BY-NC", "CC0", "CC-BY"}
    assert parse_licenses([]) == frozenset()
    assert parse_licenses(sorted(LICENSES)) == LICENSES


@pytest.mark.parametrize("value", ["", " ", "any", "All"])
def test_everything_is_not_offered(value):
    with pytest.raises(UserError, match="is no licence; name each one"):
        parse_licenses(["CC0", value])
