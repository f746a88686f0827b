"""Links among the artifacts: those within a folder and those that DVC has made are followed, no others."""

import hashlib
import re
from functools import partial
from pathlib import Path

from boomerang.base.errors import ArtifactError

# A file in DVC's cache is named by the MD5 of its content, the first two digits as a folder.
CACHED = re.compile("[0-9a-f]{2}/[0-9a-f]{30}")


def check_link(path: Path) -> None:
    """Refuse a link that leads out of the folder it lies in, unless it leads to an intact file of a DVC cache.

    With `cache.type` symlink DVC leaves links into its cache where outputs were. Where that lies, the configuration of
    the project, the user or the system says, but a file in it proves by its name and content that it is one.

    Raises
    ------
    ArtifactError
        If it is such a link, or a link in a circle.
    """
    try:
        target = path.resolve()
        followed = target.is_relative_to(path.parent.resolve()) or is_cached(target)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise ArtifactError(f"{path} cannot be read: {getattr(error, 'strerror', error)}") from None
    if not followed:
        raise ArtifactError(
            f"{path} is a link that leads out of {path.parent}: it is not followed "
            "(only one to an intact file in DVC's cache is)"
        )


def is_cached(target: Path) -> bool:
    """Whether a file, named without links, lies in a cache of DVC, as DVC has put it there."""
    name = f"{target.parent.name}/{target.name}"
    if not CACHED.fullmatch(name) or not target.is_file():
        return False
    with target.open("rb") as file:
        # Not to keep secrets: it is how DVC names files.
        digest = hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
    return digest == name.replace("/", "")
