"""The rules of `taxonvision ingest --rules=inat` on Open Data tables in pandas: the peers.

    python benchmarks/ingest_peer.py plain|tuned TABLES OUT

Both read the columns they need of the four gzipped tables with pandas' pyarrow reader and write
OUT/photos.parquet, what a catalog says of the photographs used, and OUT/peer.json, how many
photographs each rule leaves out. They check nothing that the tables might have wrong and tell
nothing of the taxa.

`plain` is pandas as it is commonly written, vectorised throughout: the tables are merged, then
conditions, sorts and counts within groups run over all rows. `tuned` does what ours does: it judges
once an observation, looks observations up once, and sorts only what has too many photographs.

peer.json also has the CPU seconds that MD5 took, since pandas has none. Needs pandas and pyarrow.
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
    "duplicate", "no_observation", "no_taxon", "unknown_taxon", "quality", "inactive", "hybrid",
    "coarse",
)  # fmt: skip
TAXA = ["taxon_id", "ancestry", "rank_level", "rank", "active"]
OBSERVATIONS = [
    "observation_uuid", "latitude", "longitude", "taxon_id", "quality_grade", "observed_on",
]  # fmt: skip
PHOTOS = [
    "photo_id", "observation_uuid", "observer_id", "extension", "license", "width", "height",
    "position",
]  # fmt: skip
WRITTEN = [
    "photo_id", "path", "width", "height", "observation_id", "taxon_id", "class_taxon_id", "split",
    "latitude", "longitude", "observed_on", "license", "attribution", "url",
]  # fmt: skip
SPLITS = np.array(["train", "val", "test"])
VAL_FROM, TEST_FROM = -(-(2**64) * 8 // 10), -(-(2**64) * 9 // 10)
BUCKET = "https://inaturalist-open-data.s3.amazonaws.com/"


def main(how: str, tables: Path, out: Path) -> None:
    """Apply the rules and write the result."""
    md5 = Md5()
    used, counts = {"plain": plain, "tuned": tuned}[how](tables, md5)
    write(used, tables, out)
    report = {
        "photographs": len(used) + sum(counts.values()),
        "used": len(used),
        "left_out": {reason: count for reason, count in counts.items() if count},
        "md5_cpu_seconds": md5.cpu_seconds,
    }
    (out / "peer.json").write_text(json.dumps(report))


class Md5:
    """The hash behind splits and draws; its two halves are little-endian numbers."""

    cpu_seconds = 0.0  # spent here so far

    def halves(self, values: pd.Series) -> np.ndarray:
        """The hashes of values as text: uint64 [n, 2]."""
        self.cpu_seconds -= time.process_time()
        digests = [
            hashlib.md5(str(value).encode(), usedforsecurity=False).digest()
            for value in values.tolist()
        ]
        halves = np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2)
        self.cpu_seconds += time.process_time()
        return halves

    def splits(self, uuids: pd.Series) -> np.ndarray:
        """The splits of observations, indices into SPLITS: int [n]."""
        bounds = np.array([VAL_FROM, TEST_FROM], np.uint64)
        return np.searchsorted(bounds, self.halves(uuids)[:, 1], side="right")

    def draws(self, photo_ids: pd.Series) -> np.ndarray:
        """The places of photographs in a draw among them: uint64 [n]."""
        return self.halves(photo_ids)[:, 0]


def plain(tables: Path, md5: Md5) -> tuple[pd.DataFrame, dict[str, int]]:
    """The photographs used and how many each rule left out, as pandas is commonly written."""
    taxa = read(tables, "taxa", TAXA)
    photos = read(tables, "photos", PHOTOS)
    observations = read(tables, "observations", OBSERVATIONS)
    photos = photos.merge(observations, on="observation_uuid", how="left", indicator="listed")
    photos = photos.merge(taxa.drop(columns="ancestry"), on="taxon_id", how="left")
    conditions = [
        photos["photo_id"].duplicated(),
        photos["listed"] == "left_only",
        photos["taxon_id"].isna(),
        photos["rank"].isna(),
        photos["quality_grade"] != "research",
        photos["active"] == False,  # noqa: E712 - a column of objects: some have no taxon
        photos["rank"] == "hybrid",
        photos["rank_level"] > SPECIES,
    ]
    reason = np.select(conditions, range(len(JUDGED)), -1)
    judged = photos[reason < 0].astype({"taxon_id": np.int64})

    uuids = judged["observation_uuid"].drop_duplicates()
    split = pd.Series(md5.splits(uuids), index=uuids)
    judged["split"] = judged["observation_uuid"].map(split)
    judged = judged.sort_values(["observation_uuid", "position", "photo_id"])
    cap = np.where(judged["split"] == 0, PER_OBSERVATION, PER_OBSERVATION_HELD_OUT)
    few = judged[judged.groupby("observation_uuid").cumcount() < cap].copy()

    few["class_taxon_id"] = few["taxon_id"].map(classes_of(few["taxon_id"].value_counts(), taxa))
    classed = few.dropna(subset="class_taxon_id").astype({"class_taxon_id": np.int64})
    classed["turn"] = classed.groupby("observation_uuid").cumcount()
    classed["drawn"] = md5.draws(classed["photo_id"])
    classed = classed.sort_values(["class_taxon_id", "turn", "drawn"])
    used = classed[classed.groupby("class_taxon_id").cumcount() < MAX_PHOTOS]
    return used, counts_of(reason, judged, few, classed, used)


def tuned(tables: Path, md5: Md5) -> tuple[pd.DataFrame, dict[str, int]]:
    """The same with as little work as pandas allows."""
    taxa = read(tables, "taxa", TAXA)
    photos = read(tables, "photos", PHOTOS)
    observations = read(tables, "observations", OBSERVATIONS)
    of = pd.Index(observations["observation_uuid"]).get_indexer(photos["observation_uuid"])
    of_observation = judge_observations(observations, taxa)
    # One more for photographs without an observation, whose index is -1.
    reason = np.append(of_observation, JUDGED.index("no_observation"))[of]
    reason[photos["photo_id"].duplicated().to_numpy()] = JUDGED.index("duplicate")
    judged = photos.assign(observation=of)[reason < 0]

    sound = of_observation < 0
    split = np.zeros(len(observations), np.int8)
    split[sound] = md5.splits(observations["observation_uuid"][sound])
    of = judged["observation"]
    judged["split"] = split[of]
    judged["taxon_id"] = observations["taxon_id"].to_numpy()[of].astype(np.int64)
    cap = np.where(judged["split"] == 0, PER_OBSERVATION, PER_OBSERVATION_HELD_OUT)
    crowded = np.bincount(of)[of] > cap
    crowd = judged.loc[crowded, ["observation", "position", "photo_id"]].assign(cap=cap[crowded])
    crowd = crowd.sort_values(["observation", "position", "photo_id"])
    few = judged.drop(crowd.index[crowd.groupby("observation").cumcount() >= crowd["cap"]])

    few["class_taxon_id"] = few["taxon_id"].map(classes_of(few["taxon_id"].value_counts(), taxa))
    classed = few.dropna(subset="class_taxon_id").astype({"class_taxon_id": np.int64})
    crowded = classed["class_taxon_id"].map(classed["class_taxon_id"].value_counts()) > MAX_PHOTOS
    crowd = classed.loc[crowded, ["photo_id", "class_taxon_id", "observation", "position"]]
    crowd = crowd.sort_values(["observation", "position", "photo_id"])
    crowd["turn"] = crowd.groupby("observation").cumcount()
    crowd["drawn"] = md5.draws(crowd["photo_id"])
    crowd = crowd.sort_values(["class_taxon_id", "turn", "drawn"])
    over = crowd.index[crowd.groupby("class_taxon_id").cumcount() >= MAX_PHOTOS]
    used = classed.drop(over)

    about = observations.iloc[used["observation"]].set_axis(used.index)
    used = used.join(about[["latitude", "longitude", "observed_on"]])
    return used, counts_of(reason, judged, few, classed, used)


def read(tables: Path, name: str, columns: list[str]) -> pd.DataFrame:
    """Some columns of a table."""
    path = tables / f"{name}.csv.gz"
    return pd.read_csv(path, sep="\t", engine="pyarrow", usecols=columns)


def judge_observations(observations: pd.DataFrame, taxa: pd.DataFrame) -> np.ndarray:
    """Why an observation is not used, an index into JUDGED; -1 where it is: int [n]."""
    row = pd.Index(taxa["taxon_id"]).get_indexer(observations["taxon_id"])
    of_taxon = taxa.iloc[row]  # any taxon where the row is -1, which is judged before
    conditions = [
        observations["taxon_id"].isna(),
        row < 0,
        observations["quality_grade"] != "research",
        ~of_taxon["active"].to_numpy(),
        (of_taxon["rank"] == "hybrid").to_numpy(),
        of_taxon["rank_level"].to_numpy() > SPECIES,
    ]
    return np.select(conditions, range(JUDGED.index("no_taxon"), len(JUDGED)), -1)


def classes_of(photos: pd.Series, taxa: pd.DataFrame) -> dict[int, int]:
    """The class of each taxon, from photographs by taxon; taxa without a class are absent.

    From the finest rank upwards, a taxon with too few photographs gives them to its parent, up to
    the family.
    """
    taxa = taxa.set_index("taxon_id")
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


def counts_of(
    reason: np.ndarray,
    judged: pd.DataFrame,
    few: pd.DataFrame,
    classed: pd.DataFrame,
    used: pd.DataFrame,
) -> dict[str, int]:
    """How many photographs each rule left out, from what was left after each step."""
    by_reason = np.bincount(reason + 1, minlength=len(JUDGED) + 1)[1:].tolist()
    return {
        **dict(zip(JUDGED, by_reason, strict=True)),
        "per_observation": len(judged) - len(few),
        "too_few": len(few) - len(classed),
        "per_class": len(classed) - len(used),
    }


def write(used: pd.DataFrame, tables: Path, out: Path) -> None:
    """Write what a catalog says of each photograph, by class and then by id."""
    observers = read(tables, "observers", ["observer_id", "login", "name"]).set_index("observer_id")
    credit = observers["name"].fillna(observers["login"])  # pandas reads None as missing
    used = used.assign(photo_id=used["photo_id"].astype("str"))
    used = used.sort_values(["class_taxon_id", "photo_id"])
    used = used.rename(columns={"observation_uuid": "observation_id"})
    used["path"] = "photos/" + used["photo_id"] + "/medium." + used["extension"]
    used["url"] = BUCKET + used["path"]
    used["split"] = SPLITS[used["split"]]
    used["attribution"] = used["observer_id"].map(credit)
    used[WRITTEN].to_parquet(out / "photos.parquet", index=False)


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
