"""Opening whatever `--model` names: a model directory, a bundle or a bare TFLite file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from taxonvision.errors import UserError
from taxonvision.models.directory import is_model, open_model
from taxonvision.runtime.bundle import is_bundle, open_bundle
from taxonvision.runtime.contract import Contract
from taxonvision.runtime.probabilities import are_shares
from taxonvision.runtime.recognizer import Recognizer, Scorer
from taxonvision.runtime.tflite import TFLiteModel
from taxonvision.storage import digest_of
from taxonvision.taxonomy.classes import read_classes
from taxonvision.taxonomy.tree import Taxonomy


def open_recognizer(path: Path) -> Recognizer:
    """Open a model directory or a bundle. TensorFlow is loaded only for the former."""
    if is_bundle(path):
        return open_bundle(path).recognizer()
    if is_model(path):
        return open_model(path).recognizer()
    if not path.exists():
        raise UserError(f"{path} does not exist; --model names a model directory or a bundle")
    raise UserError(f"{path} is neither a model directory (model.json) nor a bundle (bundle.json)")


def open_bare_tflite(path: Path, classes: Path, taxonomy: Taxonomy) -> Recognizer:
    """Open a TFLite file whose output i is the class i of `classes`, a classes.csv."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    model = TFLiteModel(content, str(path))
    try:
        contract = Contract(model.input.shape[1])
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    grey = np.full((1, contract.size, contract.size, 3), 128, np.uint8)
    scores = model.run(grey)[0]
    if not are_shares(scores) or not scores.any():
        raise UserError(f"{path} answers scores that are no shares of 1; it must end in a softmax")
    taxon_ids = tuple(c.taxon_id for c in read_classes(classes))
    if model.output.shape[-1] != len(taxon_ids):
        raise UserError(
            f"{path} answers {model.output.shape[-1]} scores and {classes} has "
            f"{len(taxon_ids)} classes; they do not belong together"
        )
    unknown = [taxon_id for taxon_id in taxon_ids if taxon_id not in taxonomy]
    if unknown:
        raise UserError(f"{classes}: taxon {unknown[0]} is not in the catalog's taxonomy")

    def another(threads: int) -> Scorer:
        return model.another(threads).run

    return Recognizer(
        name=path.stem,
        fingerprint=digest_of([hashlib.sha256(content).hexdigest(), taxon_ids]),
        bytes=len(content),
        threads=model.threads,
        contract=contract,
        class_taxon_ids=taxon_ids,
        taxonomy=taxonomy.closure(taxon_ids),
        names={},
        score=model.run,
        # One that reads several photographs at once is better given them so.
        another=another if model.input.shape[0] == 1 else None,
    )
