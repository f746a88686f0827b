"""A training with further columns, from the file to predictions: what is said of a value was known by then."""

import json
import random
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import yaml

from boomerang.base import settings
from boomerang.base.columns import Columns
from boomerang.base.errors import DataError, SettingsError
from boomerang.base.execution import Execution
from boomerang.commands import predict, train
from boomerang.reading.asked import parse_columns
from boomerang.reading.purchases import read_purchases
from boomerang.serving.predictor import Predictor
from tests.support import SMALL_PARAMS

N_ROWS = 900
DELAY_DAYS = 5
EXECUTION = Execution(jobs=1, quiet=True, no_store=True)
COLUMNS = ["price", "product", "country"]
HOWS = {
    "groups": {"group_column": "customer", "label_delay_days": DELAY_DAYS},
    "stream": {},
}


def write_shop(path, n_rows=N_ROWS, seed=3):
    """Purchases of 30 customers: dear ones, and those of every third of 20 products, come back more often."""
    draw = random.Random(seed)
    lines, when = ["datetime,returned,number,customer,price,product,country"], datetime(2024, 1, 1, 9)
    for row in range(n_rows):
        # Every fifth purchase shares its time with the one before.
        when += timedelta(minutes=0 if row % 5 == 4 else draw.randint(30, 400))
        # New products come all the time.
        number = draw.randrange(5 + 15 * row // n_rows)
        price = draw.choice(("", "2.50", "10", "40"))
        chance = 0.1 + 0.5 * (number % 3 == 0) + 0.3 * (price == "40")
        label = "yes" if draw.random() < chance else "no"
        customer = draw.choice(["", *(f"C{one}" for one in range(30))])
        lines.append(
            f"{when.isoformat()},{label},{draw.randint(1, 9)},{customer},{price},P{number},{draw.choice(('', 'DE'))}"
        )
    path.write_text("\n".join([*lines, ""]))
    return path


def train_on(path, folder, **prepare):
    params = yaml.safe_load(yaml.safe_dump(SMALL_PARAMS))
    params["prepare"] |= {
        "data_path": str(path),
        "numeric_columns": ["price"],
        "categorical_columns": ["product", "country"],
        **prepare,
    }
    params["train"] |= {"epochs": 3, "hidden_size": 6}
    params["evaluate"] |= {"cost_missed": "price", "cost_needless": 5}
    train.run(settings.validate_settings(params, "test"), EXECUTION, folder)
    return folder


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    """A file of purchases; read only."""
    return write_shop(tmp_path_factory.mktemp("shop") / "shop.csv")


@pytest.fixture(scope="module", params=list(HOWS))
def shop(request, csv, tmp_path_factory):
    """How a training on the file has histories, and its artifacts; read only."""
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, train_on(csv, folder / "artifacts", **HOWS[request.param])


@pytest.fixture(scope="module")
def ours(shop):
    return Predictor.load(shop[1])


def read(path):
    """The file as a program has it: numbers, and nothing where a cell is blank."""
    table = pd.read_csv(path, parse_dates=["datetime"], dtype={"customer": str, "product": str, "country": str})
    return table.assign(returned=(table["returned"] == "yes").astype(int))


def asked_of(how, row):
    """What `predict_proba` is asked of a row of the file."""
    group = {"group": "" if pd.isna(row["customer"]) else row["customer"]} if how == "groups" else {}
    return {"made": (row["datetime"], row["number"], {name: row[name] for name in COLUMNS}), **group}


def test_members_and_trees_read_what_the_columns_tell(shop):
    metadata = json.loads((shop[1] / "models_meta.json").read_text())
    features = ["price_value", "price_given", "product_rate", "product_count", "country_rate", "country_count"]
    assert metadata["ensembles"]["context"]["features"][-6:] == features
    assert metadata["ensembles"]["context"]["input_size"] == 8 + 3 * (shop[0] == "groups") + 6
    assert metadata["ensembles"]["time"]["input_size"] == 6
    assert set(features) <= set(metadata["trees"]["made"]["features"])
    assert not set(features) & set(metadata["trees"]["next"]["features"])
    assert metadata["columns"]["numeric"] == ["price"]


def test_what_a_product_is_makes_predictions_better(shop):
    questions = json.loads((shop[1] / "evaluation" / "evaluation.json").read_text())["questions"]
    losses = {
        question: {model["name"]: model["log_loss"]["value"] for model in answers["models"]}
        for question, answers in questions.items()
    }
    assert losses["made"]["trees"] < losses["made"]["base_rate"] - 0.05
    assert losses["made"]["trees"] < losses["next"]["trees"] - 0.05


def test_a_file_is_scored_as_the_training_measured_it(shop, ours, csv):
    columns = Columns(numeric=["price"], categorical=["product", "country"])
    group_column = "customer" if shop[0] == "groups" else None
    purchases = read_purchases(csv, columns=columns, group_column=group_column)
    scaled = ours.scale(purchases.table)
    prepared = pd.read_parquet(shop[1] / "prepared" / "purchases.parquet")
    # Purchases made within the delay before the last were set aside.
    features = list(columns.features)
    pd.testing.assert_frame_equal(scaled[features][: len(prepared)], prepared[features])


def test_a_program_and_a_file_get_the_same_answer(shop, ours, csv):
    table = read(csv)
    scores = ours.score(table)
    for at in (200, 555, N_ROWS - 1):
        row, past = table.iloc[at], table.iloc[:at]
        for name, column in (("context", "context"), ("trees", "trees_made"), ("blend", "blend_made")):
            asked = ours.predict_proba(past, name=name, **asked_of(shop[0], row))
            assert asked == pytest.approx(scores[column].iloc[at], abs=1e-6)


def test_labels_that_are_not_known_yet_change_nothing(shop, ours, csv):
    table = read(csv)
    scores = ours.score(table)
    last = table["datetime"].iloc[-1] - pd.Timedelta(days=DELAY_DAYS * (shop[0] == "groups"))
    late = (table["datetime"] > last) if shop[0] == "groups" else table.index == N_ROWS - 1
    changed = table.assign(returned=table["returned"].where(~late, 1 - table["returned"]))
    pd.testing.assert_frame_equal(ours.score(changed), scores)


def test_a_value_never_seen_is_one_without_a_past(shop, ours, csv):
    table = read(csv)
    row = table.iloc[-1]
    answers = {
        ours.predict_proba(table[:-1], **asked_of(shop[0], row.replace({row["product"]: value})), rates=rates)
        for value in ("NEW", "NEWER")
        for rates in ("history", "prepared")
    }
    assert all(0 < answer < 1 for answer in answers)
    # Of the country the file may know a little more than the training did; of the product neither knows anything.
    assert len(answers) <= 2


def test_counts_of_the_training_answer_where_there_is_no_file(shop, ours, csv):
    table, how = read(csv), shop[0]
    prepared = pd.read_parquet(shop[1] / "prepared" / "values.parquet")
    n_certain = len(pd.read_parquet(shop[1] / "prepared" / "purchases.parquet"))
    counted = table[:n_certain].fillna({"country": ""}).groupby("product")["returned"].agg(["size", "sum"])
    found = prepared[prepared["column"] == "product"].set_index("value")
    assert found["n_known"].to_dict() == counted["size"].to_dict()
    assert found["n_returned"].to_dict() == counted["sum"].to_dict()
    # Long after the file's end all its labels are certain, and so are those that the training counted.
    asked = asked_of(how, table.iloc[n_certain - 1])
    later = table["datetime"].iloc[n_certain - 1] + pd.Timedelta(days=100)
    asked["made"] = (later, *asked["made"][1:])
    history = table[:n_certain]
    by_file = ours.predict_proba(history, name="trees", **asked)
    assert ours.predict_proba(history, name="trees", rates="prepared", **asked) == by_file
    if how == "groups":
        own = history[history["customer"] == asked["group"]]
        assert ours.predict_proba(own, name="trees", **asked) == by_file
        asked.pop("group")
        assert ours.predict_proba(own.drop(columns="customer"), name="trees", **asked) == by_file


def test_the_command_line_answers_as_a_program_does(shop, ours, csv, tmp_path, capsys):
    table, how = read(csv), shop[0]
    lines = csv.read_text().splitlines(keepends=True)
    past, row = tmp_path / "past.csv", table.iloc[-1]
    past.write_text("".join(lines[:-1]))
    group = ["--group", "" if pd.isna(row["customer"]) else row["customer"]] if how == "groups" else []
    cells = dict(zip(lines[0].strip().split(","), lines[-1].strip().split(","), strict=True))
    for rates in ("history", "prepared"):
        made = ["--next_datetime", cells["datetime"], "--next_number", cells["number"], "--rates", rates]
        columns = [word for name in COLUMNS for word in ("--next_column", f"{name}={cells[name]}")]
        files = ["--history_csv", str(past), "--artifacts_dir", str(shop[1])]
        predict.main([*files, *made, *columns, *group, "--json"])
        expected = ours.predict_proba(table[:-1], rates=rates, **asked_of(how, row))
        assert json.loads(capsys.readouterr().out)["probability"] == pytest.approx(expected, abs=1e-6)


def test_the_past_of_one_customer_takes_the_counts_of_the_training(shop, ours, csv, tmp_path, capsys):
    if shop[0] == "stream":
        pytest.skip("without groups every file is a history of the shop")
    table = read(csv)
    own = tmp_path / "own.csv"
    table[table["customer"] == "C3"].assign(returned="no").to_csv(own, index=False)
    made = ["--next_datetime", "2025-01-01", "--next_number", "3", "--next_column", "price=10"]
    columns = ["--next_column", "PRODUCT=P3", "--next_column", "country="]
    files = ["--history_csv", str(own), "--artifacts_dir", str(shop[1]), "--group", "C3"]
    found = {}
    for rates in ((), ("--rates", "prepared"), ("--rates", "history")):
        predict.main([*files, *made, *columns, *rates, "--json"])
        said = capsys.readouterr()
        found[rates[-1:]] = json.loads(said.out)["probability"], said.err
    assert found[()] == found["prepared",]
    assert found[()][0] != found["history",][0]
    assert "is what the training counted, not the file (--rates)" in found[()][1]
    assert "does not look like the shop" not in found[()][1]


def test_open_orders_alone_are_scored_by_the_counts_of_the_training_or_told_of(shop, ours, csv, tmp_path, capsys):
    orders, output = tmp_path / "open.csv", tmp_path / "scores.csv"
    table = read(csv)[-6:].assign(returned="", datetime=pd.Timestamp("2025-06-01"))
    table.to_csv(orders, index=False)
    files = ["--csv", str(orders), "--artifacts_dir", str(shop[1]), "--ensemble", "trees", "--output", str(output)]
    found = {}
    for rates in ("history", "prepared"):
        predict.main([*files, "--rates", rates])
        found[rates] = pd.read_csv(output)["trees_made"]
        said = "take --rates prepared" in capsys.readouterr().err
        assert said == (rates == "history")
    if shop[0] == "stream":
        # In one stream, purchases without a past are not for the trees.
        return
    assert (found["history"] != found["prepared"]).any()
    nobody = read(csv)[:0]
    for at, (_, row) in enumerate(table.iterrows()):
        expected = ours.predict_proba(nobody, name="trees", rates="prepared", **asked_of(shop[0], row))
        assert found["prepared"][at] == pytest.approx(expected, abs=1e-6)


def test_a_name_may_hold_the_sign_that_its_value_follows(csv):
    columns = Columns(numeric=["a", "a=b"], categorical=["c"])
    found = parse_columns([" A=b=5 ", "a=", "c= x=y "], columns, {"c": ["x=y"]})
    assert found.cells == {"a=b_raw": 5.0, "a_raw": pytest.approx(np.nan, nan_ok=True), "c_code": 0}
    assert found.values == {"c": "x=y"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"once for each of a, c, like --next_column 'a=…' \(found none\)"),
        (["a=1"], r"\(found 'a=1', without c\)"),
        (["a=1", "cc=x"], r"\(found 'a=1', 'cc=x', without c\)"),
        (["a=1", "a=2", "c=x"], "once for each"),
        (["a=1", "c=x", "d=x"], "once for each"),
        (["a", "c=x"], "once for each"),
        (["a=1,5", "c=x"], r"a must be a finite number like 3 or 19.90, without .* \(found '1,5'\)"),
        (["a=1", f"c={'x' * 401}"], "c must have at most 400 characters"),
    ],
)
def test_columns_that_are_not_named_once_each_are_refused(words, message):
    with pytest.raises(SettingsError, match=message):
        parse_columns(words, Columns(numeric=["a"], categorical=["c"]), {"c": ["x"]})


