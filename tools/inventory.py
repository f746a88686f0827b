"""Which files a finished run leaves, and which of those in a repository `models_meta.json` does not account for."""

import sys
from pathlib import Path

from boomerang.base.ensembles import ENSEMBLES
from boomerang.base.errors import ArtifactError
from boomerang.base.files import sha256
from boomerang.base.paths import ARTIFACTS, METADATA_FILE, OUTPUT_FOLDERS, TOP_FILES, list_expected
from boomerang.base.stage_files import parse_json, read_artifact
from boomerang.combining.metadata import Metadata


def find_unaccounted(root: Path) -> list[str]:
    """A line for each artifact of the repository at `root` that is missing, left over, or not the file that is named.

    Where no artifacts are there, as in a fresh clone, that is told on stderr.
    """
    folder = root / ARTIFACTS
    if not any((folder / name).exists() for name in OUTPUT_FOLDERS):
        print(f"{ARTIFACTS}/ is not here: its files are not checked", file=sys.stderr)
        return []
    try:
        metadata: Metadata = parse_json(read_artifact(folder / METADATA_FILE), METADATA_FILE, Metadata)
        return sorted([*_compare_names(folder, metadata), *_compare_members(folder, metadata)])
    except ArtifactError as error:
        return [str(error)]


def _compare_names(folder: Path, metadata: Metadata) -> list[str]:
    """A line for each file that is left over or missing; hidden ones are passed over."""
    has_values = metadata.columns is not None and bool(metadata.columns.categorical)
    expected = list_expected(metadata.seq_lengths, has_values).union(TOP_FILES)
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    found = {path.as_posix() for path in files if not path.parts[0].startswith(".")}
    lines = [f"{ARTIFACTS}/{name} is left over: {METADATA_FILE} knows of no such file" for name in found - expected]
    return lines + [f"{ARTIFACTS}/{name} is missing" for name in expected - found]


def _compare_members(folder: Path, metadata: Metadata) -> list[str]:
    """A line for each member whose bytes are not those that the metadata names."""
    lines = []
    for name, spec in ENSEMBLES.items():
        for member in metadata.ensembles[name].members:
            path = f"{name}/{spec.member_file(member.seq_length)}"
            if (folder / path).is_file() and sha256(read_artifact(folder / path)) != member.sha256:
                lines.append(f"{ARTIFACTS}/{path} is not the file that {METADATA_FILE} names: its SHA-256 differs")
    return lines
