import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from boomerang.base.ensembles import QUESTIONS, names_answering, short_name
from boomerang.base.errors import ArtifactError, SettingsError
from boomerang.base.paths import CARD_FILE, EVALUATION_FILES
from boomerang.base.stage_files import read_json
from boomerang.combining.artifacts import read_metadata
from boomerang.commands import predict
from boomerang.measures.baselines import predict_baselines
from boomerang.measures.evaluation import Evaluation
from boomerang.model.forward import MemberForward
from stages.evaluate import evaluate
from tests.support import write_purchases


@pytest.fixture
def with_columns(trained_on_columns, tmp_path):
    """A copy of artifacts that were trained on further columns."""
    shutil.copytree(trained_on_columns, tmp_path / "columns")
    return tmp_path / "columns"


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of trained artifacts, to be damaged."""
    shutil.copytree(trained, tmp_path / "artifacts")
    return tmp_path / "artifacts"


def run(folder, margin=0.005, missed=None, needless=None, shown_columns=()):
    evaluate(folder / "prepared", folder, folder / "new", margin, missed, needless, shown_columns)
    return read_json(folder / "new" / "evaluation" / "evaluation.json", Evaluation)


def test_the_same_run_gives_the_same_bytes(folder, trained):
    run(folder)
    written = [path.relative_to(folder / "new") for path in (folder / "new").rglob("*") if path.is_file()]
    assert {path.as_posix() for path in written} == {CARD_FILE, *(f"evaluation/{name}" for name in EVALUATION_FILES)}
    for name in written:
        assert (folder / "new" / name).read_bytes() == (trained / name).read_bytes()


def test_it_computes_on_one_thread_and_leaves_the_caller_its_own(folder, monkeypatch):
    compute, seen = MemberForward.logits, set()

    def look(*given):
        seen.add(torch.get_num_threads())
        return compute(*given)

    monkeypatch.setattr(MemberForward, "logits", look)
    run(folder)
    alone = (folder / "new" / "evaluation" / "evaluation.json").read_bytes()
    torch.set_num_threads(2)
    try:
        run(folder)
        assert seen == {1}
        assert torch.get_num_threads() == 2
        assert (folder / "new" / "evaluation" / "evaluation.json").read_bytes() == alone
    finally:
        torch.set_num_threads(1)


def test_both_questions_are_answered_by_members_ensembles_and_baselines(trained, prepared):
    evaluation = read_json(trained / "evaluation" / "evaluation.json", Evaluation)
    names = {
        question: {(model.kind, model.name) for model in answers.models}
        for question, answers in evaluation.questions.items()
    }
    members = {name: {("member", f"{name}_seq{n}") for n in (2, 4)} for name in ("time", "simple", "context")}
    baselines = {
        question: {("baseline", name) for name in models} for question, models in predict_baselines(prepared, 4).items()
    }
    both = {("trees", "trees"), ("blend", "blend")}
    ours = {("ensemble", "time"), ("ensemble", "simple"), ("combination", "combination")}
    assert names["next"] == members["time"] | members["simple"] | baselines["next"] | ours | both
    assert names["made"] == members["context"] | baselines["made"] | {("ensemble", "context")} | both


def test_what_predict_writes_for_the_same_rows_gives_the_same_figures(trained, tmp_path):
    # The rows of `test` are the last tenth of the file that was trained on.
    output = tmp_path / "scores.csv"
    csv = write_purchases(tmp_path / "purchases.csv")
    predict.main(["--csv", str(csv), "--ensemble", "all", "--output", str(output), "--artifacts_dir", str(trained)])
    scored = pd.read_csv(output)[-20:]
    metrics = json.loads((trained / "evaluation" / "metrics.json").read_text())["test"]
    targets = scored["returned"] == "yes"
    for question in QUESTIONS:
        for full_name in names_answering(question):
            name, scored[short_name(full_name)] = short_name(full_name), scored[full_name]
            p = np.where(targets, scored[name], 1 - scored[name])
            assert round(float(-np.log(p).mean()), 6) == metrics[question][name]["log_loss"]
            assert round(float(((scored[name] - targets) ** 2).mean()), 6) == metrics[question][name]["brier"]


def test_report_card_metrics_and_leaderboard_print_the_same_figures(trained):
    evaluation = read_json(trained / "evaluation" / "evaluation.json", Evaluation)
    report = (trained / "evaluation" / "report.html").read_text()
    card = (trained / "MODEL_CARD.md").read_text()
    metrics = json.loads((trained / "evaluation" / "metrics.json").read_text())["test"]
    table = pd.read_csv(trained / "evaluation" / "leaderboard.csv").set_index(["question", "name"])
    for question, answers in evaluation.questions.items():
        assert answers.verdict in card
        assert answers.parts.sentence in card
        assert report.count(answers.parts.sentence) >= 2
        for model in answers.models:
            printed = f"{model.log_loss.value:.4f}"
            assert f"<td>{printed}" in report
            assert table.loc[(question, model.name), "log_loss"] == model.log_loss.value
            assert table.loc[(question, model.name), "skill"] == model.skill.value
            if model.kind != "member":
                assert f"| {printed} |" in card
                assert metrics[question][model.name]["log_loss"] == model.log_loss.value
                assert metrics[question][model.name]["brier"] == model.brier


def test_report_and_card_show_what_features_are_worth_with_the_spread_over_shuffles(trained):
    evaluation = read_json(trained / "evaluation" / "evaluation.json", Evaluation)
    report = (trained / "evaluation" / "report.html").read_text()
    card = (trained / "MODEL_CARD.md").read_text()
    for answers in evaluation.questions.values():
        for name, rise in answers.importance.features.items():
            assert f"{rise.mean:+.4f} ± {rise.spread:.4f}" in report
            assert f"{name} {rise.mean:.4f} ± {rise.spread:.4f}" in card
    assert all(f"{rise.mean:+.4f} ± {rise.spread:.4f}" in report for rise in answers.importance.lags.values())


def test_the_margin_reaches_the_verdict(folder):
    """With too few test purchases nothing is compared, so every purchase but a few is made one of `test`."""
    path = folder / "prepared" / "purchases.parquet"
    table = pd.read_parquet(path)
    table["part"] = np.repeat(["train", "val", "test"], [10, 10, len(table) - 20])
    table.loc[:9, "returned"] = np.array([0, 1] * 5, dtype=np.int8)
    table.to_parquet(path, index=False)
    verdicts = [run(folder, margin).questions["made"].verdict for margin in (1e-9, 1.0)]
    assert "too little to matter" not in verdicts[0]
    assert "too little to matter" in verdicts[1]


def test_the_test_purchases_were_not_used_before(folder):
    # Other labels there change the figures and nothing else.
    path = folder / "prepared" / "purchases.parquet"
    table = pd.read_parquet(path)
    before = run(folder)
    table.loc[table["part"] == "test", "returned"] = 1 - table["returned"]
    table.to_parquet(path, index=False)
    after = run(folder)
    chosen = [
        {m.name: m.chosen for m in evaluation.questions["next"].models if m.kind == "baseline"}
        for evaluation in (before, after)
    ]
    assert chosen[0] == chosen[1]
    assert after.questions["next"].models != before.questions["next"].models


def test_without_test_purchases_the_report_says_that_nothing_is_measured(folder):
    path = folder / "prepared" / "purchases.parquet"
    pd.read_parquet(path).query("part != 'test'").to_parquet(path, index=False)
    summary = json.loads((folder / "prepared" / "summary.json").read_text())
    del summary["parts"]["test"]
    (folder / "prepared" / "summary.json").write_text(json.dumps(summary))
    evaluation = run(folder)
    assert evaluation.questions == {}
    for name in ("evaluation/report.html", "MODEL_CARD.md"):
        assert "No purchases were kept for testing" in (folder / "new" / name).read_text()
    assert pd.read_csv(folder / "new" / "evaluation" / "roc_next.csv").empty
    assert pd.read_csv(folder / "new" / "evaluation" / "leaderboard.csv").empty


def test_costs_add_what_acting_is_worth_and_change_nothing_else(folder, trained):
    before = read_json(trained / "evaluation" / "evaluation.json", Evaluation)
    after = run(folder, missed=8.0, needless=1.0)
    for question, answers in after.questions.items():
        assert before.questions[question].worth is None
        assert answers.worth.n_acted is not None
        assert answers.model_copy(update={"worth": None}) == before.questions[question]
        for name in ("evaluation/report.html", "MODEL_CARD.md"):
            assert answers.worth.sentence in (folder / "new" / name).read_text()
            assert answers.worth.sentence not in (trained / name).read_text()
    report = (folder / "new" / "evaluation" / "report.html").read_text()
    assert [
        report.count(f'name="{name}" type="number" min="0" step="any" value="{cost}"')
        for name, cost in (("missed", 8), ("needless", 1), ("missed", 5))
    ] == [2, 2, 0]
    assert report.count("perfect knowledge</th><td>0</td>") == 2


def test_the_number_of_a_purchase_is_a_cost_where_it_is_known(folder):
    found = run(folder, missed="number", needless=1.0).questions
    assert found["next"].worth.cost is None
    test = pd.read_parquet(folder / "prepared" / "purchases.parquet").query("part == 'test'")
    costs = {one.name: one.cost.value for one in found["made"].worth.alternatives}
    assert costs["act_on_none"] == pytest.approx(1000 * (test["number"] * test["returned"]).mean(), abs=1e-4)
    assert costs["act_on_all"] == pytest.approx(1000 * (1 - test["returned"].mean()), abs=1e-4)
    report = (folder / "new" / "evaluation" / "report.html").read_text()
    assert report.count("perfect knowledge</th><td>0</td>") == 1
    # The panel asks for amounts: it begins as without costs.
    assert report.count('name="missed" type="number" min="0" step="any" value="5"') == 2


def test_a_number_that_is_too_large_for_a_cost_is_refused(folder):
    path = folder / "prepared" / "purchases.parquet"
    table = pd.read_parquet(path)
    table.loc[len(table) - 1, "number"] = -1e300
    table.to_parquet(path, index=False)
    with pytest.raises(SettingsError, match=r"number must be at most 1e\+12 in every test purchase .*found 1e\+300\)"):
        run(folder, missed="number", needless=1.0)
    assert run(folder, missed=8.0, needless=1.0).questions["made"].worth


def test_report_card_and_table_tell_what_is_caught_by_acting_on_few(trained, prepared):
    evaluation = read_json(trained / "evaluation" / "evaluation.json", Evaluation)
    report, card = ((trained / name).read_text() for name in ("evaluation/report.html", "MODEL_CARD.md"))
    for question, answers in evaluation.questions.items():
        curve = pd.read_csv(trained / "evaluation" / f"gains_{question}.csv")
        assert list(curve) == ["acted", "caught"]
        assert curve.iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
        assert [gain.n_acted for gain in answers.gains] == [1, 1, 2, 4]
        for gain in answers.gains:
            caught = np.interp(gain.n_acted / 20, curve["acted"], curve["caught"])
            assert gain.caught == pytest.approx(caught, abs=1e-5)
            row = (
                f"<td>{gain.n_acted}</td><td>{gain.n_caught:.1f}</td><td>{gain.caught:.1%}</td><td>{gain.lift:.2f}</td>"
            )
            assert f'<tr><th scope="row">{gain.percent} %</th>{row}' in report
        shares = ", ".join(f"{100 * gain.caught:.1f}" for gain in answers.gains)
        assert f"by `{answers.judged}` catches {shares} % of the returns (lift " in card


@pytest.mark.parametrize("change", ["seq_length,x\n1,2\n", "seq_length,train_loss,val_loss\n2,a,b\n", ""])
def test_a_history_that_is_none_is_refused(folder, change):
    (folder / "time" / "history.csv").write_text(change)
    with pytest.raises(ArtifactError, match=r"history\.csv is not the history of a training"):
        run(folder)


def test_a_card_names_every_member_with_its_hash(trained):
    card = (trained / "MODEL_CARD.md").read_text()
    for ensemble in read_metadata(trained).ensembles.values():
        for member in ensemble.members:
            assert f"| {ensemble.prefix}{member.seq_length}.pth | `{member.sha256}` |" in card


def test_without_further_columns_no_file_tells_of_any(trained):
    written = json.loads((trained / "evaluation" / "evaluation.json").read_text())
    assert "values" not in written
    for answers in written["questions"].values():
        assert "by_column" not in answers
        assert "columns" not in answers["importance"]
    assert list(pd.read_csv(trained / "evaluation" / "leaderboard.csv"))[:3] == ["question", "known_past", "name"]


def test_purchases_of_new_and_of_known_values_are_told_apart(trained_on_columns):
    evaluation = read_json(trained_on_columns / "evaluation" / "evaluation.json", Evaluation)
    assert evaluation.questions["next"].by_column == {}
    found = evaluation.questions["made"].by_column
    # The product of the last purchase stands there alone; either month stands among the first purchases.
    assert {name: {key: stratum.n for key, stratum in strata.items()} for name, strata in found.items()} == {
        "month": {"known": 20},
        "product": {"new": 1, "known": 19},
    }
    leaderboard = pd.read_csv(trained_on_columns / "evaluation" / "leaderboard.csv", keep_default_na=False)
    blend = leaderboard[leaderboard["name"] == "blend"]
    assert blend[["question", "known_past", "column", "value"]].to_numpy().tolist() == [
        ["next", "all", "", "all"],
        ["made", "all", "", "all"],
        ["made", "all", "month", "known"],
        ["made", "all", "product", "new"],
        ["made", "all", "product", "known"],
    ]
    # The mean of one purchase and of nineteen is that of all twenty.
    losses = blend["log_loss"].astype(float).tolist()
    assert (losses[3] + 19 * losses[4]) / 20 == pytest.approx(losses[1], abs=2e-6)


def test_values_are_told_of_the_columns_that_shall_be_shown_alone(with_columns):
    assert run(with_columns).values is None
    assert "Which values come back" not in (with_columns / "new" / "evaluation" / "report.html").read_text()
    found = run(with_columns, shown_columns=["product"]).values
    table = pd.read_parquet(with_columns / "prepared" / "purchases.parquet")
    values = (
        pd.read_parquet(with_columns / "prepared" / "values.parquet").query("column == 'product'")["value"].tolist()
    )
    assert found.until == table["datetime"].iloc[-1].isoformat()
    assert list(found.columns) == ["product"]
    product = found.columns["product"]
    assert product.n_values == 24
    for one in (*product.highest, *product.lowest):
        returned = table["returned"][table["product_code"] == values.index(one.value)]
        assert (one.n_known, one.n_returned) == (len(returned), returned.sum())
        rate = (returned.sum() + 20 * found.base_rate) / (len(returned) + 20)
        assert one.rate == pytest.approx(rate, abs=1e-6)
    page = (with_columns / "new" / "evaluation" / "report.html").read_text()
    assert page.count("<h2>Which values come back</h2>") == 1


def test_a_column_that_was_not_prepared_is_not_shown(with_columns, folder):
    rule = "evaluate.shown_columns must be among the categorical columns that were prepared"
    with pytest.raises(SettingsError, match=rf"{rule} \(found 'price', not in \['product', 'month'\]\)"):
        run(with_columns, shown_columns=["product", "price"])
    with pytest.raises(SettingsError, match=rf"{rule} \(found 'product', not in \[\]\)"):
        run(folder, shown_columns=["product"])
