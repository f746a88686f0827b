import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from boomerang.base import errors
from boomerang.base.ensembles import ENSEMBLES
from boomerang.base.errors import DataError, SettingsError
from boomerang.base.numerics import decides_a_bit
from boomerang.base.wording import calling_settings
from boomerang.base.yaml_file import read_yaml
from boomerang.commands import train, train_flags
from tests.benchmarks import kills
from tests.support import ROOT, wait_until_ended, write_purchases

FLAGS = [
    "data_path",
    "epochs",
    "batch_size",
    "lr",
    "hidden_size",
    "num_layers",
    "val_split",
    "test_split",
    "use_gpu",
    "max_seq_cap",
    "precision",
    "num_workers",
    "pin_memory",
    "prefetch_factor",
    "grad_accum_steps",
    "early_stopping_patience",
    "lr_schedule",
    "seq_lengths",
    "artifacts_dir",
    "seed",
    "version",
    "quiet",
    "store",
    "no_store",
    "debug",
    "number_transform",
    "datetime_format",
    "timezone",
    "on_bad_rows",
]


def run(*arguments, cwd=ROOT, **environment):
    inherited = {name: value for name, value in os.environ.items() if not decides_a_bit(name)}
    return subprocess.run(
        [sys.executable, ROOT / "train.py", *map(str, arguments)],
        cwd=cwd,
        env=inherited | environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def run_here(tmp_path, monkeypatch, capfd):
    """`run` in this process and in `tmp_path`: with nothing to import, it is seconds faster."""

    def run_here(*arguments):
        monkeypatch.chdir(tmp_path)
        at_sigterm = signal.getsignal(signal.SIGTERM)
        try:
            train.main([*map(str, arguments)])
        except SystemExit as end:
            code = end.code
        else:
            code = 0
        finally:
            signal.signal(signal.SIGTERM, at_sigterm)
        return subprocess.CompletedProcess(arguments, code, *capfd.readouterr())

    return run_here


@pytest.fixture
def small(tmp_path):
    path = write_purchases(tmp_path / "purchases.csv")
    # One job: trained in the process itself, it starts sooner.
    return ["--data_path", path, "--epochs", 1, "--hidden_size", 4, "--seq_lengths", "2,4", "--jobs", 1]


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_has_help_and_default(flag):
    parser = train_flags.build_parser(read_yaml(ROOT / "params.yaml")[0])
    action = next(action for action in parser._actions if f"--{flag}" in action.option_strings)
    assert action.help
    assert flag == "version" or "(default: " in action.help


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["2,3,5"], [2, 3, 5]), (["2 3 5"], [2, 3, 5]), (["2", "3,", "5"], [2, 3, 5]), (["auto"], "auto")],
)
def test_sequence_lengths_in_every_spelling(words, expected):
    assert train_flags.parse_lengths(words) == expected


def test_sequence_lengths_that_are_no_numbers_are_refused():
    with pytest.raises(SettingsError, match=r"--seq_lengths must be whole numbers.*\(found '2 x'\)"):
        train_flags.parse_lengths(["2", "x"])


def test_dashes_and_the_old_spelling_reach_the_same_settings(params):
    parser = train_flags.build_parser(params)
    flags = parser.parse_args(
        train_flags.normalise_flags(["--batch-size=64", "--prefatch_factor", "4", "--data-path", "a-b"])
    )
    assert (flags.batch_size, flags.prefetch_factor, flags.data_path) == (64, 4, "a-b")


def test_a_flag_wins_over_the_overrides_of_one_ensemble(params):
    params["train_simple"]["lr"] = 0.5
    flags = train_flags.build_parser(params).parse_args(["--lr", "0.25", "--seed", "3"])
    config = train_flags.apply_flags(params, flags)
    assert [config.training(name).lr for name in ("time", "simple")] == [0.25, 0.25]
    assert config.train.seed == 3
    assert config.train.epochs == params["train"]["epochs"]


