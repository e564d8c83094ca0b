"""Teach a small model what a large one thinks of the photographs.

A student is trained as `train` trains, with the same flags; part of what it learns of each
photograph is not its class alone but what the teacher thinks of all classes. The teacher sees each
photograph once; what it sees is kept in --cache. Classes are matched by taxon: of those that the
teacher does not know the student learns from the photographs alone.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from taxonvision.cli import train

USAGE = "taxonvision distill --teacher=MODEL --backbone=NAME --catalog=CATALOG|SHARDS --out=MODEL"
REQUIRED = ("teacher", "catalog", "out")


def define(values: flags.FlagValues) -> None:
    """Define the flags: a teacher's, and all of `train`."""
    flags.DEFINE_string("teacher", None, "the model to learn from", flag_values=values)
    flags.DEFINE_float(
        "teacher_weight",
        0.5,
        "the part of what is learned that is the teacher's opinion; the rest is the photograph's "
        "own class",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "softness",
        2.0,
        "what the teacher's logits are divided by: 1 takes its scores as they are, more makes it "
        "speak of the second best as well",
        lower_bound=0.0,
        flag_values=values,
    )
    train.define(values)
    values.set_default("train", "all")


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Train the student and say how well the validation photographs are named."""
    return train.learn("distill", values, Path(values.teacher))
