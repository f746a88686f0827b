"""The figures of the sample that no command on a page prints are those that the committed pipeline wrote."""

import json
import re

import pytest

from tests.docs.support import PAGES, committed_artifacts

FOLDER = committed_artifacts()
pytestmark = pytest.mark.skipif(FOLDER is None, reason="artifacts/ is not here as dvc.lock records it")
# How the rows of the tables begin, and the model that each is about.
ROWS = {
    "share of returns": "base_rate",
    "Markov chain": "markov_chain",
    "counting": "markov_chain",
    "logistic regression": "logistic_regression",
    "boosted trees": "trees",
    "blend": "blend",
    "time ensemble": "time",
    "simple ensemble": "simple",
    "combination": "combination",
    "context": "context",
}


@pytest.fixture(scope="module")
def metrics():
    return json.loads((FOLDER / "evaluation" / "metrics.json").read_text())["test"]


@pytest.fixture(scope="module")
def evaluation():
    # As plain JSON: a figure that is new in the code is not in it before the next `make`.
    return json.loads((FOLDER / "evaluation" / "evaluation.json").read_text())


def sample_column(page):
    """By question and model, the cell of the sample in the table of results on `page`."""
    found, question = {}, "next"
    cells = r"^\| (.*?) \| \**(0\.\d{4})\** (\(0\.\d{3}\)) \|"
    rows = re.findall(rf"{cells}|^\| \*\*(will .*?)\*\*", PAGES[page], re.MULTILINE)
    for label, log_loss, roc_auc, heading in rows:
        question = "made" if "made:" in label or "made" in heading else question
        if label:
            name = re.sub(r"^(next|made): ", "", label.replace("*", ""))
            (model,) = [model for beginning, model in ROWS.items() if name.startswith(beginning)]
            found[question, model] = f"{log_loss} {roc_auc}"
    return found


@pytest.mark.parametrize(("page", "n_rows"), [("README.md", 8), ("docs/evaluation.md", 12)])
def test_the_table_of_results_holds_the_figures_of_the_sample(page, n_rows, metrics):
    shown = sample_column(page)
    assert len(shown) == n_rows
    for (question, name), cell in shown.items():
        figures = metrics[question][name]
        assert cell == f"{figures['log_loss']:.4f} ({figures['roc_auc']:.3f})", (question, name)


def test_the_verdicts_are_quoted_as_the_report_prints_them(evaluation):
    quoted = re.findall(r"(?:^> .+\n)+", PAGES["docs/evaluation.md"], re.MULTILINE)
    assert len(quoted) == 2
    for answers in evaluation["questions"].values():
        assert answers["verdict"] in [text.replace("\n> ", " ").removeprefix("> ").strip() for text in quoted]


@pytest.mark.parametrize("question", ["next", "made"])
def test_the_differences_to_the_best_baseline_are_those_of_the_report(question, evaluation):
    difference = evaluation["questions"][question]["difference"]
    text = " ".join(PAGES["README.md"].split())
    assert f"{difference['low']:+.4f} and {difference['high']:+.4f} (sample, {question})" in text


def test_the_tutorial_reads_the_figures_of_the_report(evaluation, metrics):
    text = " ".join(PAGES["docs/tutorial.md"].split())
    next_purchase, difference = metrics["next"], evaluation["questions"]["next"]["difference"]
    ours, trees = (f"{next_purchase[name]['log_loss']:.4f}" for name in ("blend", "trees"))
    assert f"log loss {ours} against {trees} of boosted trees, " in text
    assert f"difference {difference['low']:+.4f} to {difference['high']:+.4f}" in text
    costs = {}
    for question, answers in evaluation["questions"].items():
        counts = answers["decisions"]
        n = counts["n_returned"] + counts["n_kept"]
        # A missed return costs 8, acting for nothing 1; the counts are by thousandths of the threshold, 1 / 9.
        rule = 8 * (counts["n_returned"] - counts["hits"][111]) + counts["false_alarms"][111]
        totals = (rule, 8 * counts["n_returned"], counts["n_kept"])
        costs[question] = [f"{1000 * total / n:,.0f}" for total in totals]
    cost, never, always = costs["next"]
    assert f"on the {n} test purchases: {cost} per 1,000 purchases, against {never} if nobody" in text
    assert f"and {always} if one acts on all. The panel of a purchase just made says {costs['made'][0]}" in text


def test_the_page_says_among_how_many_purchases_is_shuffled(evaluation):
    n_next, n_made = (evaluation["questions"][question]["importance"]["n_rows"] for question in ("next", "made"))
    n_test = evaluation["parts"]["test"]["rows"]
    said = f"{n_next} of the {n_test} of the sample for the next purchase, {n_made} for one just made"
    assert said in " ".join(PAGES["docs/evaluation.md"].split())


def test_the_majority_is_right_as_often_as_the_readme_says(evaluation):
    assert f"right in {100 * evaluation['majority_accuracy']:.0f} of 100 test purchases" in PAGES["README.md"]