def test_the_documented_command_works_and_says_that_there_is_no_gpu(tmp_path, run_here, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    write_purchases(tmp_path / "data.csv", 120)
    arguments = "--data_path data.csv --epochs 1 --batch_size 64 --lr 0.001 --hidden_size 64 --num_layers 2"
    arguments += " --val_split 0.2 --use_gpu --max_seq_cap 128 --precision fp32 --jobs 1"
    found = run_here(*arguments.split())
    assert found.returncode == 0, found.stderr
    assert "no CUDA device found, training on the CPU" in found.stderr
    assert "simple  L=24  epoch 1" in found.stderr
    assert "simple      24" in found.stdout
    questions = json.loads((tmp_path / "artifacts" / "evaluation" / "evaluation.json").read_text())["questions"]
    answers = [questions[name] for name in ("next", "made")]
    said = [line for of_one in answers for line in (of_one["verdict"], of_one["parts"]["sentence"])]
    verdicts = [line.replace("test_split", "--test_split") for line in said]
    assert found.stdout.splitlines()[-5:] == [*verdicts, "report: artifacts/evaluation/report.html"]
    assert (tmp_path / "artifacts" / "models_meta.json").exists()


def test_a_run_from_another_folder_gives_the_same_bytes(small, tmp_path, run_here):
    assert run_here(*small, "--quiet", "--artifacts_dir", "a/out").returncode == 0
    (tmp_path / "b").mkdir()
    options = ["--quiet", "--artifacts_dir", "out", "--jobs", 3]
    found = run(*small, *options, cwd=tmp_path / "b", PYTHONHASHSEED="3", TZ="Etc/GMT+3")
    assert (found.returncode, found.stderr) == (0, "")
    expected = kills.contents(tmp_path / "a")
    assert kills.contents(tmp_path / "b") == expected
    assert len(expected) == 50


def test_a_length_more_trains_a_member_per_ensemble_and_one_less_none(small, tmp_path, run_here, monkeypatch):
    monkeypatch.delenv("BOOMERANG_NO_STORE", raising=False)
    trained = []
    for lengths in ("2,4", "2,3,4", "2,3"):
        found = run_here(*small, "--seq_lengths", lengths, "--artifacts_dir", "out", "--store", "store")
        assert found.returncode == 0, found.stderr
        trained.append({line[:2] for line in kills.EPOCH.findall(found.stderr)})
    assert trained[1:] == [{(ensemble, "3") for ensemble in ENSEMBLES}, set()]


def test_a_quiet_run_without_test_purchases_ends_by_saying_that_there_is_no_verdict(small, run_here):
    found = run_here(*small, "--quiet", "--test_split", "0", "--artifacts_dir", "out")
    assert "no verdict: no purchases were kept for testing" in found.stdout.splitlines()[-2]
    assert found.stdout.splitlines()[-1] == "report: out/evaluation/report.html"


def test_a_run_with_other_lengths_leaves_no_old_member(small, tmp_path, run_here):
    for lengths in ("2,4", "3"):
        assert run_here(*small, "--seq_lengths", lengths, "--artifacts_dir", "out").returncode == 0
    expected = {spec.member_file(3) for spec in ENSEMBLES.values()}
    assert {path.name for path in (tmp_path / "out").rglob("*.pth")} == expected
    assert json.loads((tmp_path / "out" / "models_meta.json").read_text())["seq_lengths"] == [3]


def test_bf16_trains_on_any_cpu(small, tmp_path):
    found = run(*small, "--precision", "bf16", "--artifacts_dir", "out", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert json.loads((tmp_path / "out" / "models_meta.json").read_text())["precision"] == "bf16"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--epochs", "0"], 2, "error: --epochs: must be a whole number from 1 to 100000 (found 0)"),
        (["--epochs", "ten"], 2, "argument --epochs: invalid int value: 'ten'"),
        (["--epochs", "1_0"], 2, "argument --epochs: invalid int value: '1_0'"),
        (["--lr", "0.0_1"], 2, "argument --lr: invalid float value: '0.0_1'"),
        (["--jobs", "\u0663"], 2, "argument --jobs: invalid int value"),
        (["--seq_lengths", "1_0"], 2, "--seq_lengths must be whole numbers like 2,3,5 or auto (found '1_0')"),
        (["--seq_lengths", "2,x"], 2, "--seq_lengths must be whole numbers"),
        (["--num_workers", "-1"], 2, "error: --num_workers: must be a whole number from 0 to 1024 (found -1)"),
        (["--unknown", "1"], 2, "unrecognized arguments: --unknown 1"),
        (["--data_path", "none.csv"], 3, "error: none.csv: cannot be read: No such file or directory"),
        (
            ["--precision", "fp16"],
            2,
            "error: --precision fp16 needs --use_gpu (found precision fp16 on the CPU for time)",
        ),
        (["--precision", "fp16", "--use_gpu"], 2, "error: --precision fp16 needs a GPU"),
        (["--data_path", ROOT / "README.md"], 3, "error: README.md row 1: expected the columns datetime, returned"),
        (["--timezone", "Nowhere"], 2, "error: --timezone: must be an IANA zone like Europe/London (found 'Nowhere')"),
    ],
)
def test_what_cannot_be_done_ends_with_a_message_and_an_exit_code(run_here, monkeypatch, arguments, code, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = run_here(*arguments)
    assert found.returncode == code
    assert message in found.stderr
    assert "Traceback" not in found.stderr


# For each flag of a setting a value out of its range, and the rule of each that several of them break together.
OUT_OF_RANGE = {
    "group_column": "number",
    "numeric_columns": "price,number",
    "categorical_columns": "product,product",
    "max_values": 0,
    "label_delay_days": -1,
    "rate_strength": 0,
    **dict.fromkeys(("epochs", "batch_size", "hidden_size", "num_layers", "grad_accum_steps", "max_seq_cap"), "0"),
    **dict.fromkeys(("val_split", "test_split", "lr"), "11"),
    **dict.fromkeys(("n_folds", "seed", "early_stopping_patience", "equivalence_margin"), "-1"),
    **dict.fromkeys(("cost_missed", "cost_needless"), "-1"),
    "shown_columns": "number",
    **{"trees_rounds": "0", "trees_lr": "2", "trees_leaves": "1", "trees_early_stopping_patience": "-1"},
    **{"seq_lengths": "0", "datetime_format": "%Q", "timezone": "Nowhere", "data_path": ""},
}


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE.items())
def test_a_refused_setting_is_called_by_its_flag(params, capsys, name, value):
    kind = next((flag[2] for flag in train_flags.SETTING_FLAGS if flag[0] == name), str)
    assert not isinstance(kind, tuple)
    check_called_by_flags(params, capsys, [f"--{name}={value}"], [name])


