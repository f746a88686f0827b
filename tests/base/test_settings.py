import time

import pytest
import yaml

from boomerang.base import settings
from boomerang.base.errors import SettingsError


def test_shipped_params_are_valid_and_carry_the_documented_defaults():
    config = settings.load()
    assert config.sequences.seq_lengths == [2, 3, 5, 8, 12, 24]
    assert (config.prepare.val_split, config.prepare.test_split) == (0.2, 0.1)
    assert (config.evaluate.cost_missed, config.evaluate.cost_needless) == (None, None)
    assert config.evaluate.shown_columns == []
    assert config.train.model_dump() == {
        "seed": 0,
        "epochs": 10,
        "batch_size": 32,
        "lr": 0.001,
        "hidden_size": 64,
        "num_layers": 2,
        "grad_accum_steps": 1,
        "early_stopping_patience": 0,
        "lr_schedule": "constant",
        "precision": "fp32",
        "use_gpu": False,
    }


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("train", "epochs", 0, "train.epochs: must be a whole number from 1 to 100000 (found 0)"),
        ("train", "epochs", "ten", "train.epochs: must be a whole number from 1 to 100000 (found 'ten')"),
        ("train", "epochs", True, "train.epochs: must be a whole number from 1 to 100000 (found True)"),
        ("train", "epochs", 1.5, "train.epochs: must be a whole number from 1 to 100000 (found 1.5)"),
        ("train", "lr", 0, "train.lr: must be a number above 0 and up to 10 (found 0)"),
        ("train", "lr", float("nan"), "train.lr: must be a number above 0 and up to 10 (found nan)"),
        ("train", "lr", float("inf"), "train.lr: must be a number above 0 and up to 10 (found inf)"),
        ("train", "lr", "fast", "train.lr: must be a number above 0 and up to 10 (found 'fast')"),
        ("train", "precision", "fp8", "train.precision: input should be 'fp32', 'fp16' or 'bf16' (found 'fp8')"),
        ("train", "use_gpu", "maybe", "train.use_gpu: input should be a valid boolean (found 'maybe')"),
        ("train", "learning_rate", 0.1, "train.learning_rate is not a setting (found 0.1)"),
        ("train_simple", "lr", -1, "train_simple.lr: must be a number above 0 and up to 10 (found -1)"),
        *(
            (
                "evaluate",
                "equivalence_margin",
                value,
                f"evaluate.equivalence_margin: must be a number above 0 and up to 1 (found {value!r})",
            )
            for value in (0, -0.005, 1.5, float("nan"), float("inf"), "small")
        ),
        *(
            (
                "evaluate",
                "cost_missed",
                value,
                f"evaluate.cost_missed: must be an amount from 0 to 1e+12, the word number or a numeric column "
                f"(found {value!r})",
            )
            for value in (-1, 2e12, float("nan"), True, "")
        ),
        (
            "evaluate",
            "cost_needless",
            1,
            "evaluate: cost_missed and cost_needless must be given together, or neither (found None and 1.0)",
        ),
        *(
            (
                "prepare",
                section,
                [value],
                f"prepare.{section}: must be up to 64 names of further columns, neither datetime, returned, number nor "
                f"instant, of up to 200 printable characters without outer blanks (found {value!r})",
            )
            for section in ("numeric_columns", "categorical_columns")
            for value in ("datetime", "Returned", "number", " price", "a\tb", "")
        ),
        *(
            (
                "prepare",
                "numeric_columns",
                value,
                "prepare: group_column, numeric_columns and categorical_columns must name a column once "
                f"(found {name!r} twice)",
            )
            for value, name in ((["price", "price"], "price"), (["Price", "price"], "price"))
        ),
        ("prepare", "max_values", 0, "prepare.max_values: must be a whole number from 1 to 1000000000 (found 0)"),
        (
            "evaluate",
            "shown_columns",
            ["product"],
            "evaluate.shown_columns must be among prepare.categorical_columns (found 'product', not in [])",
        ),
        ("prepare", "val_split", 0, "prepare.val_split: must be a share above 0 and below 1 (found 0)"),
        (
            "prepare",
            "val_split",
            0.95,
            "prepare: val_split + test_split must be below 1, or no row is left to train on (found 0.95 + 0.1)",
        ),
        (
            "prepare",
            "datetime_format",
            "%d/%m",
            "prepare.datetime_format: must be a strptime pattern with day, month and year, like %d/%m/%Y "
            "(found '%d/%m')",
        ),
        *(
            (
                "prepare",
                "datetime_format",
                value,
                "prepare.datetime_format: must keep the hour and all between, like %H:%M or %I:%M %p "
                f"(found {value!r})",
            )
            for value in ("%d/%m/%Y %I:%M", "%d/%m/%Y %M", "%d/%m/%Y %H:%S", "%d/%m/%Y %p")
        ),
        (
            "prepare",
            "datetime_format",
            "%m/%d/%Y %H:%M %p",
            "prepare.datetime_format: must give each part of a time once (found %H and %p in '%m/%d/%Y %H:%M %p')",
        ),
        (
            "prepare",
            "datetime_format",
            "%d/%m/%Y %y",
            "prepare.datetime_format: must give each part of a time once (found %Y and %y in '%d/%m/%Y %y')",
        ),
        (
            "prepare",
            "datetime_format",
            "%A (%a) %d/%m/%Y",
            "prepare.datetime_format: must give each part of a time once (found %A and %a in '%A (%a) %d/%m/%Y')",
        ),
        *(
            (
                "prepare",
                "datetime_format",
                f"%d/%m/%Y %{mark}",
                "prepare.datetime_format: must be made of %Y %y %m %B %b %d %j %A %a %H %I %M %S %f %p %z %% "
                f"(found %{mark} in '%d/%m/%Y %{mark}')",
            )
            for mark in ("Z", "c", "-")
        ),
        (
            "prepare",
            "datetime_format",
            "%d/%m/%Y %d",
            "prepare.datetime_format: must be a strptime pattern with day, month and year, like %d/%m/%Y "
            "(found '%d/%m/%Y %d')",
        ),
        (
            "prepare",
            "datetime_format",
            "%d/%m/%Y %H:%M %z",
            "prepare: datetime_format with %z needs timezone: the zone to convert to (found None)",
        ),
        (
            "prepare",
            "timezone",
            "Mars/Olympus",
            "prepare.timezone: must be an IANA zone like Europe/London (found 'Mars/Olympus')",
        ),
        (
            "prepare",
            "timezone",
            "../../etc/passwd",
            "prepare.timezone: must be an IANA zone like Europe/London (found '../../etc/passwd')",
        ),
        *(
            (
                "prepare",
                "timezone",
                value,
                f"prepare.timezone: must be an IANA zone like Europe/London (found {value!r})",
            )
            for value in ("localtime", "right/Europe/London", "posixrules")
        ),
        (
            "sequences",
            "seq_lengths",
            [200, 129],
            "sequences: seq_lengths must have a length up to max_seq_cap, or none is left (found [200, 129] above 128)",
        ),
        *(
            (
                "sequences",
                "seq_lengths",
                value,
                "sequences.seq_lengths: must be auto or a list of different whole numbers from 1 to 10000 "
                f"(found {value!r})",
            )
            for value in ([], [2, 2], [0], [True], ["2"], 5, None, "all", [10001])
        ),
        (
            "sequences",
            "max_seq_cap",
            None,
            "sequences.max_seq_cap: must be a whole number from 1 to 10000 (found None)",
        ),
        ("train", "precision", "fp16", "precision fp16 needs use_gpu (found precision fp16 on the CPU for time)"),
    ],
)
def test_bad_values_are_named_with_path_rule_and_value(params, section, key, value, message):
    params[section][key] = value
    with pytest.raises(SettingsError) as refused:
        settings.validate_settings(params, "params.yaml")
    assert str(refused.value) == f"params.yaml: {message}"


