"""Metadata and members that a training wrote, read back as data from outside: checked before they are believed."""

from pathlib import Path

import torch

from boomerang.base.ensembles import ENSEMBLES, TREES
from boomerang.base.errors import ArtifactError
from boomerang.base.outputs import read_output
from boomerang.base.paths import METADATA_FILE, trees_file
from boomerang.base.stage_files import parse_json
from boomerang.combining.metadata import HOW_TO_TRAIN, MemberMetadata, Metadata, TreesMetadata
from boomerang.model import tensors
from boomerang.model.lstm import MemberLSTM
from boomerang.trees.forest import Forest


def read_metadata(artifacts_dir: Path) -> Metadata:
    """`models_meta.json` of a finished training.

    Raises
    ------
    ArtifactError
        If it is missing, is not JSON, is of another format, or contradicts itself or this program.
    """
    path = artifacts_dir / METADATA_FILE
    try:
        content = read_output(artifacts_dir, METADATA_FILE)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: train first ({HOW_TO_TRAIN})") from None
    return parse_json(content, str(path), Metadata)


def load_member(content: bytes, name: str, input_size: int, hidden_size: int, num_layers: int) -> MemberLSTM:
    """A member from the bytes of its `.pth` file, in evaluation mode on the CPU.

    Raises
    ------
    ArtifactError
        If the bytes are not a plain state dict with exactly the keys, shapes and dtype of this architecture, or hold a
        value that is not finite.
    """
    with torch.device("meta"):
        expected = MemberLSTM(input_size, hidden_size, num_layers).state_dict()
    state = tensors.load(content, name, expected)
    tensors.validate_state(state, name, expected)
    model = MemberLSTM(input_size, hidden_size, num_layers)
    model.load_state_dict(state)
    return model.eval()


def read_member(folder: Path, ensemble: str, member: MemberMetadata, sizes: tuple[int, int, int]) -> MemberLSTM:
    """The member that the metadata describes.

    Parameters
    ----------
    folder : Path
        Holds a folder per ensemble.
    ensemble : str
        Which of them.
    member : MemberMetadata
        What the metadata says of the member.
    sizes : (int, int, int)
        Its input size, hidden size and number of layers.

    Raises
    ------
    ArtifactError
        If its file is missing, is not the one whose SHA-256 the metadata names, or is not of these sizes.
    """
    name = f"{ensemble}/{ENSEMBLES[ensemble].member_file(member.seq_length)}"
    try:
        content = read_output(folder, name, member.sha256)
    except FileNotFoundError as error:
        raise ArtifactError(str(error)) from None
    return load_member(content, name, *sizes)


def read_forest(folder: Path, question: str, trees: TreesMetadata) -> Forest:
    """The trees that the metadata describes.

    Parameters
    ----------
    folder : Path
        Holds the folder of the trees.
    question : {"next", "made"}
        What they answer.
    trees : TreesMetadata
        What the metadata says of them.

    Raises
    ------
    ArtifactError
        If their file is missing, is not the one whose SHA-256 the metadata names, or holds no trees of what is read.
    """
    name = f"{TREES}/{trees_file(question)}"
    try:
        content = read_output(folder, name, trees.sha256)
    except FileNotFoundError as error:
        raise ArtifactError(str(error)) from None
    forest = parse_json(content, name, Forest)
    if len(forest.trees) != trees.best_round:
        raise ArtifactError(
            f"{name} must hold as many trees as best_round says, {trees.best_round} (found {len(forest.trees)})"
        )
    if forest.features != trees.features:
        found = str(forest.features)[:200]
        raise ArtifactError(f"{name} must be of what the metadata names, {str(trees.features)[:200]} (found {found})")
    return forest