def test_every_setting_with_a_flag_is_tried_or_has_choices():
    choices = {name for name, _, kind, _ in train_flags.SETTING_FLAGS if isinstance(kind, tuple)}
    assert {name for name, *_ in train_flags.SETTING_FLAGS} | {"seq_lengths"} == OUT_OF_RANGE.keys() | choices


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--val_split", "0.9"], ["val_split", "test_split"]),
        (["--n_folds", "5", "--test_split", "0"], ["n_folds", "test_split"]),
        (["--precision", "fp16"], ["precision", "use_gpu"]),
        (["--seq_lengths", "500"], ["seq_lengths", "max_seq_cap"]),
        (["--cost_missed", "8"], ["cost_missed", "cost_needless"]),
        (["--cost_missed", "price", "--cost_needless", "1"], ["cost_missed", "cost_needless"]),
        (["--group_column", "product", "--categorical_columns", "product"], ["group_column", "categorical_columns"]),
        (["--cost_missed", "0", "--cost_needless", "0"], ["cost_missed", "cost_needless"]),
        (["--shown_columns", "product"], ["shown_columns", "categorical_columns"]),
        (["--datetime_format", "%d/%m/%Y %H:%M %z"], ["datetime_format", "timezone"]),
    ],
)
def test_settings_that_do_not_go_together_are_called_by_their_flags(params, capsys, arguments, names):
    check_called_by_flags(params, capsys, arguments, names)