@pytest.mark.parametrize(
    "pattern", ["%d/%m/%Y %%z", "%d/%m/%Y %%Z", "%Y-%j %H", "%d %B %y, %I:%M:%S.%f %p", "%d.%m.%Y %H:%M Uhr"]
)
def test_patterns_that_lose_nothing_are_taken(params, pattern):
    params["prepare"]["datetime_format"] = pattern
    assert settings.validate_settings(params, "test").prepare.datetime_format == pattern


def test_a_tree_of_aliases_is_refused_at_once(tmp_path, params):
    bomb = "bomb: &a0 [x, x]\n" + "".join(f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params) + bomb.replace("b8:", "train_time:"))
    start = time.process_time()
    with pytest.raises(SettingsError, match="b7 is not a setting") as refused:
        settings.load(path)
    assert time.process_time() - start < 1
    assert max(map(len, str(refused.value).splitlines())) < 300


@pytest.mark.parametrize(
    ("missed", "needless"), [(8, 1), (0, 2.5), ("number", 1.5), (3, "number"), ("number", "number"), (None, None)]
)
def test_costs_are_amounts_or_the_number_of_the_purchase(params, missed, needless):
    params["evaluate"] |= {"cost_missed": missed, "cost_needless": needless}
    found = settings.validate_settings(params, "test").evaluate
    assert (found.cost_missed, found.cost_needless) == (missed, needless)


