"""The flags of `ingest` that say which photographs and taxa are used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from absl import flags

from taxonvision.catalog.rules import QUALITY_GRADES, RULES, Rules
from taxonvision.taxonomy.ranks import MAIN_RANKS

_ANY = "any"


def define_rules(values: flags.FlagValues) -> None:
    """Define --rules and a flag for each rule, which overrides it."""
    flags.DEFINE_enum(
        "rules",
        None,
        list(RULES),
        "inat: as iNaturalist trains; none: every taxon with one usable photograph. By default "
        "inat for inat_open_data, dwca and inat_export, else none; the next flags override it",
        flag_values=values,
    )
    for name, text in (
        ("min_photos", "photographs that a taxon needs to become a class"),
        ("max_photos", "photographs of a class that are used; 0: all"),
        ("photos_per_observation", "photographs of an observation used in train; 0: all"),
        ("photos_per_observation_held_out", "the same in val and test; 0: all"),
    ):
        flags.DEFINE_integer(name, None, text, lower_bound=0, flag_values=values)
    flags.DEFINE_list(
        "quality",
        None,
        f"grades used, of {', '.join(QUALITY_GRADES)}; any: all",
        flag_values=values,
    )
    flags.DEFINE_list(
        "allowed_licenses", None, "licences used, as CC0,CC-BY; any: all", flag_values=values
    )
    flags.DEFINE_bool("active_only", None, "leave out inactive taxa", flag_values=values)
    flags.DEFINE_bool("hybrids", None, "use hybrids", flag_values=values)
    flags.DEFINE_string(
        "coarsest_rank", None, "rank to which observations must be identified; any: every rank",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "roll_up_to",
        None,
        "rank up to which photographs of taxa below the minimum train the taxon above, as "
        f"{MAIN_RANKS[-3]}; any: none do",
        flag_values=values,
    )


def rules_of(values: flags.FlagValues, default: str) -> Rules:
    """The rules of --rules, or of `default`, with what single flags override."""
    changed: dict[str, Any] = {}
    if values.min_photos is not None:
        changed["min_photos"] = max(values.min_photos, 1)
    for flag, rule in (
        ("max_photos", "max_photos"),
        ("photos_per_observation", "per_observation"),
        ("photos_per_observation_held_out", "per_observation_held_out"),
    ):
        if values[flag].value is not None:
            changed[rule] = values[flag].value or None
    for flag, rule in (("quality", "quality"), ("allowed_licenses", "licenses")):
        if values[flag].value is not None:
            given = tuple(values[flag].value)
            changed[rule] = () if given == (_ANY,) else given
    for flag in ("active_only", "hybrids"):
        if values[flag].value is not None:
            changed[flag] = values[flag].value
    for flag in ("coarsest_rank", "roll_up_to"):
        if values[flag].value is not None:
            changed[flag] = None if values[flag].value in (_ANY, "") else values[flag].value
    rules = replace(RULES[values.rules or default], **changed)
    rules.check()
    return rules