def test_the_next_purchase_needs_no_further_column(shop, ours, csv, tmp_path, capsys):
    bare = tmp_path / "bare.csv"
    read(csv).drop(columns=COLUMNS).to_csv(bare, index=False)
    files = ["--artifacts_dir", str(shop[1]), "--json"]
    group = ["--group", "C3"] if shop[0] == "groups" else []
    predict.main(["--history_csv", str(bare), *files, *group])
    asked = {"group": "C3"} if group else {}
    expected = ours.predict_proba(read(csv), **asked)
    assert json.loads(capsys.readouterr().out)["probability"] == pytest.approx(expected, abs=1e-6)
    predict.main(["--csv", str(bare), "--ensemble", "simple", *files])
    assert len(capsys.readouterr().out.splitlines()) == N_ROWS
    with pytest.raises(SystemExit, match="3"):
        predict.main(["--csv", str(bare), *files])
    assert "must be columns of the file (found 'price'" in capsys.readouterr().err


def test_the_same_training_runs_again_into_its_folder(csv, tmp_path):
    for columns in (["product"], ["product"], []):
        folder = train_on(csv, tmp_path / "artifacts", categorical_columns=columns)
        assert (folder / "prepared" / "values.parquet").exists() == bool(columns)


def test_values_of_a_program_are_read_as_those_of_a_file(shop, ours, csv):
    table, how = read(csv), shop[0]
    asked = asked_of(how, table.iloc[-1])
    history = table[:-1].assign(product=pd.factorize(table["product"])[0][:-1])
    given = [7, 7.0, np.float32(7), np.int16(7), "7", " 7 "]
    made = [(*asked["made"][:2], {**asked["made"][2], "product": value}) for value in given]
    found = [ours.predict_proba(history, **{**asked, "made": one}) for one in made]
    assert set(found) == {found[0]}
    blank = [(*asked["made"][:2], {**asked["made"][2], "product": value}) for value in ("", None, np.float32("nan"))]
    assert len({ours.predict_proba(history, **{**asked, "made": one}) for one in blank}) == 1