def check_called_by_flags(params, capsys, arguments, names):
    """Fail unless the settings that the flags give are refused with those names, and none by its key."""
    with pytest.raises(SystemExit), calling_settings(train_flags.FLAG_NAMES), errors.exit_on_error():
        train_flags.apply_flags(params, train_flags.build_parser(params).parse_args(arguments))
    err = capsys.readouterr().err
    assert all(f"--{name}" in err for name in names), err
    rules = err.partition("(found")[0]
    assert not re.search(r"settings:|prepare|train\.|sequences\.|evaluate\.", rules), err
    assert not any(re.search(rf"(?<!-){name}", rules) for name in names), err


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("price", ["price"]),
        ("product, country", ["product", "country"]),
        ('"weight, kg",price', ["weight, kg", "price"]),
        ("", []),
        ("price,", ["price", ""]),
    ],
)
def test_names_of_columns_are_parted_by_commas_outside_of_quotes(text, names):
    assert train_flags.parse_names(text) == names


def test_the_file_is_read_by_what_flags_say_and_its_faults_name_them(tmp_path, run_here):
    path = tmp_path / "a.csv"
    path.write_text("datetime,returned,number\n" + "31.01.2024 18:05,no,1\n" * 9)
    found = run_here("--data_path", path)
    assert "31 January 2024 with %d.%m.%Y %H:%M: say which in --datetime_format;" in found.stderr
    found = run_here("--data_path", path, "--datetime_format", "%d/%m/%Y")
    assert "datetime must be in the form %d/%m/%Y (--datetime_format), and exist" in found.stderr
    path.write_text("datetime,returned,number\n2024-03-30T09:00+01:00,no,1\n2024-03-31T09:00+02:00,no,1\n")
    assert "or --timezone must say which zone to convert to" in run_here("--data_path", path).stderr


def test_a_variable_that_is_refused_is_called_by_its_name(run_here, monkeypatch):
    monkeypatch.setenv("BOOMERANG_JOBS", "0")
    assert run_here().stderr == "error: BOOMERANG_JOBS: must be a whole number from 1 to 1024 (found '0')\n"


def wait_until(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def heed_ctrl_c():
    # A shell starts its background jobs, and whatever they start, with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def long_run(small, tmp_path):
    """A training that would take hours, once its members are at work, in a process group of its own."""
    command = [sys.executable, ROOT / "train.py", *map(str, small), "--epochs", "100000", "--jobs", "2"]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            [*command, "--artifacts_dir", tmp_path / "out"],
            stderr=log,
            cwd=tmp_path,
            start_new_session=True,
            preexec_fn=heed_ctrl_c,
        ) as process,
    ):
        try:
            wait_until(lambda: b"epoch 3" in (tmp_path / "log").read_bytes())
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_kill_end_workers_too_and_leave_nothing(long_run, tmp_path, number):
    workers = psutil.Process(long_run.pid).children(recursive=True)
    assert workers
    os.kill(long_run.pid, number)
    assert long_run.wait(30) == 128 + number
    wait_until_ended(workers)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_second_run_is_refused_until_kill_9_ends_the_first_and_then_clears_up(long_run, small, tmp_path, run_here):
    found = run(*small, "--artifacts_dir", "out", cwd=tmp_path)
    assert found.returncode == 6
    assert found.stderr == "error: out: another run is writing here; start again when it has ended\n"
    assert long_run.poll() is None
    workers = psutil.Process(long_run.pid).children(recursive=True)
    long_run.kill()
    wait_until_ended(workers)
    assert run_here(*small, "--artifacts_dir", "out").returncode == 0
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == [".lock"]


def test_a_run_killed_with_its_workers_is_taken_up_where_it_stopped(small, tmp_path, run_here):
    # tests/benchmarks/kills.py does this at twenty random moments.
    arguments = [*map(str, small), "--epochs", "4"]
    assert run_here(*arguments, "--artifacts_dir", "reference").returncode == 0
    killed = tmp_path / "killed"
    killed.mkdir()
    with kills.start([*arguments, "--jobs", "2"], killed) as process:
        wait_until(lambda: "simple  L=2   epoch 1" in (killed / "log").read_text())
        os.killpg(process.pid, signal.SIGKILL)
    assert kills.finish(arguments, killed) == kills.contents(tmp_path / "reference")
    epochs = kills.EPOCH.findall((killed / "log").read_text())
    assert len(set(epochs)) == len(epochs) > 6


