"""What TFDS must find beside the files: `dataset_info.json`, `features.json`, the labels' names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from taxonvision.catalog.catalog import SPLITS
from taxonvision.dataset.plan import PlannedShard
from taxonvision.taxonomy.classes import TaxonClass


def write_metadata(
    shards: Sequence[PlannedShard], classes: Sequence[TaxonClass], folder: Path
) -> None:
    """Make `tfds.builder_from_directory` open the shards in `folder`."""
    import tensorflow_datasets as tfds

    features = {
        "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
        "label": tfds.features.ClassLabel(names=label_names(classes)),
        "taxon_id": tfds.features.Scalar(np.int64),
        "photo_id": tfds.features.Text(),
        "license": tfds.features.Text(),
        "attribution": tfds.features.Text(),
    }
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder,
        template=tfds.core.naming.DEFAULT_FILENAME_TEMPLATE,
        dataset_name="taxonvision",
        filetype_suffix="tfrecord",
    )
    splits = [
        tfds.core.SplitInfo(
            name=split,
            shard_lengths=[shard.photographs for shard in shards if shard.split == split],
            num_bytes=sum((folder / s.file).stat().st_size for s in shards if s.split == split),
            filename_template=template.replace(split=split),
        )
        for split in SPLITS
        if any(shard.split == split for shard in shards)
    ]
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=tfds.features.FeaturesDict(features),
        split_infos=splits,
        check_data=False,
        supervised_keys=("image", "label"),
        description="Photographs of organisms and their taxa.",
    )


def label_names(classes: Sequence[TaxonClass]) -> list[str]:
    """The scientific names, with the taxon id where two classes share one."""
    times = Counter(c.name for c in classes)
    return [c.name if times[c.name] == 1 else f"{c.name} ({c.taxon_id})" for c in classes]
