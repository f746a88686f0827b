"""A YAML file as plain values: what YAML readers take silently, such as a key that stands twice, is refused."""

from pathlib import Path
from typing import Any

import yaml

from boomerang.base.errors import SettingsError


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader that collects the keys, with rows, which stand twice in a mapping; YAML lets the last one win."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.twice: list[tuple[int, str]] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping as SafeLoader makes it, its repeated keys noted."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                self.twice.append((key_node.start_mark.line + 1, key))
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> tuple[Any, list[str]]:
    """What the YAML file at `path` holds, and a line for each key that stands twice.

    Raises
    ------
    SettingsError
        If the file cannot be read or is not plain YAML; a tag such as `!!python/object` is never followed.
    """
    try:
        loader = _PlainLoader(path.read_text(encoding="utf-8"))
        content = loader.get_single_data()
    except FileNotFoundError:
        raise SettingsError(f"{path} does not exist: run from the folder that holds it") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{path} is not plain YAML: {reason}") from None
    return content, [f"{path.name} row {row}: {key} stands twice" for row, key in sorted(loader.twice)]
