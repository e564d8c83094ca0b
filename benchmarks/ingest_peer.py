"""The rules of `taxonvision ingest --rules=inat` on Open Data tables, in pandas: a peer.

    python benchmarks/ingest_peer.py TABLES OUT

Reads the four gzipped tables with pandas' pyarrow reader and writes OUT/photos.parquet, what a
catalog says of the photographs used, and OUT/peer.json, how many photographs each rule leaves out.

Written as one who knows pandas would: only the columns needed are read, rules are judged once an
observation, observations are looked up once, and only what has too many photographs is sorted. It
checks nothing that the tables might have wrong and tells nothing of the taxa. peer.json also has
the CPU seconds that MD5 took, since pandas has none. Needs pandas and pyarrow.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

MIN_PHOTOS, MAX_PHOTOS, PER_OBSERVATION, PER_OBSERVATION_HELD_OUT = 100, 1000, 5, 1
SPECIES, FAMILY = 10, 30  # rank levels
JUDGED = (
    "no_observation", "no_taxon", "unknown_taxon", "quality", "inactive", "hybrid", "coarse",
)  # fmt: skip
SPLITS = np.array(["train", "val", "test"])
VAL_FROM, TEST_FROM = -(-(2**64) * 8 // 10), -(-(2**64) * 9 // 10)
BUCKET = "https://inaturalist-open-data.s3.amazonaws.com/"


def main(tables: Path, out: Path) -> None:
    """Apply the rules and write the result."""
    taxa = read(tables, "taxa", ["taxon_id", "ancestry", "rank_level", "rank", "active"])
    taxa = taxa.set_index("taxon_id")
    observations = read(
        tables, "observations",
        ["observation_uuid", "latitude", "longitude", "taxon_id", "quality_grade", "observed_on"],
    )  # fmt: skip
    photos = read(
        tables, "photos",
        ["photo_id", "observation_uuid", "observer_id", "extension", "license", "width", "height",
         "position"],
    )  # fmt: skip
    listed = len(photos)
    twice = photos["photo_id"].duplicated().to_numpy()
    of = pd.Index(observations["observation_uuid"]).get_indexer(photos["observation_uuid"])
    reasons = judge(observations, taxa)
    # One more for photographs without an observation, whose index is -1.
    of_photo = np.append(reasons, JUDGED.index("no_observation"))[of]
    judged = np.bincount(of_photo[~twice] + 1, minlength=len(JUDGED) + 1)
    photos = photos.assign(observation=of)[(of_photo < 0) & ~twice]

    hashing = -time.process_time()
    split = splits_of(observations["observation_uuid"], reasons < 0)
    hashing += time.process_time()
    photos = photos.assign(
        split=split[photos["observation"]],
        taxon_id=observations["taxon_id"].to_numpy()[photos["observation"]].astype(np.int64),
    )
    few = cap_observations(photos)
    classes = classes_of(few["taxon_id"].value_counts(), taxa)
    few = few.assign(class_taxon_id=few["taxon_id"].map(classes))
    in_classes = few[few["class_taxon_id"].notna()]
    crowd = crowded_classes(in_classes)
    hashing -= time.process_time()
    crowd = crowd.assign(drawn=[md5(str(photo_id)) for photo_id in crowd["photo_id"].tolist()])
    hashing += time.process_time()
    used = in_classes.drop(over_cap(crowd))
    write(used, observations, tables, out)
    counts = {
        "duplicate": int(twice.sum()),
        **dict(zip(JUDGED, judged[1:].tolist(), strict=True)),
        "per_observation": len(photos) - len(few),
        "too_few": len(few) - len(in_classes),
        "per_class": len(in_classes) - len(used),
    }
    report = {
        "photographs": listed,
        "used": len(used),
        "left_out": {reason: count for reason, count in counts.items() if count},
        "md5_cpu_seconds": hashing,
    }
    (out / "peer.json").write_text(json.dumps(report))


def read(tables: Path, name: str, columns: list[str]) -> pd.DataFrame:
    """Some columns of a table."""
    path = tables / f"{name}.csv.gz"
    return pd.read_csv(path, sep="\t", engine="pyarrow", usecols=columns)


def judge(observations: pd.DataFrame, taxa: pd.DataFrame) -> np.ndarray:
    """Why an observation is not used, an index into JUDGED; -1 where it is: int [n]."""
    row = taxa.index.get_indexer(observations["taxon_id"])
    of_taxon = taxa.iloc[row]  # any taxon where the row is -1, which is judged before
    conditions = [
        observations["taxon_id"].isna(),
        row < 0,
        observations["quality_grade"] != "research",
        ~of_taxon["active"].to_numpy(),
        (of_taxon["rank"] == "hybrid").to_numpy(),
        of_taxon["rank_level"].to_numpy() > SPECIES,
    ]
    return np.select(conditions, range(1, len(JUDGED)), -1)


def splits_of(uuids: pd.Series, wanted: np.ndarray) -> np.ndarray:
    """The split of the observations wanted, an index into SPLITS: int [n]."""
    positions = np.zeros(len(uuids), np.uint64)
    positions[wanted] = [md5(uuid) for uuid in uuids[wanted].tolist()]
    return np.searchsorted(np.array([VAL_FROM, TEST_FROM], np.uint64), positions, side="right")


def md5(text: str) -> int:
    """The hash behind splits and draws: the last 8 bytes of the MD5, little-endian."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little")