def test_a_file_is_scored_by_the_command_line_with_costs_of_its_own(shop, ours, csv, tmp_path):
    output = tmp_path / "scores.csv"
    files = ["--csv", str(csv), "--artifacts_dir", str(shop[1]), "--output", str(output)]
    predict.main([*files, "--cost_missed", "price", "--cost_needless", "5"])
    scored, table = pd.read_csv(output), read(csv)
    np.testing.assert_allclose(scored["blend_made"], ours.score(table)["blend_made"], atol=1e-6)
    np.testing.assert_allclose(scored["threshold"], 5 / (5 + table["price"]), atol=1e-6)
    acts = scored["blend_made"] >= scored["threshold"]
    expected = np.where(scored["price"].isna() | scored["blend_made"].isna(), "", np.where(acts, "yes", "no"))
    assert scored["act_blend_made"].fillna("").tolist() == expected.tolist()


def test_what_acting_is_worth_leaves_out_purchases_without_a_cost(shop):
    answers = json.loads((shop[1] / "evaluation" / "evaluation.json").read_text())["questions"]["made"]
    table = pd.read_parquet(shop[1] / "prepared" / "purchases.parquet")
    n_blank = int(table["price_raw"][table["part"] == "test"].isna().sum())
    assert n_blank > 0
    assert answers["worth"]["sentence"].endswith(f"Left out: {n_blank} test purchases of which no cost is given.")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (("2024-12-01", 1), r"must say what the purchase has in price, product, country \(found nothing\)"),
        (("2024-12-01", 1, {"price": 1}), r"must say what the purchase has in .* \(found \['price'\]\)"),
        (("2024-12-01", 1, {"price": "1", "product": "A", "country": ""}), "price must be a finite number, or missing"),
        (("2024-12-01", 1, {"price": np.inf, "product": "A", "country": ""}), "price must be a finite number"),
        (("2024-12-01", 1, {"price": 10**400, "product": "A", "country": ""}), "price must be a finite number"),
        (("2024-12-01", 1, {"price": True, "product": "A", "country": ""}), "price must be a finite number"),
        (("2024-12-01", 1, pd.Series([1, 2])), r"must say what the purchase has in .* \(found Series\)"),
    ],
)
def test_a_purchase_that_does_not_say_what_it_has_is_refused(shop, ours, csv, made, message):
    group = {"group": "C1"} if shop[0] == "groups" else {}
    with pytest.raises(DataError, match=message):
        ours.predict_proba(read(csv), made=(pd.Timestamp(made[0]), *made[1:]), **group)


def test_a_history_without_a_column_is_refused_unless_nothing_of_it_is_asked(shop, ours, csv):
    table = read(csv).drop(columns="product")
    group = {"group": "C1"} if shop[0] == "groups" else {}
    with pytest.raises(DataError, match=r"the column product of the training is needed once \(found 0\)"):
        ours.predict_proba(table, **{**asked_of(shop[0], read(csv).iloc[-1])})
    assert 0 < ours.predict_proba(table, **group) < 1
    with pytest.raises(SettingsError, match="rates is for a purchase just made"):
        ours.predict_proba(table, rates="prepared", **group)


def test_missing_or_foreign_counts_are_told(shop, csv, tmp_path):
    predictor = Predictor.load(shop[1])
    predictor.artifacts_dir = tmp_path
    table = read(csv)
    with pytest.raises(Exception, match=r"values.parquet cannot be read: No such file"):
        predictor.predict_proba(table, rates="prepared", **asked_of(shop[0], table.iloc[-1]))
