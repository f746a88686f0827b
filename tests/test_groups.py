"""A training with customers and labels that arrive late, from the file to predictions: nobody looks ahead or aside."""

import json
import random
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import yaml

from boomerang.base import settings
from boomerang.base.errors import DataError, SettingsError
from boomerang.base.execution import Execution
from boomerang.combining import table_windows
from boomerang.commands import predict, train
from boomerang.features import known_past
from boomerang.reading.purchases import read_purchases
from boomerang.serving.predictor import Predictor
from tests.support import SMALL_PARAMS

DELAY_DAYS = 5
N_ROWS = 900
EXECUTION = Execution(jobs=1, quiet=True, no_store=True)
# So many last purchases of the file are open: it ends some days after them.
N_OPEN = 12


def write_customers(path, n_rows=N_ROWS, seed=3, coin=False):
    """Purchases of 40 customers, each with a propensity of its own, and of nobody; the last ones are open."""
    draw = random.Random(seed)
    propensity = {f"KUNDE-{number:03}": draw.choice((0.1, 0.8)) for number in range(40)}
    lines, when = ["customer,datetime,returned,number"], datetime(2024, 1, 1, 9)
    for row in range(n_rows):
        # Every fifth purchase shares its time with the one before.
        when += timedelta(minutes=0 if row % 5 == 4 else draw.randint(30, 400))
        # New customers come all the time.
        customer = draw.choice(["", "", *list(propensity)[: 5 + 40 * row // n_rows]])
        returned = draw.random() < (0.4 if coin else propensity.get(customer, 0.3))
        label = "" if row >= n_rows - N_OPEN else ("yes" if returned else "no")
        lines.append(f"{customer},{when.isoformat()},{label},{draw.randint(1, 9)}")
    path.write_text("\n".join([*lines, ""]))
    return path


def train_on(path, folder, **changes):
    params = yaml.safe_load(yaml.safe_dump(SMALL_PARAMS))
    params["prepare"] |= {
        "data_path": str(path),
        "group_column": "customer",
        "label_delay_days": DELAY_DAYS,
        "open_returned": True,
    }
    params["train"] |= {"epochs": 3, "hidden_size": 6}
    for name, value in changes.items():
        section, key = name.split("__")
        params[section][key] = value
    train.run(settings.validate_settings(params, "test"), EXECUTION, folder)
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A file of purchases and the artifacts of a training on it; read only."""
    folder = tmp_path_factory.mktemp("shop")
    path = write_customers(folder / "shop.csv")
    return path, train_on(path, folder / "artifacts")


@pytest.fixture(scope="module")
def ours(shop):
    return Predictor.load(shop[1])


def read(path):
    return read_purchases(path, group_column="customer", open_returned=True)


def scores_of(ours, table, row):
    return ours.score_scaled(ours.scale(table), row, row + 1).iloc[0]


def is_known(table, row, other):
    made, delay = table["datetime"], pd.Timedelta(days=DELAY_DAYS)
    same = table["group"][row] == table["group"][other] != -1
    return same and made[other] < made[row] and made[other] <= made[row] - delay and not table["is_open"][other]


def flip(table, rows):
    """The table with the other label in these rows."""
    return table.assign(returned=table["returned"].where(~table.index.isin(rows), 1 - table["returned"]))


def find_leaks(ours, table, rows, seed=0):
    """What changes the scores of `rows` though none of them knows it: other rows, a piece at a time, as (row, what)."""
    draw, leaks = np.random.default_rng(seed), []
    for row in rows:
        before = scores_of(ours, table, row)
        unknown = [other for other in range(len(table)) if other != row and not is_known(table, row, other)]
        later = [other for other in unknown if table["datetime"][other] > table["datetime"][row]]
        changes = {
            "labels": flip(table, [*unknown, row]),
            "numbers": table.assign(number=table["number"].where(~table.index.isin(unknown), 1e4)),
            "later rows": table.drop(index=later).reset_index(drop=True),
            "later labels": table.assign(is_open=table["is_open"] | table.index.isin(later)),
        }
        others = [other for other in unknown if table["group"][other] != table["group"][row]]
        shuffled = table.copy()
        shuffled.loc[others, "returned"] = draw.permutation(shuffled.loc[others, "returned"].to_numpy())
        shuffled.loc[others, "group"] = draw.permutation(shuffled.loc[others, "group"].to_numpy())
        changes["other groups"] = shuffled
        for what, changed in changes.items():
            # Rows before are still there, so the row keeps its place.
            if not scores_of(ours, changed, row).equals(before):
                leaks.append((row, what))
    return leaks


ROWS = [0, 5, 44, 300, 301, 304, *range(600, 660, 3), 700, 803, 804, 870, 899]


def test_nothing_that_is_not_known_changes_a_prediction(shop, ours):
    table = read(shop[0]).table
    assert find_leaks(ours, table, ROWS) == []
    # What is known does change one.
    row = 804
    known = [other for other in range(row) if is_known(table, row, other)]
    assert known
    changed = flip(table, known)
    moved = scores_of(ours, changed, row) != scores_of(ours, table, row)
    # The ensemble `time` reads no label.
    assert {name for name in moved.index if not moved[name]} == {"time"}


def no_delay(table, rules):
    return table, rules.model_copy(update={"label_delay_days": 0.0})


def one_group(table, rules):
    return table.assign(group=0), rules


def nobody_is_somebody(table, rules):
    return table.assign(group=table["group"].replace(-1, 999)), rules


def open_labels_read(table, rules):
    return table.drop(columns="is_open"), rules.model_copy(update={"label_delay_days": 0.0})


@pytest.mark.parametrize("broken", [no_delay, one_group, nobody_is_somebody, open_labels_read])
def test_the_search_for_leaks_finds_one_where_the_code_is_broken(shop, ours, monkeypatch, broken):
    table, whole = read(shop[0]).table, known_past.find_known_past
    monkeypatch.setattr(table_windows, "find_known_past", lambda table, rules: whole(*broken(table, rules)))
    assert find_leaks(ours, table, ROWS) != []


def test_names_of_customers_are_in_no_artifact_and_do_not_matter(shop, ours, tmp_path):
    path, folder = shop
    for artifact in (path for path in folder.rglob("*") if path.is_file()):
        assert b"KUNDE" not in artifact.read_bytes(), artifact
    renamed = tmp_path / "shop.csv"
    renamed.write_text(path.read_text().replace("KUNDE-0", "00-x"))
    tables = [read(file).table for file in (path, renamed)]
    scores = [ours.score_scaled(ours.scale(table), 0, N_ROWS) for table in tables]
    assert scores[0].equals(scores[1])


def test_the_summary_counts_what_has_no_part(shop):
    summary = json.loads((shop[1] / "prepared" / "summary.json").read_text())
    table = read(shop[0]).table
    last = table["datetime"].iloc[-1]
    is_late = (table["datetime"] > last - pd.Timedelta(days=DELAY_DAYS)) & ~table["is_open"]
    assert summary["set_aside"] == {"open": N_OPEN, "made within the delay": int(is_late.sum())}
    kept = table[~table["is_open"] & ~is_late]
    n_groups, nobody = kept["group"][kept["group"] >= 0].nunique(), int((kept["group"] < 0).sum())
    assert summary["groups"] == {"n_groups": n_groups, "nobody": nobody}
    parts = {name: part["rows"] for name, part in summary["parts"].items()}
    assert sum(parts.values()) + sum(summary["embargo"].values()) == len(kept)
    assert all(count > 0 for count in summary["embargo"].values())
    found = pd.read_parquet(shop[1] / "prepared" / "purchases.parquet")
    for part, later in (("train", "val"), ("val", "test")):
        first = found["datetime"][found["part"] == later].iloc[0]
        assert found["datetime"][found["part"] == part].max() <= first - pd.Timedelta(days=DELAY_DAYS)


def test_one_customer_is_predicted_as_in_the_whole_file(shop, ours, capsys):
    path, folder = shop
    purchases = read(path)
    table, row = purchases.table, N_ROWS - 1
    expected = scores_of(ours, table, row)["blend_made"]
    made = table["datetime"][row], float(table["number"][row])
    value = purchases.group_values[table["group"][row]] if table["group"][row] >= 0 else ""
    asked = ["--history_csv", str(path), "--artifacts_dir", str(folder), "--group", value, "--json"]
    predict.main([*asked, "--next_datetime", made[0].isoformat(), "--next_number", str(made[1])])
    assert json.loads(capsys.readouterr().out)["probability"] == pytest.approx(expected, abs=1e-6)
    frame = pd.read_csv(path, parse_dates=["datetime"])
    frame["returned"] = frame["returned"].map({"yes": 1, "no": 0})
    assert ours.predict_proba(frame, made, group=value) == pytest.approx(expected, abs=1e-6)
    # Of the next purchase, what would be known of one that is made at the latest datetime of the file.
    asked = {"--group": "KUNDE-003", "--now": table["datetime"].iloc[-1].isoformat()}
    for flags in (["--group", "KUNDE-003"], [word for pair in asked.items() for word in pair]):
        predict.main(["--history_csv", str(path), "--artifacts_dir", str(folder), *flags, "--json"])
        found = json.loads(capsys.readouterr().out)["probability"]
        assert ours.predict_proba(frame, group="KUNDE-003") == pytest.approx(found, abs=1e-6)


def test_now_decides_which_labels_are_read(shop, ours):
    frame = pd.read_csv(shop[0], parse_dates=["datetime"])
    frame["returned"] = frame["returned"].map({"yes": 1, "no": 0})
    (of_one,) = (group for name, group in frame.groupby("customer") if name == "KUNDE-007")
    when = of_one["datetime"].iloc[3] + pd.Timedelta(days=DELAY_DAYS)
    ten = of_one.iloc[:4].reset_index(drop=True)[["datetime", "returned", "number"]]
    alone = ours.predict_proba(ten, now=when)
    assert ours.predict_proba(frame, group="KUNDE-007", now=when) == alone
    # A moment earlier the fourth label was not certain.
    earlier = ours.predict_proba(frame, group="KUNDE-007", now=when - pd.Timedelta("1s"))
    assert earlier == ours.predict_proba(ten[:3], now=when) != alone


def test_a_customer_without_a_past_gets_an_answer(shop, ours, capsys):
    path, folder = shop
    answers = []
    for value in ("", "KUNDE-999"):
        predict.main(["--history_csv", str(path), "--artifacts_dir", str(folder), "--group", value, "--json"])
        found = capsys.readouterr()
        assert ("KUNDE-999" in found.err) == (value == "KUNDE-999")
        answers.append(json.loads(found.out)["probability"])
    table = ours.scale(read(path).table)
    nobody = int(np.flatnonzero(table["group"] == -1)[0])
    expected = ours.score_scaled(table, nobody, nobody + 1, ["trees_next", "combination", "blend_next"]).iloc[0]
    assert answers == pytest.approx([expected["blend_next"]] * 2, abs=1e-6)
    # Members say what `fc`'s bias has learned, and trees what they have of purchases without a past.
    bias = {member: ours.model(member).fc.bias.item() for member in ours.pool("combination").members}
    of_members = ours.combine({member: np.array([logit]) for member, logit in bias.items()}, "combination")
    assert expected["combination"] == pytest.approx(of_members[0], abs=1e-6)


def test_open_orders_are_scored_in_the_order_of_the_file_or_by_risk(shop, capsys):
    path, folder = shop
    tables = []
    for order in ("file", "risk"):
        output = folder.parent / f"{order}.csv"
        predict.main(["--csv", str(path), "--artifacts_dir", str(folder), "--sort", order, "--output", str(output)])
        tables.append(pd.read_csv(output))
    by_row, by_risk = tables
    assert by_row["row"].tolist() == list(range(2, N_ROWS + 2))
    assert by_row["returned"].isna().sum() == N_OPEN
    assert (by_row["part"][by_row["returned"].isna()] == "new").all()
    assert by_row[["blend_next", "blend_made"]].notna().all(axis=None)
    assert by_risk["blend_made"].is_monotonic_decreasing
    assert by_risk.sort_values("row").reset_index(drop=True).equals(by_row)


def test_figures_are_told_by_how_much_of_the_past_is_known(shop):
    board = pd.read_csv(shop[1] / "evaluation" / "leaderboard.csv")
    assert set(board["known_past"]) == {"all", "0", "1-2", "3+"}
    assert {"group_rate", "trees", "blend", "logistic_regression"} <= set(board["name"])
    evaluation = json.loads((shop[1] / "evaluation" / "evaluation.json").read_text())
    for answers in evaluation["questions"].values():
        assert sum(part["n"] for part in answers["by_known_past"].values()) == evaluation["parts"]["test"]["rows"]


def test_a_coin_is_not_predicted(tmp_path):
    path = write_customers(tmp_path / "coin.csv", 3000, coin=True)
    folder = train_on(path, tmp_path / "artifacts", train__epochs=2)
    board = pd.read_csv(folder / "evaluation" / "leaderboard.csv")
    asked = board[(board["question"] == "next") & (board["known_past"] == "all") & (board["kind"] != "baseline")]
    assert len(asked) > 2
    assert ((asked["roc_auc_low"] < 0.5) & (asked["roc_auc_high"] > 0.5)).all()


def test_folds_know_groups_and_delay(shop, tmp_path):
    folder = train_on(shop[0], tmp_path / "artifacts", evaluate__n_folds=2)
    folds = json.loads((folder / "backtest.json").read_text())["folds"]
    assert len(folds) == 2
    assert all("group_rate" in fold["log_loss"]["made"] for fold in folds)
    # The last fold is the pipeline itself.
    board = pd.read_csv(folder / "evaluation" / "leaderboard.csv")
    whole = board[(board["question"] == "made") & (board["known_past"] == "all")].set_index("name")["log_loss"]
    assert folds[-1]["log_loss"]["made"] == {name: whole[name] for name in folds[-1]["log_loss"]["made"]}


def test_a_delay_without_groups_is_one_history_of_the_whole_shop(shop, tmp_path, capsys):
    folder = train_on(shop[0], tmp_path / "artifacts", prepare__group_column=None)
    ours, table = Predictor.load(folder), read_purchases(shop[0], open_returned=True).table
    row = N_ROWS - 1
    recent = table["datetime"] > table["datetime"][row] - pd.Timedelta(days=DELAY_DAYS)
    changed = flip(table, np.flatnonzero(recent))
    assert scores_of(ours, changed, row).equals(scores_of(ours, table, row))
    predict.main(["--history_csv", str(shop[0]), "--artifacts_dir", str(folder)])
    assert "returned=yes" in capsys.readouterr().out


def test_open_labels_alone_change_no_window_of_a_training(tmp_path):
    folders = []
    for name, n_open in (("a", N_OPEN), ("b", 0)):
        path = write_customers(tmp_path / f"{name}.csv", 300 if n_open else 300 - N_OPEN)
        text = path.read_text()
        if not n_open:
            # The same purchases without the open ones: those that this file left open have their labels there.
            text = "\n".join([*(tmp_path / "a.csv").read_text().splitlines()[: 300 - N_OPEN + 1], ""])
            path.write_text(text)
        plain = {"prepare__group_column": None, "prepare__label_delay_days": 0}
        folders.append(train_on(path, tmp_path / name, **plain))
    for file in ("prepared/purchases.parquet", "context/model_context_seq2.pth", "evaluation/leaderboard.csv"):
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--group goes with a training with a group column, as this one (customer)"),
        (["--group", "KUNDE-001", "--now", "soon"], "--now must be an ISO 8601 date, as in the training, like "),
        (["--group", "KUNDE-001", "--now", "2024-01-01T00:00Z"], "--now must have no offset"),
    ],
)
def test_what_a_prediction_needs_is_said(shop, capsys, flags, message):
    with pytest.raises(SystemExit) as end:
        predict.main(["--history_csv", str(shop[0]), "--artifacts_dir", str(shop[1]), *flags])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_groups_are_for_a_training_with_groups(shop, trained, capsys):
    for flags in (["--group", "x"], ["--now", "2024-05-01"]):
        with pytest.raises(SystemExit):
            predict.main(["--history_csv", str(shop[0]), "--artifacts_dir", str(trained), *flags])
        assert f"{flags[0]} is for a training with a group column" in capsys.readouterr().err


def test_a_table_of_a_program_must_have_the_group_column(shop, ours):
    frame = pd.read_csv(shop[0], parse_dates=["datetime"])
    frame["returned"] = frame["returned"].map({"yes": 1, "no": 0})
    with pytest.raises(SettingsError, match="group goes with a history that has the column customer"):
        ours.predict_proba(frame)
    with pytest.raises(SettingsError, match="group goes with a history that has the column customer"):
        ours.predict_proba(frame.drop(columns="customer"), group="KUNDE-001")
    with pytest.raises(DataError, match="the column customer of the training is needed once"):
        ours.score(frame.drop(columns="customer"))
    expected = ours.score_scaled(ours.scale(read(shop[0]).table), 0, N_ROWS)
    assert np.allclose(ours.score(frame), expected, atol=1e-12)
    # What is missing is nobody, and nobody has a past; nor has anybody in a history of no purchase.
    nobody = ours.predict_proba(frame, group="")
    for value in (np.nan, pd.NA, pd.NaT, " "):
        assert ours.predict_proba(frame, group=value) == nobody
    assert ours.predict_proba(frame[:0], group="KUNDE-001") == nobody


def test_parts_are_told_where_an_embargo_lies_between_them(tmp_path, capsys):
    # Every two purchases share their time, so parts end in the middle of a second.
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(400) // 2 * 6, unit="h")
    draw = np.random.default_rng(1)
    table = pd.DataFrame({"datetime": times.strftime("%Y-%m-%dT%H:%M:%S")})
    table["returned"] = np.where(draw.random(400) < 0.3, "yes", "no")
    table["number"], table["customer"] = draw.integers(1, 9, 400), draw.integers(0, 20, 400)
    table.to_csv(tmp_path / "shop.csv", index=False)
    folder = train_on(tmp_path / "shop.csv", tmp_path / "artifacts", train__epochs=1)
    output = tmp_path / "scores.csv"
    predict.main(["--csv", str(tmp_path / "shop.csv"), "--artifacts_dir", str(folder), "--output", str(output)])
    parts = pd.read_parquet(folder / "prepared" / "purchases.parquet")["part"].replace("embargo", "new").tolist()
    assert pd.read_csv(output)["part"].tolist() == [*parts, *["new"] * (400 - len(parts))]


def test_loading_processes_change_no_byte_and_rounding_little(shop, tmp_path, monkeypatch):
    folders = {}
    for name, execution in {
        "alone": EXECUTION,
        "loaded": Execution(jobs=1, quiet=True, no_store=True, num_workers=1),
    }.items():
        monkeypatch.setattr("tests.test_groups.EXECUTION", execution)
        folders[name] = train_on(shop[0], tmp_path / name, train__epochs=1)
    for path in ("context/model_context_seq2.pth", "simple/model_simple_seq2.pth"):
        assert (folders["alone"] / path).read_bytes() == (folders["loaded"] / path).read_bytes()
    rounded = train_on(shop[0], tmp_path / "bf16", train__epochs=1, train__precision="bf16")
    losses = [
        json.loads((folder / "context" / "metrics.json").read_text())["seq2"]["val_loss"]
        for folder in (folders["alone"], rounded)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=0.01)


def test_what_a_program_asks_is_checked(shop, ours):
    frame = pd.read_csv(shop[0], parse_dates=["datetime"])
    frame["returned"] = frame["returned"].map({"yes": 1, "no": 0})
    made, expected = (frame["datetime"].iloc[-1], 3.0), ours.predict_proba(frame, group="KUNDE-003")
    with pytest.raises(SettingsError, match="now goes with the next purchase"):
        ours.predict_proba(frame, made=made, group="KUNDE-003", now=made[0])
    for now in (pd.NaT, 5, "soon", ("x", 0)):
        with pytest.raises(SettingsError, match="now: must be a datetime"):
            ours.predict_proba(frame, group="KUNDE-003", now=now)
    for group in ([1], b"a", True, {}):
        with pytest.raises(SettingsError, match="group: must be text or a whole number"):
            ours.predict_proba(frame, group=group)
    with pytest.raises(DataError, match="made: "):
        ours.predict_proba(frame, made=(pd.NaT, 3.0), group="KUNDE-003")
    # The name of the column is found in other case, as in a file: nobody else's purchases become one past.
    other = frame.rename(columns={"customer": "Customer"})
    assert ours.predict_proba(other, group="KUNDE-003") == expected
    assert ours.score(other, 890).equals(ours.score(frame, 890))
    with pytest.raises(SettingsError, match="group goes with a history"):
        ours.predict_proba(other)


def test_labels_alone_are_the_past_of_one_customer(ours):
    scores = ours.score([0, 1, 0, 1])
    assert list(scores.columns) == ["simple"]
    assert scores["simple"].iloc[3] == pytest.approx(ours.predict_proba([0, 1, 0]), abs=1e-6)
    assert scores["simple"].notna().all()
