"""The rules as they are named, checked and given on the command line; names of licences."""

from dataclasses import fields

import pytest
from absl import flags
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.catalog.rules import RULES, Rules, license_name
from taxonvision.cli.rules import define_rules, rules_of
from taxonvision.errors import UserError


def typed(*arguments, default="none"):
    """The rules that these flags give."""
    values = flags.FlagValues()
    define_rules(values)
    values(["taxonvision", *arguments])
    return rules_of(values, default)


def test_the_rules_of_inaturalist():
    assert RULES["inat"] == Rules(
        min_photos=100, max_photos=1000, quality=("research",), licenses=(), active_only=True,
        hybrids=False, coarsest_rank="species", roll_up_to="family", per_observation=5,
        per_observation_held_out=1,
    )  # fmt: skip
    assert RULES["none"] == Rules()


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        (Rules(coarsest_rank="Genus"), "--coarsest_rank: 'Genus' is no rank; ranks are state"),
        (Rules(roll_up_to="clan"), "--roll_up_to: 'clan' is no rank; ranks are "),
        (Rules(quality=("research", "good")), "--quality: 'good' is no grade; grades are research"),
        (Rules(min_photos=9, max_photos=8), "--max_photos=8 is below --min_photos=9: no taxon"),
    ],
)
def test_rules_that_cannot_be(rules, sentence):
    with pytest.raises(UserError, match=sentence):
        rules.check()
    for known in RULES.values():
        known.check()


# Flags.


def test_without_flags_the_rules_are_those_of_the_source():
    assert typed() == RULES["none"]
    assert typed(default="inat") == RULES["inat"]
    assert typed("--rules=inat") == RULES["inat"]
    assert typed("--rules=none", default="inat") == RULES["none"]


OVERRIDES = {
    "min_photos": ("--min_photos=7", 7),
    "max_photos": ("--max_photos=777", 777),
    "quality": ("--quality=research,casual", ("research", "casual")),
    "licenses": ("--allowed_licenses=CC0,CC-BY", ("CC0", "CC-BY")),
    "active_only": ("--noactive_only", False),
    "hybrids": ("--hybrids", True),
    "coarsest_rank": ("--coarsest_rank=genus", "genus"),
    "roll_up_to": ("--roll_up_to=order", "order"),
    "per_observation": ("--photos_per_observation=3", 3),
    "per_observation_held_out": ("--photos_per_observation_held_out=2", 2),
}


def test_every_rule_has_a_flag():
    assert set(OVERRIDES) == {rule.name for rule in fields(Rules)}


@pytest.mark.parametrize("rule", OVERRIDES)
def test_a_flag_overrides_one_rule_and_leaves_the_others(rule):
    flag, value = OVERRIDES[rule]
    found = typed(flag, default="inat")
    for other in OVERRIDES:
        expected = value if other == rule else getattr(RULES["inat"], other)
        assert getattr(found, other) == expected


def test_rules_are_taken_away():
    found = typed(
        "--min_photos=0", "--max_photos=0", "--quality=any", "--allowed_licenses=any",
        "--noactive_only", "--hybrids", "--coarsest_rank=any", "--roll_up_to=any",
        "--photos_per_observation=0", "--photos_per_observation_held_out=0", default="inat",
    )  # fmt: skip
    assert found == Rules()


def test_a_flag_that_cannot_be():
    with pytest.raises(UserError, match="--quality: 'best' is no grade"):
        typed("--quality=best")
    with pytest.raises(UserError, match="--max_photos=50 is below --min_photos=100"):
        typed("--max_photos=50", default="inat")


# Licences.


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CC-BY-NC", "CC-BY-NC"),
        ("cc-by-nc-sa", "CC-BY-NC-SA"),
        ("CC BY 4.0", "CC-BY"),
        ("CC_BY_ND_4_0", "CC-BY-ND"),
        ("CC-BY-4.0", "CC-BY"),
        ("CC0", "CC0"),
        ("CC0-1.0", "CC0"),
        ("cc-zero", "CC0"),
        ("CC0 1.0 Universal", "CC0"),
        ("http://creativecommons.org/licenses/by-nc/4.0/", "CC-BY-NC"),
        ("https://creativecommons.org/licenses/by-nc-nd/3.0/legalcode", "CC-BY-NC-ND"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "PDM"),
        ("(c) Ada, some rights reserved (CC BY-NC)", "CC-BY-NC"),
        ("(c) Ada, all rights reserved", "(c) Ada, all rights reserved"),
        (" C ", "C"),
        ("", ""),
        ("CCBYTE", "CCBYTE"),
        ("CC-BYE", "CC-BYE"),
        ("success by none", "success by none"),
    ],
)
def test_names_of_licences(text, name):
    assert license_name(text) == name


@given(st.text())
def test_any_text_has_a_name_that_is_its_own(text):
    assert license_name(license_name(text)) == license_name(text)