@pytest.mark.parametrize(
    ("shown_columns", "message"),
    [
        (
            ["price"],
            "shown_columns must be among prepare.categorical_columns (found 'price', not in ['product', 'hat'])",
        ),
        (["hat", "hat"], "shown_columns must name a column once (found 'hat' twice)"),
    ],
)
def test_columns_that_are_shown_are_categorical_ones_each_once(params, shown_columns, message):
    params["prepare"] |= {"numeric_columns": ["price"], "categorical_columns": ["product", "hat"]}
    params["evaluate"]["shown_columns"] = ["hat"]
    assert settings.validate_settings(params, "test").evaluate.shown_columns == ["hat"]
    params["evaluate"]["shown_columns"] = shown_columns
    with pytest.raises(SettingsError) as refused:
        settings.validate_settings(params, "test")
    assert str(refused.value) == f"test: evaluate.{message}"


def test_costs_of_which_neither_costs_anything_are_refused(params):
    params["evaluate"] |= {"cost_missed": 0, "cost_needless": 0.0}
    with pytest.raises(SettingsError) as refused:
        settings.validate_settings(params, "test")
    assert str(refused.value) == "test: evaluate: cost_missed or cost_needless must be above 0 (found 0 for both)"


def test_all_faults_are_named_at_once(params):
    del params["train"]["seed"]
    params["train"]["lr"] = -1
    params["extra"] = {}
    params["train_time"] = [1]
    with pytest.raises(SettingsError) as caught:
        settings.validate_settings(params, "params.yaml")
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert "params.yaml: train.seed is missing" in lines
    assert "params.yaml: extra is not a setting (found {})" in lines
    assert "params.yaml: train_time must be a mapping of settings (found [1])" in lines


def test_keys_that_stand_twice_are_named_with_the_other_faults(tmp_path, params):
    path = tmp_path / "params.yaml"
    params["train"]["lr"] = -1
    path.write_text(yaml.safe_dump(params) + "train:\n  lr: 1\n")
    with pytest.raises(SettingsError, match=r"params.yaml row \d+: train stands twice\nparams.yaml: train") as refused:
        settings.load(path)
    assert len(str(refused.value).splitlines()) > 2


def test_yaml_1_1_text_1e_3_is_taken_as_a_number(params):
    params["train"]["lr"] = "1e-3"
    assert settings.validate_settings(params, "test").train.lr == 0.001


def test_override_reaches_one_ensemble_only(params):
    params["train_simple"]["lr"] = 0.5
    config = settings.validate_settings(params, "test")
    assert (config.training("simple").lr, config.training("time").lr) == (0.5, 0.01)


@pytest.mark.parametrize("text", ["", "just text", "[1, 2]"])
def test_what_is_not_a_mapping_is_refused(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"params\.yaml: must be a mapping of settings \(found "):
        settings.load(path)


@pytest.mark.parametrize("text", ["[" * 3000, "a: &a [*a]", "? {a: 1}\n: 2", "1: 2", "train: !!binary aGVsbG8="])
def test_odd_yaml_is_refused_without_a_traceback(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(SettingsError):
        settings.load(tmp_path / "params.yaml")


@pytest.mark.parametrize("pattern", ["%d/%m/%Y %H:%M", "%Y-%m-%d", "%d/%m/%Y %%z"])
def test_a_pattern_without_an_offset_beside_a_timezone_is_refused(params, pattern):
    params["prepare"] |= {"datetime_format": pattern, "timezone": "Europe/London"}
    with pytest.raises(SettingsError) as refused:
        settings.validate_settings(params, "test")
    assert str(refused.value) == (
        "test: prepare: timezone converts datetimes with an offset alone: datetime_format needs %z, or leave timezone "
        f"out (found Europe/London with {pattern!r})"
    )
    params["prepare"]["datetime_format"] = f"{pattern} %z"
    settings.validate_settings(params, "test")
