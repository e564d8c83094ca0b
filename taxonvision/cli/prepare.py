"""Turn a catalog into shards: photographs upright and shrunk once, in TFRecord files.

`tfds.builder_from_directory` opens them, `train` and `evaluate` take them for the catalog. A run
that was ended is gone on with by the same command.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from taxonvision.catalog.catalog import SPLITS, open_catalog
from taxonvision.progress import say
from taxonvision.storage import Recipe, check_place, file_digest

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
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Prepare and say what came of it."""
    from taxonvision.dataset.plan import PrepareOptions
    from taxonvision.dataset.prepare import in_processes, prepare
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
    manifest = prepare(
        catalog,
        options,
        out,
        recipe,
        write_shards=in_processes(values.workers),
        overwrite=values.overwrite,
    )
    counts = manifest["counts"]
    splits = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
    size = sum(entry["bytes"] for entry in manifest["files"]) / 1e6
    say(
        f"{out}: {counts['used']} photographs ({splits}) in {len(manifest['files'])} shards, "
        f"{size:.1f} MB"
    )
    return 0
