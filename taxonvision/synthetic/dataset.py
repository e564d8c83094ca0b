"""A whole data set on disk: photographs, labels, tree and Open Data tables.

    photos/Family/Genus/Genus species/<photo_id>.jpg   (layout folder, with labels.csv,
                                                        class_taxa.csv and taxonomy.csv)
    photos/<photo_id>/medium.jpg                       (layout open_data)
    observations.csv  photos.csv  taxa.csv  observers.csv
    empty/<number>.jpg, listed in empty_scenes.csv     (on request)
    broken.csv: file relative to photos/, how          (on request)

A photograph depends on the seed, its species and its number in the species, and on nothing else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taxonvision import progress, tables
from taxonvision.errors import UserError
from taxonvision.storage import Recipe, publish, write_json
from taxonvision.synthetic import open_data, photo_files
from taxonvision.synthetic.open_data import Observation
from taxonvision.synthetic.photo_files import Shot
from taxonvision.synthetic.species import Species, make_species
from taxonvision.taxonomy.tree import Taxon, Taxonomy, write_taxonomy

MANIFEST = "synth.json"
SCHEMA_VERSION = 1
LAYOUTS = ("folder", "open_data")
SMALLEST, LARGEST = 32, 4096  # pixels
MOST_TAXA = 100_000

PHOTOS_IN_OBSERVATION = ((1, 0.35), (2, 0.35), (3, 0.30))
VALIDATION_SHARE = TEST_SHARE = 0.15
# From so many photographs on, a class has so many observations, two each to validate and to test.
PHOTOS_FOR_ALL_SPLITS, LEAST_OBSERVATIONS, LEAST_IN_SPLIT = 10, 6, 2
FIRST_PHOTO_ID = 1001

_GROUPING, _SPLIT, _BROKEN = 21, 22, 23


@dataclass(frozen=True)
class SynthOptions:
    """What to draw; `workers` (None: one a processor) changes the time taken and nothing else."""

    layout: str = "folder"
    taxa: int = 24
    photos_per_taxon: int = 40
    size: int = 320
    seed: int = 0
    broken: float = 0.0
    empty_scenes: int = 0
    workers: int | None = None

    def check(self) -> None:
        """Raise UserError for the first value that cannot be."""
        if self.layout not in LAYOUTS:
            raise UserError(f"--layout must be {' or '.join(LAYOUTS)}, not {self.layout!r}")
        for flag, value, low, high in (
            ("taxa", self.taxa, 1, MOST_TAXA),
            ("photos_per_taxon", self.photos_per_taxon, 1, 1_000_000),
            ("size", self.size, SMALLEST, LARGEST),
            ("seed", self.seed, 0, 2**63 - 1),
            ("broken", self.broken, 0, 1),
            ("empty_scenes", self.empty_scenes, 0, 10_000_000),
        ):
            if not low <= value <= high:
                raise UserError(f"--{flag} must lie between {low} and {high}, not {value}")


def synthesize(
    options: SynthOptions, out: Path, recipe: Recipe, *, overwrite: bool = False
) -> dict[str, int]:
    """Draw the data set `out`; returns how many of what there are.

    Raises UserError for options that cannot be and when the disk is full.
    """
    options.check()
    with publish(out, MANIFEST, recipe, overwrite=overwrite) as partial:
        counts = write_dataset(partial, options)
        manifest = {"schema_version": SCHEMA_VERSION, "made_by": recipe.as_json(), **counts}
        write_json(partial / MANIFEST, manifest)
    return counts


def write_dataset(partial: Path, options: SynthOptions) -> dict[str, int]:
    """Write a data set into the empty folder `partial`; returns how many of what there are."""
    species = make_species(options.taxa, options.seed)
    observations = plan_observations(species, options)
    observers = open_data.observers_for(len(observations))
    shots = _plan_shots(observations, options)
    scenes = [
        Shot(f"empty/{number:06d}.jpg", None, number, 0, None)
        for number in range(options.empty_scenes)
    ]
    drawn = photo_files.draw_all(
        partial, species, shots + scenes, options.size, options.seed, options.workers
    )
    for _ in progress.track(drawn, len(shots) + len(scenes), "drawing", size=len):
        pass
    open_data.write_open_data(partial, species, observations, options.size, observers, options.seed)
    if options.layout == "folder":
        _write_labels(partial, species, observations, options)
    if scenes:
        rows = [(shot.file,) for shot in scenes]
        tables.write_csv(partial / "empty_scenes.csv", ("file",), rows)
    broken = [(_below_photos(shot.file), shot.broken) for shot in shots if shot.broken]
    if broken:
        tables.write_csv(partial / "broken.csv", ("file", "how"), broken)
    return {
        "taxa": len(species),
        "genera": len({one.genus_id for one in species}),
        "families": len({one.family_id for one in species}),
        "observations": len(observations),
        "photos": len(shots),
        "observers": observers,
        "broken": len(broken),
        "empty_scenes": len(scenes),
    }


def plan_observations(species: list[Species], options: SynthOptions) -> list[Observation]:
    """The observations of all species, their photographs numbered through."""
    groups = [_group(one, options) for one in species]
    observers = open_data.observers_for(sum(len(sizes) for sizes in groups))
    observations: list[Observation] = []
    photo_id = FIRST_PHOTO_ID
    for one, sizes in zip(species, groups, strict=True):
        for number, size in enumerate(sizes):
            photo_ids = tuple(range(photo_id, photo_id + size))
            observations.append(
                open_data.observe(
                    one, number, len(observations) + 1, photo_ids, observers, options.seed
                )
            )
            photo_id += size
    return observations


def split_of(observations: list[Observation], seed: int) -> dict[int, str]:
    """The split (train, val or test) of each observation of one species, by its identity.

    About 15 % each to validate and to test, whole observations only.
    """
    count = len(observations)
    photos = sum(len(each.photo_ids) for each in observations)
    held_out = round(count * VALIDATION_SHARE)
    if photos >= PHOTOS_FOR_ALL_SPLITS:
        held_out = max(held_out, LEAST_IN_SPLIT)
    elif count >= 3:
        held_out = max(held_out, 1)
    rng = np.random.default_rng([seed, _SPLIT, observations[0].species.index])
    splits = {}
    for place, index in enumerate(rng.permutation(count)):
        split = "test" if place < held_out else "val" if place < 2 * held_out else "train"
        splits[observations[index].identity] = split
    return splits


def _group(species: Species, options: SynthOptions) -> list[int]:
    """How many photographs each observation of a species has."""
    rng = np.random.default_rng([options.seed, _GROUPING, species.index])
    left = options.photos_per_taxon
    sizes = []
    while left > 0:
        counts, shares = zip(*PHOTOS_IN_OBSERVATION, strict=True)
        size = min(int(rng.choice(counts, p=shares)), left)
        sizes.append(size)
        left -= size
    if options.photos_per_taxon >= PHOTOS_FOR_ALL_SPLITS:
        while len(sizes) < LEAST_OBSERVATIONS:
            largest = sizes.index(max(sizes))
            sizes[largest] -= 1
            sizes.append(1)
    return sizes


def _plan_shots(observations: list[Observation], options: SynthOptions) -> list[Shot]:
    shots = []
    taken: Counter[int] = Counter()
    for observation in observations:
        for photo_id in observation.photo_ids:
            index = observation.species.index
            file = f"photos/{_file(observation.species, photo_id, options.layout)}"
            shots.append(Shot(file, index, taken[index], observation.number, None))
            taken[index] += 1
    rng = np.random.default_rng([options.seed, _BROKEN])
    chosen = rng.permutation(len(shots))[: round(len(shots) * options.broken)]
    for number, place in enumerate(sorted(chosen)):
        how = photo_files.WAYS_TO_BREAK[number % len(photo_files.WAYS_TO_BREAK)]
        shots[place] = shots[place].broken_by(how)
    return shots


def _file(species: Species, photo_id: int, layout: str) -> str:
    """Relative to photos/."""
    if layout == "open_data":
        return f"{photo_id}/medium.jpg"
    return f"{species.family}/{species.genus}/{species.scientific_name}/{photo_id}.jpg"


def _below_photos(file: str) -> str:
    return file.removeprefix("photos/")


def _write_labels(
    folder: Path, species: list[Species], observations: list[Observation], options: SynthOptions
) -> None:
    by_species: dict[int, list[Observation]] = {one.index: [] for one in species}
    for observation in observations:
        by_species[observation.species.index].append(observation)
    rows = []
    for mine in by_species.values():
        splits = split_of(mine, options.seed)
        for observation in mine:
            one = observation.species
            for photo_id in observation.photo_ids:
                file = _file(one, photo_id, options.layout)
                split = splits[observation.identity]
                rows.append((file, one.scientific_name, split, observation.identity))
    tables.write_csv(folder / "labels.csv", ("file", "class", "split", "observation_id"), rows)
    tables.write_csv(
        folder / "class_taxa.csv",
        ("class", "taxon_id", "scientific_name", "common_name", "common_name_de"),
        (
            (one.scientific_name, one.taxon_id, one.scientific_name, one.common_name,
             one.common_name_de)
            for one in species
        ),
    )  # fmt: skip
    write_taxonomy(folder / "taxonomy.csv", _tree(species))


def _tree(species: list[Species]) -> Taxonomy:
    taxa: list[Taxon] = []
    parent: int | None = None
    for taxon_id, rank, name in open_data.UPPER_TAXA:
        taxa.append(Taxon.of_rank(taxon_id, parent, rank, name))
        parent = taxon_id
    order = parent
    families = {one.family_id: one.family for one in species}
    genera = {one.genus_id: (one.family_id, one.genus) for one in species}
    taxa += [Taxon.of_rank(key, order, "family", name) for key, name in families.items()]
    taxa += [Taxon.of_rank(key, above, "genus", name) for key, (above, name) in genera.items()]
    taxa += [
        Taxon.of_rank(one.taxon_id, one.genus_id, "species", one.scientific_name) for one in species
    ]
    return Taxonomy(taxa)
