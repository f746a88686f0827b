"""Every sentence of the pages about the Predictor is true: a check for each, and none without one."""

import inspect
import io
import re
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import yaml

from boomerang import Predictor
from boomerang.base import settings
from boomerang.base.errors import BoomerangError
from boomerang.base.execution import Execution
from boomerang.commands import predict, train
from tests.docs.support import PAGES
from tests.support import SMALL_PARAMS, write_purchases


@pytest.fixture(scope="module")
def history(prepared):
    """A table as the page describes it, of the purchases of the small training."""
    return prepared[["datetime", "returned", "number"]].copy()


def takes_labels_or_a_table(predictor, history, trained):
    assert 0 < predictor.predict_proba([1, 0, 0, 1]) < 1
    assert 0 < predictor.predict_proba(history) < 1
    for broken in (history[::-1], history.assign(returned=2), history.assign(datetime="2024-01-01")):
        with pytest.raises(ValueError, match="history: "):
            predictor.predict_proba(broken)
    zoned = history.assign(datetime=history["datetime"].dt.tz_localize("UTC"))
    with pytest.raises(ValueError, match="naive datetimes"):
        predictor.predict_proba(zoned)


def takes_instants_for_the_order(predictor, history, trained):
    # A clock that goes back: local times are in no order, instants are.
    falling = history["datetime"].where(history.index < len(history) - 1, history["datetime"] - pd.Timedelta(days=9))
    by_instant = history.assign(datetime=falling, instant=history["datetime"])
    assert predictor.score(by_instant)["simple"].equals(predictor.score(history)["simple"])
    with pytest.raises(ValueError, match="instant must be naive datetimes, none before the one above it"):
        predictor.score(by_instant[::-1])
    utc = history.assign(instant=history["datetime"])
    made = pd.Timestamp("2024-03-01 09:00")
    naive = predictor.predict_proba(utc, (made, 3), "context")
    assert predictor.predict_proba(utc, (made.tz_localize("UTC"), 3), "context") == naive
    assert predictor.predict_proba(utc, (made.tz_localize("Asia/Tokyo"), 3), "context") != naive


def predicts_by_the_blend(predictor, history, trained):
    assert predictor.predict_proba(history) == predictor.predict_proba(history, name="blend")
    assert predictor.predict_proba(history) != predictor.predict_proba(history, name="combination")


def predicts_a_purchase_just_made(predictor, history, trained):
    made = (pd.Timestamp("2024-03-01 09:00"), 3)
    asked = history.assign(returned=history["returned"]).copy()
    asked.loc[len(asked)] = {"datetime": made[0], "returned": 0, "number": made[1]}
    expected = predictor.score(asked).iloc[-1]
    for name in ("blend", "trees"):
        assert predictor.predict_proba(history, made, name) == pytest.approx(expected[f"{name}_made"], abs=1e-6)
    assert predictor.predict_proba(history, made=made) == predictor.predict_proba(history, made, "blend")


def scores_as_csv_does(predictor, history, trained, capsys):
    path = str(trained.parent / "purchases.csv")
    predict.main(["--csv", path, "--ensemble", "all", "--artifacts_dir", str(trained)])
    written = pd.read_csv(io.StringIO(capsys.readouterr().out))
    scores = predictor.score(history)
    assert len(list(scores)) == 8
    pd.testing.assert_frame_equal(written[list(scores)], scores.round(9), atol=1e-9, rtol=0)
    assert list(predictor.score(history["returned"].tolist())) == ["simple"]


