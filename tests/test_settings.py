import pytest

from stages.lib import settings
from stages.lib.errors import SettingsError


def test_shipped_params_are_valid_and_carry_the_documented_defaults():
    config = settings.load()
    assert config.sequences.seq_lengths == [2, 3, 5, 8, 12, 24]
    assert (config.prepare.val_split, config.prepare.test_split) == (0.2, 0.1)
    assert config.train.model_dump() == {
        "seed": 0,
        "epochs": 10,
        "batch_size": 32,
        "lr": 0.001,
        "hidden_size": 64,
        "num_layers": 2,
        "grad_accum_steps": 1,
        "precision": "fp32",
        "use_gpu": False,
    }


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("train", "epochs", 0, r"train.epochs: .*greater than or equal to 1 \(found 0\)"),
        ("train", "epochs", "ten", r"train.epochs: .*valid integer \(found 'ten'\)"),
        ("train", "epochs", True, r"train.epochs: .*valid integer \(found True\)"),
        ("train", "epochs", 1.5, r"train.epochs: .*integer.*\(found 1.5\)"),
        ("train", "lr", 0, r"train.lr: .*greater than 0 \(found 0\)"),
        ("train", "lr", float("nan"), r"train.lr: .*finite number \(found nan\)"),
        ("train", "lr", "fast", r"train.lr: .*\(found 'fast'\)"),
        ("train", "precision", "fp8", r"train.precision: .*'fp32'.*\(found 'fp8'\)"),
        ("train", "learning_rate", 0.1, r"train.learning_rate is not a setting"),
        ("train_simple", "lr", -1, r"train_simple.lr: .*greater than 0 \(found -1\)"),
        ("prepare", "val_split", 0, r"prepare.val_split: .*greater than 0 \(found 0\)"),
        ("prepare", "val_split", 0.95, r"prepare: val_split \+ test_split must be below 1.*\(found 0.95 \+ 0.1\)"),
        ("sequences", "seq_lengths", [], r"sequences.seq_lengths.*at least 1 item"),
        ("sequences", "seq_lengths", [2, 2], r"sequences: seq_lengths must name each length once \(found \[2, 2\]\)"),
        ("sequences", "seq_lengths", [0], r"sequences.seq_lengths.*greater than or equal to 1"),
        ("sequences", "max_seq_cap", None, r"sequences.max_seq_cap: .*integer \(found None\)"),
    ],
)
def test_bad_values_are_named_with_path_rule_and_value(params, section, key, value, message):
    params[section][key] = value
    with pytest.raises(SettingsError, match=message):
        settings.check(params, "params.yaml")


def test_all_faults_are_named_at_once(params):
    del params["train"]["seed"]
    params["train"]["lr"] = -1
    params["extra"] = {}
    with pytest.raises(SettingsError) as caught:
        settings.check(params, "params.yaml")
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "params.yaml: train.seed is missing" in lines
    assert "params.yaml: extra is not a setting" in lines


def test_yaml_1_1_text_1e_3_is_taken_as_a_number(params):
    params["train"]["lr"] = "1e-3"
    assert settings.check(params, "test").train.lr == 0.001


def test_override_reaches_one_ensemble_only(params):
    params["train_simple"]["lr"] = 0.5
    config = settings.check(params, "test")
    assert (config.training("simple").lr, config.training("time").lr) == (0.5, 0.01)


@pytest.mark.parametrize("text", ["a: [", "!!python/object/apply:os.getcwd []", "\xff"])
def test_what_is_not_plain_yaml_is_refused(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match="not plain YAML"):
        settings.load(path)


@pytest.mark.parametrize("text", ["", "just text", "[1, 2]"])
def test_what_is_not_a_mapping_is_refused(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"params\.yaml: "):
        settings.load(path)


def test_execution_comes_from_flags_then_environment_then_defaults(monkeypatch):
    monkeypatch.setenv("BOOMERANG_JOBS", "3")
    monkeypatch.setenv("BOOMERANG_NUM_WORKERS", "1")
    execution = settings.Execution.from_environment(num_workers=2, pin_memory=True, jobs=None)
    assert execution == settings.Execution(jobs=3, num_workers=2, pin_memory=True, prefetch_factor=2, quiet=False)


def test_bad_environment_is_refused(monkeypatch):
    monkeypatch.setenv("BOOMERANG_JOBS", "many")
    with pytest.raises(SettingsError, match=r"jobs: .*integer.*\(found 'many'\)"):
        settings.Execution.from_environment()