def cap_observations(photos: pd.DataFrame) -> pd.DataFrame:
    """The first photographs of each observation, five in train and one in val and test."""
    cap = np.where(photos["split"] == 0, PER_OBSERVATION, PER_OBSERVATION_HELD_OUT)
    crowded = np.bincount(photos["observation"])[photos["observation"]] > cap
    # The sort is stable: equal positions stay in the order of the table.
    crowd = photos.loc[crowded, ["observation", "position"]].assign(cap=cap[crowded])
    crowd = crowd.sort_values(["observation", "position"], kind="stable")
    turn = crowd.groupby("observation").cumcount()
    return photos.drop(crowd.index[turn >= crowd["cap"]])


def classes_of(photos: pd.Series, taxa: pd.DataFrame) -> dict[int, int]:
    """The class of each taxon, from photographs by taxon; taxa without a class are absent.

    From the finest rank upwards, a taxon with too few photographs gives them to its parent, up to
    the family.
    """
    parents = taxa["ancestry"].str.rpartition("/")[2].to_dict()
    left = photos.to_dict()
    to = {}
    for level in sorted(level for level in taxa["rank_level"].unique() if level < FAMILY):
        for taxon_id in taxa.index[taxa["rank_level"] == level]:
            if 0 < left.get(taxon_id, 0) < MIN_PHOTOS:
                parent = int(parents[taxon_id])
                left[parent] = left.get(parent, 0) + left.pop(taxon_id)
                to[taxon_id] = parent
    classes = {}
    for taxon_id in photos.index:
        end = taxon_id
        while end in to:
            end = to[end]
        if left[end] >= MIN_PHOTOS:
            classes[taxon_id] = end
    return classes


def crowded_classes(photos: pd.DataFrame) -> pd.DataFrame:
    """The photographs of classes that have too many, with their turn in their observation."""
    crowded = photos.groupby("class_taxon_id")["photo_id"].transform("size") > MAX_PHOTOS
    crowd = photos.loc[crowded, ["photo_id", "class_taxon_id", "observation", "position"]]
    crowd = crowd.sort_values(["observation", "position"], kind="stable")
    return crowd.assign(turn=crowd.groupby("observation").cumcount())


def over_cap(crowd: pd.DataFrame) -> pd.Index:
    """Those beyond the thousandth of their class; the first of each observation come first."""
    crowd = crowd.sort_values(["class_taxon_id", "turn", "drawn"])
    return crowd.index[crowd.groupby("class_taxon_id").cumcount() >= MAX_PHOTOS]


def write(photos: pd.DataFrame, observations: pd.DataFrame, tables: Path, out: Path) -> None:
    """Write what a catalog says of each photograph, by class and then by id."""
    observers = read(tables, "observers", ["observer_id", "login", "name"]).set_index("observer_id")
    credit = observers["name"].fillna(observers["login"])  # pandas reads None as missing
    photos = photos.assign(photo_id=photos["photo_id"].astype("str"))
    photos = photos.sort_values(["class_taxon_id", "photo_id"])
    about = observations.iloc[photos["observation"]].set_axis(photos.index)
    path = "photos/" + photos["photo_id"] + "/medium." + photos["extension"]
    table = pd.DataFrame(
        {
            "photo_id": photos["photo_id"],
            "path": path,
            "width": photos["width"],
            "height": photos["height"],
            "observation_id": photos["observation_uuid"],
            "taxon_id": photos["taxon_id"],
            "class_taxon_id": photos["class_taxon_id"].astype(np.int64),
            "split": SPLITS[photos["split"]],
            "latitude": about["latitude"],
            "longitude": about["longitude"],
            "observed_on": about["observed_on"],
            "license": photos["license"],
            "attribution": photos["observer_id"].map(credit),
            "url": BUCKET + path,
        }
    )
    table.to_parquet(out / "photos.parquet", index=False)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
