import hashlib
from pathlib import Path

import pytest

from boomerang.base.errors import ArtifactError
from boomerang.base.files import write_atomic
from boomerang.base.links import check_link
from boomerang.base.outputs import read_output, replacing
from boomerang.base.stage_files import read_artifact


def put_into_cache(cache, content):
    """The file that DVC would keep `content` in, read-only as DVC leaves it."""
    digest = hashlib.md5(content).hexdigest()
    path = cache / "files" / "md5" / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o444)
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "artifacts" / "time").mkdir(parents=True)
    return tmp_path / "artifacts"


@pytest.mark.parametrize("place", [".dvc/cache", "../shared cache", "linked"])
@pytest.mark.parametrize("name", ["models_meta.json", "time/model_seq2.pth"])
def test_a_link_into_a_cache_of_dvc_is_followed_wherever_it_lies(folder, place, name):
    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "linked").symlink_to("elsewhere")
    (folder / name).symlink_to(put_into_cache(folder.parent / place, b"content"))
    assert read_output(folder, name) == read_artifact(folder / name) == b"content"


def test_a_folder_that_is_a_link_as_a_whole_is_read(folder):
    (folder / "time").rename(folder.parent / "elsewhere")
    (folder / "time").symlink_to("../elsewhere")
    (folder / "time" / "a").symlink_to(put_into_cache(folder.parent / "cache", b"content"))
    assert read_output(folder, "time/a") == b"content"


@pytest.mark.parametrize(
    "target",
    [
        "secret",
        "files/md5/ab/cdef",
        # As long as the name of a cached file, and another's.
        f"files/md5/{'a' * 2}/{'b' * 30}",
        f"files/md5/{'a' * 2}/{'b' * 29}",
        "gone",
        "/dev/zero",
    ],
)
def test_a_link_to_anything_else_is_not_followed(folder, target):
    path = folder.parent / target
    if target not in ("gone", "/dev/zero"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"secret")
    (folder / "a").symlink_to(path)
    for read in (lambda: read_output(folder, "a"), lambda: read_artifact(folder / "a")):
        with pytest.raises(ArtifactError, match=r"a is a link that leads out of .*: it is not followed"):
            read()


def test_a_cached_file_that_was_written_to_is_not_followed(folder):
    cached = put_into_cache(folder.parent / "cache", b"content")
    (folder / "a").symlink_to(cached)
    check_link(folder / "a")
    cached.chmod(0o644)
    cached.write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"only one to an intact file in DVC's cache"):
        check_link(folder / "a")


@pytest.mark.usefixtures("anybodys")
@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_what_replaces_a_link_never_reaches_the_cache(folder, link):
    cached = put_into_cache(folder.parent / "cache", b"content")
    for name in ("models_meta.json", "time/a", "b"):
        link(folder / name, cached)
    with replacing(folder) as new:
        write_atomic(new / "models_meta.json", b"new")
        write_atomic(new / "time" / "a", b"new")
    write_atomic(folder / "b", b"new")
    assert cached.read_bytes() == b"content"
    assert [read_artifact(folder / name) for name in ("models_meta.json", "time/a", "b")] == [b"new"] * 3


@pytest.mark.usefixtures("anybodys")
def test_a_linked_folder_is_replaced_and_what_it_leads_to_stays(folder):
    (folder / "time").rename(folder.parent / "elsewhere")
    (folder.parent / "elsewhere" / "a").write_bytes(b"old")
    (folder / "time").symlink_to("../elsewhere")
    with replacing(folder) as new:
        write_atomic(new / "time" / "a", b"new")
    assert not (folder / "time").is_symlink()
    assert (folder.parent / "elsewhere" / "a").read_bytes() == b"old"
