"""What `models_meta.json` may hold."""

import json

import pytest

from boomerang.base.ensembles import SCALED_FEATURES
from boomerang.base.errors import ArtifactError
from boomerang.combining.artifacts import read_member, read_metadata


def change(content, path, value):
    for step in path[:-1]:
        content = content[step]
    content[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["format_version"], "5"),
        (["format_version"], None),
        (["format_version"], 5.0),
        (["format_version"], True),
        (["format_version"], 4),
        (["format_version"], 10**4000),
        (["seq_lengths"], [4, 2]),
        (["seq_lengths"], [2, 2]),
        (["seq_lengths"], [-2, 4]),
        (["seq_lengths"], [2, 4, 8]),
        (["labels"], {"no": 1, "yes": 0}),
        (["scaler"], "Standard"),
        (["unknown"], 1),
        (["reading"], {}),
        (["reading", "timezone"], 5),
        (["reading", "timezone"], ""),
        (["reading", "timezone"], "No/Such"),
        (["reading", "timezone"], "../../../etc/passwd"),
        (["reading", "timezone"], "/etc/localtime"),
        (["reading", "timezone"], "dateutil//etc/localtime"),
        (["reading", "timezone"], "dateutil/Europe/London"),
        (["reading", "timezone"], "posix/Europe/London"),
        (["reading", "timezone"], "tzlocal()"),
        (["reading", "timezone"], "+01:00"),
        (["reading", "datetime_format"], "%Q"),
        (["reading", "datetime_format"], "%d %d %m %Y"),
        (["reading", "datetime_format"], "%H:%M"),
        (["reading", "datetime_format"], "mixed"),
        (["reading", "datetime_format"], "%Y-%m-%d %z"),
        (["source"], None),
        (["source", "file"], ""),
        (["source", "file"], "exports/purchases.csv"),
        (["source", "file"], "a\nb.csv"),
        (["source", "file"], "\x1b[31mred.csv"),
        (["source", "file"], "\u202egnp.csv"),
        (["source", "file"], "a" * 256),
        (["source", "parts", "train", "first"], "2024-13-01T00:00:00"),
        (["source", "parts", "train", "rows"], 0),
        (["source", "parts"], {}),
        (["source", "unknown"], 1),
        (["reading", "offset"], "+9"),
        (["reading", "offset"], "+24:00"),
        (["reading", "offset"], "+09:60"),
        (["reading", "offset"], "+09:00\n"),
        (["reading", "offset"], "Z"),
        (["reading", "offset"], "own"),
        (["reading", "offset"], 9),
        (["reading"], {"datetime_format": None, "timezone": "Europe/London", "offset": "+00:00"}),
        (["reading"], {"datetime_format": "%Y-%m-%d", "timezone": None, "offset": "+00:00"}),
        (["reading"], {"datetime_format": "%Y-%m-%d", "timezone": "Europe/London", "offset": None}),
        (["precision"], "fp8"),
        (["scaling"], None),
        (["scaling", "features"], 5),
        (["scaling", "data_min"], ["0"] * len(SCALED_FEATURES)),
        (["scaling", "data_min", 0], -(10**400)),
        (["scaling", "data_max", 5], float("inf")),
        (["validation"], {"x": {}}),
        (["validation", "next", "time", "log_loss"], None),
        (["validation", "made", "context", "log_loss"], "0.5"),
        (["validation", "next", "\x1b[31mred\n"], {"log_loss": 0.5, "roc_auc": None}),
        (["combination"], None),
        (["combination", "weights", "simple"], []),
        (["combination", "weights", "simple"], [0.5, -0.1]),
        (["combination", "weights", "context"], [0.5, 0.5]),
        (["combination", "weights"], {"time": [0, 0], "simple": [0, 0.0]}),
        (["combination", "temperature"], 0),
        (["combination", "weighting"], "\n"),
        (["\x1b[31mred\n"], 1),
        (["ensembles", "\x1b[31mred\n"], {}),
        (["ensembles"], {}),
        (["ensembles", "other"], {}),
        (["ensembles", "simple", "members"], None),
        (["ensembles", "simple", "members"], []),
        (["ensembles", "simple", "hidden_size"], "wide"),
        (["ensembles", "simple", "hidden_size"], 10**12),
        (["ensembles", "simple", "input_size"], 2),
        (["ensembles", "simple", "features"], ["number"]),
        (["ensembles", "simple", "prefix"], "../elsewhere/model"),
        (["ensembles", "simple", "prefix"], "/etc/passwd"),
        (["ensembles", "simple", "members", 0, "sha256"], "../x"),
        (["ensembles", "simple", "members", 0, "seq_length"], 3),
        (["ensembles", "simple", "members", 0, "seq_length"], -2),
        (["ensembles", "simple", "members", 0, "weight"], -1),
        (["ensembles", "simple", "members", 0, "weight"], True),
        (["ensembles", "simple", "members", 0, "weight"], float("nan")),
        (["ensembles", "simple", "members", 0, "val_loss"], float("inf")),
        (["ensembles", "simple", "temperature"], 0.0),
        (["ensembles", "simple", "temperature"], float("inf")),
        (["ensembles", "simple", "weighting"], None),
        (["ensembles", "simple", "weighting"], "\x1b[2J"),
        (["ensembles", "simple", "members", 1, "seq_length"], 2),
    ],
)
def test_metadata_that_is_not_of_this_program_is_refused_in_one_line(trained, tmp_path, path, value):
    metadata = json.loads((trained / "models_meta.json").read_text())
    change(metadata, path, value)
    (tmp_path / "models_meta.json").write_text(json.dumps(metadata))
    with pytest.raises(ArtifactError) as refused:
        read_metadata(tmp_path)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1000


