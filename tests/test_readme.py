"""The README says what is there, and nothing that is not."""

import re
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

import predict
import train
from stages import reproduce
from stages.lib.errors import BoomerangError
from stages.lib.execution import Execution

README = (ROOT / "README.md").read_text()
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


def flags_of(parser):
    return {flag for action in parser._actions for flag in action.option_strings if flag not in ("-h", "--help")}


@pytest.mark.parametrize("flag", sorted(flags_of(train.build_parser(PARAMS)) | flags_of(predict.build_parser())))
def test_every_flag_is_explained(flag):
    assert re.search(rf"^\|.*`{flag}\b.*\|", README, re.MULTILINE)


def test_every_flag_that_is_named_exists():
    known = flags_of(train.build_parser(PARAMS)) | flags_of(predict.build_parser()) | flags_of(reproduce.build_parser())
    of_others = {"--batch-size", "--rounds", "--targets", "--log_loss", "--queue", "--temp", "--only-changed", "--drop"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z_-]+", README)) <= known | of_others


@pytest.mark.parametrize(
    "setting",
    [f"{section}.{name}" for section in ("prepare", "sequences", "train", "evaluate") for name in PARAMS[section]],
)
def test_every_setting_stands_with_its_default(setting):
    section, name = setting.split(".")
    default = PARAMS[section][name]
    shown = ",".join(map(str, default)) if isinstance(default, list) else yaml.safe_dump(default).split()[0]
    row = next(line for line in README.splitlines() if line.startswith(f"| `{setting}`"))
    assert row.split("|")[2].strip(" `") == shown


def test_every_execution_variable_is_explained():
    known = {f"BOOMERANG_{name.upper()}" for name in Execution.model_fields} | {"BOOMERANG_DEBUG"}
    assert set(re.findall(r"BOOMERANG_[A-Z_]+", README)) == known


def test_every_exit_code_is_explained():
    codes = {error.exit_code for error in (BoomerangError, *BoomerangError.__subclasses__())}
    assert codes == {int(row[1]) for row in re.finditer(r"^\| (\d) \|", README, re.MULTILINE)}


def test_torch_is_not_older_than_its_known_holes():
    pinned = re.search(r"^torch==(\d+)\.(\d+)", (ROOT / "requirements-pipeline.txt").read_text(), re.MULTILINE)
    assert (int(pinned[1]), int(pinned[2])) >= (2, 10)


def test_the_tree_lists_every_file_and_no_other():
    block = README.partition("## The tree\n\n```\n")[2].partition("```")[0]
    folders, listed = [], set()
    for line in block.splitlines():
        found = re.match(r"((?:│   |    )*)[├└]── (\S+)", line)
        folders[len(found[1]) // 4 :] = [found[2]]
        listed.add("/".join(folders))
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    # These folders stand for what is in them.
    expected = {re.sub(r"^(tests|\.dvc)/.*", r"\1", path) for path in tracked}
    expected |= {parent for path in expected if "/" in path for parent in [path.rpartition("/")[0]]}
    assert listed | {".ci", ".github/workflows"} == expected


def test_the_member_in_five_lines_loads_and_predicts(trained, tmp_path):
    script = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    assert len(script.split("\n\n")[-1].strip().splitlines()) == 4  # and the import
    # The small training of the tests has other sizes than the defaults.
    script = script.replace("64, 2,", "4, 1,").replace("64, 1", "4, 1").replace("seq5", "seq4")
    (tmp_path / "artifacts").symlink_to(trained)
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert re.fullmatch(r"tensor\(\[\[0\.\d+\]\].*\)\n", done.stdout), done.stderr