@pytest.fixture(scope="module")
def by_customer(tmp_path_factory):
    """A predictor of a small training with customers and a label delay, and its table, whose last label is open."""
    folder = tmp_path_factory.mktemp("by_customer")
    table = pd.read_csv(write_purchases(folder / "purchases.csv"))
    table["customer"] = [f"C{row * row % 7}" for row in range(len(table))]
    table.to_csv(folder / "purchases.csv", index=False)
    params = yaml.safe_load(yaml.safe_dump(SMALL_PARAMS))
    changed = {"group_column": "customer", "label_delay_days": 5, "data_path": str(folder / "purchases.csv")}
    params["prepare"] |= changed
    config = settings.validate_settings(params, "test")
    train.run(config, Execution(jobs=1, quiet=True, no_store=True), folder / "artifacts")
    history = table.assign(datetime=pd.to_datetime(table["datetime"]), returned=1.0 * (table["returned"] == "yes"))
    history.loc[len(history) - 1, "returned"] = None
    return Predictor.load(folder / "artifacts"), history


def asks_for_a_group(predictor, history, trained, by_customer):
    predictor, history = by_customer
    changed = history.assign(returned=history["returned"].where(history["customer"] == "C1", 1 - history["returned"]))
    assert predictor.predict_proba(history, group="C1") == predictor.predict_proba(changed, group="C1")
    assert predictor.predict_proba(history, group="C1") != predictor.predict_proba(history, group="C4")
    with pytest.raises(ValueError, match="group goes with a history that has the column customer"):
        predictor.predict_proba(history)


def takes_a_table_without_the_column_for_one_group(predictor, history, trained, by_customer):
    predictor, history = by_customer
    alone = history[history["customer"] == "C1"].drop(columns="customer")
    when = history["datetime"].max()
    assert predictor.predict_proba(alone, now=when) == predictor.predict_proba(history, group="C1")


def asks_at_a_time(predictor, history, trained, by_customer):
    predictor, history = by_customer
    now = history["datetime"].iloc[100]
    earlier = history[history["datetime"] <= now - pd.Timedelta(days=5)]
    assert predictor.predict_proba(history, group="C1", now=now) == predictor.predict_proba(
        earlier, group="C1", now=now
    )
    assert predictor.predict_proba(history, group="C1", now=now) != predictor.predict_proba(history, group="C1")


def scores_all_groups(predictor, history, trained, by_customer):
    predictor, history = by_customer
    last = history.iloc[-1]
    made = (last["datetime"], last["number"])
    found = predictor.predict_proba(history, made=made, group=last["customer"])
    assert predictor.score(history)["blend_made"].iloc[-1] == pytest.approx(found, abs=1e-6)
    with pytest.raises(ValueError, match="the column customer of the training is needed once"):
        predictor.score(history.drop(columns="customer"))


def takes_labels_that_are_not_known_yet(predictor, history, trained, by_customer):
    of_customers, open_history = by_customer
    for label in (None, float("nan")):
        returned = [*open_history["returned"].astype(object)[:-1], label]
        assert of_customers.predict_proba(open_history.assign(returned=returned), group="C1") > 0
    assert predictor.score(history.assign(returned=[*history["returned"][:-1], None])).notna().iloc[-1].all()
    with pytest.raises(ValueError, match="returned must be 0 or 1 in every row"):
        predictor.predict_proba(history.assign(returned=[*history["returned"][:-1], None]))


@pytest.fixture(scope="module")
def of_columns(trained_on_columns):
    """A predictor of a small training that read further columns, and its table."""
    table = pd.read_csv(trained_on_columns.parent / "purchases.csv", parse_dates=["datetime"])
    return Predictor.load(trained_on_columns), table.assign(returned=1 * (table["returned"] == "yes"))


def takes_further_columns(predictor, history, trained, of_columns):
    predictor, history = of_columns
    last, columns = history.iloc[-1], ["price", "product", "month"]
    made = (last["datetime"], last["number"], {name: last[name] for name in columns})
    found = predictor.predict_proba(history[:-1], made=made)
    assert predictor.score(history)["blend_made"].iloc[-1] == pytest.approx(found, abs=1e-6)
    missing = (*made[:2], dict.fromkeys(columns))
    assert 0 < predictor.predict_proba(history[:-1], made=missing) < 1