def test_weights_that_are_all_0_are_refused(trained, tmp_path):
    metadata = json.loads((trained / "models_meta.json").read_text())
    for member in metadata["ensembles"]["simple"]["members"]:
        member["weight"] = 0
    (tmp_path / "models_meta.json").write_text(json.dumps(metadata))
    with pytest.raises(ArtifactError, match=r"ensembles\.simple: the weight of a member must be above 0"):
        read_metadata(tmp_path)


def test_a_member_of_another_hash_is_refused(trained):
    member = read_metadata(trained).ensembles["simple"].members[0].model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ArtifactError, match="SHA-256 differs"):
        read_member(trained, "simple", member, (1, 4, 1))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["reading", "timezone"], "Europe/London"),
        (["reading", "datetime_format"], "%d/%m/%Y %H:%M"),
        (["source", "file"], "Einkäufe 2024.csv.gz"),
        (["reading", "offset"], "+09:00"),
        (["reading", "offset"], "-03:30"),
        (["validation", "next", "time", "roc_auc"], None),
        (["combination", "weights", "time"], [0, 0]),
        (["dropped_seq_lengths"], {"9": "\ud800"}),
        (["ensembles", "time", "members", 0, "weight"], 0),
        (["ensembles", "time", "members", 0, "weight"], 1.7e308),
    ],
)
def test_metadata_of_another_training_is_read(trained, tmp_path, path, value):
    metadata = json.loads((trained / "models_meta.json").read_text())
    change(metadata, path, value)
    (tmp_path / "models_meta.json").write_text(json.dumps(metadata))
    assert read_metadata(tmp_path).model_dump() == metadata


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["columns"], None),
        (["columns", "numeric"], []),
        (["columns", "numeric"], ["price", "weight"]),
        (["columns", "categorical"], ["month", "product"]),
        (["columns", "categorical"], ["product", "Month", "month"]),
        (["columns", "numeric"], ["a\tb"]),
        (["columns", "numeric"], ["number"]),
        (["columns", "base_rate"], 0.0),
        (["columns", "rate_strength"], -1.0),
        (["columns", "unknown"], 1),
        (["scaling", "features", 7], "weight_value"),
        (["ensembles", "context", "features", 8], "price_given"),
        (["trees", "made", "features", 7], "hour"),
    ],
)
def test_further_columns_that_features_do_not_fit_are_refused(trained_on_columns, tmp_path, path, value):
    metadata = json.loads((trained_on_columns / "models_meta.json").read_text())
    assert read_metadata(trained_on_columns).columns.names == ["price", "product", "month"]
    change(metadata, path, value)
    (tmp_path / "models_meta.json").write_text(json.dumps(metadata))
    with pytest.raises(ArtifactError) as refused:
        read_metadata(tmp_path)
    assert str(refused.value).isprintable()


def test_a_training_without_further_columns_says_nothing_of_them(trained, trained_on_columns):
    without = json.loads((trained / "models_meta.json").read_text())
    assert "columns" not in without
    assert not (trained / "prepared" / "values.parquet").exists()
    assert list(json.loads((trained_on_columns / "models_meta.json").read_text())["columns"]) == [
        *("base_rate", "categorical", "numeric", "rate_strength")
    ]