def test_the_store_changes_no_byte(small, tmp_path, run_here, monkeypatch):
    monkeypatch.setenv("BOOMERANG_NO_STORE", "")
    for name in ("a", "b"):
        assert run_here(*small, "--artifacts_dir", name, "--store", "store").returncode == 0
    assert run_here(*small, "--artifacts_dir", "c", "--no_store").returncode == 0
    assert kills.contents(tmp_path / "a") == kills.contents(tmp_path / "b") == kills.contents(tmp_path / "c")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_an_output_folder_that_cannot_be_written_is_found_before_training(small, run_here):
    found = run_here(*small, "--artifacts_dir", "/proc/out")
    assert found.returncode == 1
    assert found.stderr.startswith("error: [Errno")
    assert "/proc/out" in found.stderr
    assert "epoch" not in found.stderr


def test_folders_of_somebody_else_are_not_replaced(small, tmp_path, run_here):
    (tmp_path / "out" / "time").mkdir(parents=True)
    (tmp_path / "out" / "time" / "notes.txt").write_text("mine")
    found = run_here(*small, "--artifacts_dir", "out")
    assert found.returncode == 2
    assert "out holds time and nothing that tells that they are artifacts" in found.stderr
    assert (tmp_path / "out" / "time" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["--max_seq_cap", "4"], ["--max_seq_cap 4 does nothing with --seq_lengths up to 4"]),
        (["--max_seq_cap", "3"], []),
        (["--cost_missed", "number", "--cost_needless", "1.5"], []),
        (
            ["--equivalence_margin", "0.1", "--test_split", "0"],
            ["--equivalence_margin does nothing with --test_split 0"],
        ),
        (["--rate_strength", "5"], ["--rate_strength does nothing without --group_column and --label_delay_days"]),
        (["--rate_strength", "5", "--group_column", "customer"], []),
        (["--rate_strength", "5", "--label_delay_days", "7"], []),
        (
            ["--cost_missed", "8", "--cost_needless", "1", "--test_split", "0"],
            ["--cost_missed and --cost_needless do nothing with --test_split 0"],
        ),
        # The cap of params.yaml, 128, would have let them pass, or would have refused the longest.
        (
            ["--max_seq_cap", "1000", "--seq_lengths", "2,128"],
            ["--max_seq_cap 1000 does nothing with --seq_lengths up to 128"],
        ),
        (["--max_seq_cap", "1000", "--seq_lengths", "2,129"], []),
        (["--max_seq_cap", "1000", "--seq_lengths", "2,1000"], []),
        (["--max_seq_cap", "1000", "--seq_lengths", "2,1001"], []),
        (["--max_seq_cap", "4", "--seq_lengths", "auto"], []),
        (
            ["--pin_memory", "--lr_schedule", "cosine"],
            [
                "--lr_schedule cosine does nothing with epochs 1 (time, simple, context)",
                "--pin_memory does nothing without --use_gpu",
            ],
        ),
    ],
)
def test_a_flag_that_does_nothing_is_warned_of(small, run_here, monkeypatch, given, found):
    monkeypatch.setattr(train, "run", lambda *given: None)
    ended = run_here(*small, *given)
    assert (ended.returncode, ended.stderr.splitlines()) == (0, [f"warning: {line}" for line in found])


@pytest.mark.parametrize("name", ["metrics.json", "MODEL_CARD.md", "backtest.json", "models_meta.json", "evaluation/a"])
def test_files_of_somebody_else_are_not_replaced_and_nothing_is_trained(small, tmp_path, run_here, name):
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).write_text("mine")
    (tmp_path / "out" / ".lock").touch()
    found = run_here(*small, "--artifacts_dir", "out")
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert f"out holds {name.partition('/')[0]} and nothing that tells that they are artifacts; move" in found.stderr
    files = {path.name: path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {Path(name).name: "mine", ".lock": ""}


def test_debug_lets_the_error_through(run_here):
    with pytest.raises(DataError, match=r"none\.csv"):
        run_here("--data_path", "none.csv", "--debug")


def test_version_is_printed(run_here):
    assert run_here("--version").stdout == f"boomerang {train_flags.__version__}\n"