def takes_the_counts_of_the_training(predictor, history, trained, of_columns):
    """The default is held by `tests/test_columns.py`."""
    predictor, history = of_columns
    last = history.iloc[-1]
    made = (last["datetime"], last["number"], {name: last[name] for name in ("price", "product", "month")})
    short = history[-30:-1]
    counted = predictor.predict_proba(short, made=made, name="trees", rates="prepared")
    assert counted != predictor.predict_proba(short, made=made, name="trees")


def says_what_it_learned_from(predictor, history, trained):
    assert predictor.source.n_purchases == len(history)


def refuses_with_a_value_error_of_our_own(predictor, history, trained):
    assert issubclass(BoomerangError, ValueError)
    with pytest.raises(BoomerangError, match="found none named number"):
        predictor.score(history.drop(columns="number"))


def serves_threads_and_forked_processes(predictor, history, trained):
    """In a process of its own, `tests/serving/test_forks.py` tries what may hang."""
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda _: predictor.predict_proba(history), range(4)))
    assert found == [predictor.predict_proba(history)] * 4


# How a sentence begins, and what shows that it is true.
CHECKS = {
    "`predict_proba` takes past labels": takes_labels_or_a_table,
    "Where it has `instant`": takes_instants_for_the_order,
    "From a table the blend predicts": predicts_by_the_blend,
    "With `made=(datetime, number)`": predicts_a_purchase_just_made,
    "`score` takes the same table": scores_as_csv_does,
    "Where the training had a [group column]": asks_for_a_group,
    "Without that column the table": takes_a_table_without_the_column_for_one_group,
    "A `now` says when": asks_at_a_time,
    "`score` takes a table of all groups": scores_all_groups,
    "Of a label that is not known yet": takes_labels_that_are_not_known_yet,
    "Where the training read [further columns]": takes_further_columns,
    'With `rates="prepared"`': takes_the_counts_of_the_training,
    "`source` says what the model has learned from": says_what_it_learned_from,
    "What is no history is refused": refuses_with_a_value_error_of_our_own,
    "One predictor serves the threads": serves_threads_and_forked_processes,
}


def sentences_about_python():
    section = PAGES["docs/prediction.md"].partition("\n## From Python\n")[2].partition("\n## ")[0]
    prose = " ".join(re.sub(r"```.*?```", "", section, flags=re.DOTALL).split())
    # A sentence ends where the next one begins; before a block of Python it ends in a colon.
    return re.split(r"(?<=[.:]) (?=[A-Z]|`(?:score|source)`)", prose)


def test_every_sentence_about_the_predictor_is_checked():
    found = sentences_about_python()
    assert len(found) == len(CHECKS)
    for sentence, beginning in zip(found, CHECKS, strict=True):
        assert sentence.startswith(beginning)


@pytest.mark.parametrize("beginning", CHECKS)
def test_what_is_said_of_the_predictor_is_true(beginning, predictor, history, trained, request):
    check = CHECKS[beginning]
    asked = [name for name in inspect.signature(check).parameters if name in ("capsys", "by_customer", "of_columns")]
    check(predictor, history, trained, **{name: request.getfixturevalue(name) for name in asked})


# Sentences with code of Python elsewhere on the pages are steps that run, or these, which the tests above hold.
ELSEWHERE = {"from boomerang import Predictor"}


@pytest.mark.parametrize("page", sorted(PAGES.keys() - {"CHANGELOG.md"}))
def test_no_page_says_more_of_the_predictor_in_passing(page):
    prose = re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL)
    if page == "docs/prediction.md":
        prose = prose.partition("\n## From Python\n")[0]
    code = re.findall(r"`([^`\n]*(?:predict_proba|Predictor|predictor\.)[^`\n]*)`", prose)
    named = {text for text in code if not re.fullmatch(r"boomerang/\S+|Predictor|predict_proba", text)}
    assert named <= ELSEWHERE
