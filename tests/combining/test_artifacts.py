import io
import itertools
import pickle
import shutil
import warnings
import zipfile

import pytest
import torch

from boomerang.base.errors import ArtifactError
from boomerang.combining.artifacts import load_member, read_member, read_metadata
from boomerang.model.lstm import MemberLSTM

SIZES = (1, 4, 1)


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of trained artifacts, to be damaged."""
    shutil.copytree(trained, tmp_path / "artifacts")
    return tmp_path / "artifacts"


def read_all(folder):
    metadata = read_metadata(folder)
    return [read_member(folder, "simple", member, SIZES) for member in metadata.ensembles["simple"].members]


def test_undamaged_artifacts_are_read(folder):
    assert len(read_all(folder)) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist: train first"),
        (b"{", "is not JSON"),
        (b"[]", "must be a mapping"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (
            b'{"format_version": 1}',
            r"format_version: must be 7, or train again: dvc repro, python train.py or boomerang train \(found 1\)",
        ),
        (b'{"format_version": 7}', "mode is missing"),
        (b'{"format_version": 2, "format_version": 1}', "'format_version' stands twice"),
    ],
)
def test_unusable_metadata_is_refused_in_one_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / "models_meta.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=message) as refused:
        read_metadata(tmp_path)
    assert len(str(refused.value).splitlines()) == 1


def test_a_flipped_bit_and_a_missing_member_are_refused(folder):
    path = folder / "simple" / "model_simple_seq4.pth"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="SHA-256 differs"):
        read_all(folder)
    path.unlink()
    with pytest.raises(ArtifactError, match=r"model_simple_seq4.pth does not exist"):
        read_all(folder)


def test_links_out_of_the_folder_are_not_followed(folder):
    path = folder / "simple" / "model_simple_seq4.pth"
    path.rename(folder.parent / "elsewhere.pth")
    path.symlink_to(folder.parent / "elsewhere.pth")
    with pytest.raises(ArtifactError, match="a link that leads out of"):
        read_all(folder)
    (folder / "models_meta.json").unlink()
    (folder / "models_meta.json").symlink_to("/etc/passwd")
    with pytest.raises(ArtifactError, match="a link that leads out of"):
        read_metadata(folder)


def saved(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def squeezed(n_bytes):
    """A zip of a few bytes that unpacks to `n_bytes`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", b"\0" * n_bytes)
    return buffer.getvalue()


class Malicious:
    """Unpickled, it would end the test run."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


STATE = MemberLSTM(1, 2, 1).state_dict()
with warnings.catch_warnings(action="ignore"):  # torch says that nested tensors are a prototype
    NESTED = torch.nested.nested_tensor([torch.zeros(1), torch.zeros(2)])
HUGE = torch.zeros(1).as_strided((10**6, 10**6), (0, 0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable state dict"),
        (b"x" * 1000, "not a readable state dict"),
        (saved(STATE)[:-100], "not a readable state dict"),
        (saved(STATE)[:100], "not a readable state dict"),
        (saved(Malicious()), "not a readable state dict"),
        (pickle.dumps(Malicious()), "not a readable state dict"),
        (saved({**STATE, "fc.bias": Malicious()}), "not a readable state dict"),
        (squeezed(10**7), "unpacks to 10000000 bytes, more than its tensors need"),
        (saved([1]), r"expected the keys .* \(found 'list'\)"),
        (saved({"fc.bias": STATE["fc.bias"]}), "expected the keys"),
        (saved({**STATE, "more": STATE["fc.bias"]}), "expected the keys"),
        (saved({**STATE, "a\nb" * 500: STATE["fc.bias"]}), "expected the keys"),
        (saved({**STATE, "fc.bias": torch.zeros(2)}), r"fc.bias must be torch.float32 \(1,\) \(found .*\(2,\)\)"),
        (saved({**STATE, "fc.weight": HUGE}), r"fc.weight must be .*\(found torch.float32 \(1000000, 1000000\)\)"),
        (saved({**STATE, "fc.bias": STATE["fc.bias"].double()}), "fc.bias must be torch.float32"),
        (saved({**STATE, "fc.bias": STATE["fc.bias"].to_sparse()}), "fc.bias must be torch.float32"),
        (saved({**STATE, "fc.bias": STATE["fc.bias"].to("meta")}), r"fc.bias must be .*\(found Tensor, .*, meta\)"),
        (saved({**STATE, "fc.bias": NESTED}), r"fc.bias must be .*\(found Tensor, .*, nested\)"),
        (saved({**STATE, "fc.bias": torch.nn.Parameter(STATE["fc.bias"])}), r"fc.bias must be .*\(found Parameter"),
        (saved({**STATE, "fc.bias": 1.0}), r"fc.bias must be .*\(found float\)"),
        (saved({**STATE, "fc.bias": torch.tensor([torch.nan])}), "fc.bias holds a value that is not finite"),
        (saved({**STATE, "fc.bias": torch.tensor([torch.inf])}), "fc.bias holds a value that is not finite"),
        (saved(MemberLSTM(1, 3, 1).state_dict()), "must be torch.float32"),
    ],
    # The bytes themselves differ from one collection to the next.
    ids=itertools.count(),
)
def test_a_file_that_is_not_a_state_dict_of_this_model_is_refused(content, message):
    with pytest.raises(ArtifactError, match=message) as refused:
        load_member(content, "model.pth", 1, 2, 1)
    assert len(str(refused.value).splitlines()) == 1


def test_every_single_flipped_byte_of_the_head_is_survived():
    # The hash is checked before; here the loader itself meets the damage.
    content = saved(STATE)
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        try:
            load_member(bytes(damaged), "model.pth", 1, 2, 1)
        except ArtifactError:
            continue
