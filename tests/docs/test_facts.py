"""The pages explain every flag, setting, variable and exit code, and no other; their links lead somewhere."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from boomerang.base.errors import BoomerangError
from boomerang.base.execution import Execution
from boomerang.commands import predict, train_flags
from tests.docs.support import PAGES, PARAMS
from tests.support import ROOT
from tools import reproduce

# Flags of other programs that the pages name.
FLAGS_OF_OTHERS = {
    *(
        "--targets",
        "--queue",
        "--temp",
        "--only-changed",
        "--drop",
        "--allow-missing",
        "--force",
        "--name",
        "--subdir",
    ),  # dvc
    *("--rounds", "--log_loss", "--batch-size", "--help"),  # benchmarks, data/sample.py, a spelling, every program
    "--figures",  # data/customers.py
    "--check",  # ruff
}


def flags_of(parser):
    return {flag for action in parser._actions for flag in action.option_strings if flag not in ("-h", "--help")}


TRAIN_FLAGS, PREDICT_FLAGS = flags_of(train_flags.build_parser(PARAMS)), flags_of(predict.build_parser())


@pytest.mark.parametrize(
    ("page", "flag"),
    [("docs/settings.md", flag) for flag in sorted(TRAIN_FLAGS)]
    + [("docs/prediction.md", flag) for flag in sorted(PREDICT_FLAGS)],
)
def test_every_flag_is_explained(page, flag):
    assert re.search(rf"^\|.*`{flag}\b.*\|", PAGES[page], re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_that_a_page_names_exists(page):
    known = TRAIN_FLAGS | PREDICT_FLAGS | flags_of(reproduce.build_parser()) | {"--output_dir"}
    # A renamed flag stands in the changelog by its old name.
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z_-]+", PAGES[page]))
    assert named <= known | FLAGS_OF_OTHERS


@pytest.mark.parametrize(
    "setting",
    [
        f"{section}.{name}"
        for section in ("prepare", "sequences", "train", "train_trees", "evaluate")
        for name in PARAMS[section]
    ],
)
def test_every_setting_stands_with_its_default(setting):
    section, name = setting.split(".")
    default = PARAMS[section][name]
    shown = yaml.safe_dump(default).split()[0]
    if isinstance(default, list):
        shown = ",".join(map(str, default)) or "none"
    row = next(line for line in PAGES["docs/settings.md"].splitlines() if line.startswith(f"| `{setting}`"))
    assert row.split("|")[2].strip(" `") == shown


def test_every_flag_of_the_readme_stands_with_its_default():
    rows = re.findall(r"^\| `--(\w+)` \| (.*?) \|", PAGES["README.md"], re.MULTILINE)
    defaults = {name: value for section in PARAMS.values() for name, value in section.items() if value is not None}
    assert len(rows) == 5
    for name, shown in rows:
        default = defaults.get(name, "ISO 8601")
        assert shown == (",".join(map(str, default)) if isinstance(default, list) else str(default))


def test_every_execution_variable_is_explained():
    known = {f"BOOMERANG_{name.upper()}" for name in Execution.model_fields} | {"BOOMERANG_DEBUG"}
    assert set(re.findall(r"BOOMERANG_[A-Z_]+", PAGES["docs/settings.md"])) == known
    assert set(re.findall(r"BOOMERANG_[A-Z_]+", "".join(PAGES.values()))) == known


def test_every_exit_code_is_explained():
    codes = {error.exit_code for error in (BoomerangError, *BoomerangError.__subclasses__())}
    assert codes == {int(row[1]) for row in re.finditer(r"^\| (\d) \|", PAGES["docs/settings.md"], re.MULTILINE)}


def test_torch_is_not_older_than_its_known_holes():
    pinned = re.search(r"^torch==(\d+)\.(\d+)", (ROOT / "requirements-pipeline.txt").read_text(), re.MULTILINE)
    assert (int(pinned[1]), int(pinned[2])) >= (2, 10)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_promises_what_was_never_tried_on_other_systems(page):
    sentences = re.split(r"(?<=[.|:;])\s", " ".join(PAGES[page].split()))
    for sentence in sentences:
        if re.search(r"\bWindows\b(?!-1252)|\bmacOS\b", sentence):
            assert re.search("never been tried|lacks|nothing runs|torch's slower LSTM", sentence), sentence


def test_the_package_is_said_to_be_for_the_system_that_is_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    systems = [name for name in project["classifiers"] if name.startswith("Operating System")]
    assert systems == ["Operating System :: POSIX :: Linux"]


def test_the_readme_is_read_in_five_minutes():
    assert len(PAGES["README.md"].splitlines()) <= 250


def test_the_limits_of_the_model_card_stand_in_the_readme():
    card = (ROOT / "boomerang" / "report" / "model_card.md.jinja").read_text()
    limits = re.findall(r"^- .*$", card.partition("## Limits\n")[2].partition("\n## ")[0], re.MULTILINE)
    assert len(limits) >= 4
    assert "\n".join(limits) in PAGES["README.md"]


def slug(heading):
    """The anchor that a code host gives a heading."""
    words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def without_blocks(text):
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(PAGES[page])):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", without_blocks(path.read_text()), re.MULTILINE)
            assert anchor in map(slug, headings), target


def test_no_page_is_an_orphan():
    linked = {Path(target.partition("#")[0]).name for target in re.findall(r"\]\(([^)\s]+)\)", PAGES["docs/README.md"])}
    assert {Path(page).name for page in PAGES if page.startswith("docs/")} - {"README.md"} <= linked
