"""Turn a catalog into shards: photographs upright and shrunk once, in TFRecord files.

`tfds.builder_from_directory` opens them, `train` and `evaluate` take them for the catalog. A run
that was ended is gone on with by the same command.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from taxonvision.catalog.catalog import SPLITS, open_catalog
from taxonvision.errors import UserError
from taxonvision.progress import say
from taxonvision.storage import Recipe, check_place, file_digest

if TYPE_CHECKING:
    from taxonvision.dataset.prepare import WriteShards

USAGE = "taxonvision prepare --catalog=CATALOG --out=SHARDS [--size=256 --beam_runner=NAME]"
REQUIRED = ("catalog", "out")


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("catalog", None, "the catalog with the photographs", flag_values=values)
    flags.DEFINE_string("out", None, "the shards to write", flag_values=values)
    flags.DEFINE_integer(
        "size",
        256,
        "short side in pixels to which larger photographs are shrunk; 0: none is",
        lower_bound=0,
        upper_bound=8192,
        flag_values=values,
    )
    flags.DEFINE_float(
        "shard_megabytes",
        128.0,
        "about how large a shard becomes",
        lower_bound=0.001,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "workers",
        None,
        "processes; empty: as many as there are cores",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_string(
        "beam_runner",
        None,
        "write the shards in an Apache Beam pipeline: DirectRunner, FlinkRunner, SparkRunner, "
        "DataflowRunner ...; its workers see catalog and shards under the same paths",
        flag_values=values,
    )
    flags.DEFINE_list(
        "beam_options",
        [],
        "options of Beam and the runner, as parallelism=8,flink_master=host:8081",
        flag_values=values,
    )
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Prepare and say what came of it."""
    from taxonvision.dataset.plan import PrepareOptions
    from taxonvision.dataset.prepare import prepare
    from taxonvision.dataset.shards import MANIFEST

    catalog, out = open_catalog(Path(values.catalog)), Path(values.out)
    options = PrepareOptions(values.size, values.shard_megabytes)
    recipe = Recipe(
        "prepare",
        {"size": options.size, "shard_megabytes": options.shard_megabytes},
        # Licences and credits are in the shards, but not in a catalog's fingerprint.
        {"catalog": catalog.fingerprint, "photos": file_digest(catalog.folder / "photos.parquet")},
    )
    check_place(out, MANIFEST, recipe, overwrite=values.overwrite)
    route = _route(values)
    manifest = prepare(
        catalog, options, out, recipe, write_shards=route, overwrite=values.overwrite
    )
    counts = manifest["counts"]
    splits = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
    size = sum(entry["bytes"] for entry in manifest["files"]) / 1e6
    say(
        f"{out}: {counts['used']} photographs ({splits}) in {len(manifest['files'])} shards, "
        f"{size:.1f} MB"
    )
    return 0


def _route(values: flags.FlagValues) -> WriteShards:
    if values.beam_runner is None:
        if values.beam_options:
            raise UserError("--beam_options needs --beam_runner")
        from taxonvision.dataset.prepare import in_processes

        return in_processes(values.workers)
    if values.workers is not None:
        raise UserError(
            "--workers is for processes; how many workers a pipeline has is said in --beam_options"
        )
    from taxonvision.dataset.beam import in_pipeline

    return in_pipeline(values.beam_runner, values.beam_options)
