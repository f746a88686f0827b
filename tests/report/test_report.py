"""The report in a real browser."""

import re
import shutil
from html.parser import HTMLParser

import pytest

from boomerang.base.stage_files import read_json
from boomerang.combining.artifacts import read_metadata
from boomerang.combining.decisions import cost_threshold
from boomerang.features.known_past import PastRules
from boomerang.measures.evaluation import Evaluation, Stratum
from boomerang.measures.intervals import Interval
from boomerang.report.model_card import write_card
from boomerang.report.report import write_report

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver: apt-get install chromium chromium-driver"
)


@pytest.fixture(scope="module")
def evaluation(trained):
    return read_json(trained / "evaluation" / "evaluation.json", Evaluation)


def test_the_page_is_a_function_of_the_evaluation(evaluation, trained):
    assert write_report(evaluation) == (trained / "evaluation" / "report.html").read_text()


def test_the_page_asks_for_nothing_from_elsewhere(evaluation):
    class Links(HTMLParser):
        found = ()

        def handle_starttag(self, tag, attributes):
            self.found += tuple(name for name, _ in attributes if name in ("src", "href", "srcset", "action"))

    parser = Links()
    parser.feed(write_report(evaluation))
    assert parser.found == ()
    assert not re.search(r"url\(|@import|https?://", write_report(evaluation))


def test_the_verdict_comes_first(evaluation):
    text = re.sub(r"<style>.*?</style>|<[^>]*>|\s+", " ", write_report(evaluation), flags=re.DOTALL)
    body = " ".join(text.split()).removeprefix("Boomerang: what comes back ")
    assert body.startswith(evaluation.questions["next"].verdict)


@pytest.mark.parametrize(
    ("n_rows", "said"),
    [
        (20, "exchanged among the 20 test purchases: mean"),
        (7, "exchanged among 7 of the 20 test purchases (at equal distances; all of them, predicted again for every"),
    ],
)
def test_the_page_says_why_values_are_exchanged_among_fewer_than_the_test_purchases(evaluation, n_rows, said):
    answers = evaluation.questions["made"]
    importance = answers.importance.model_copy(update={"n_rows": n_rows})
    questions = {"made": answers.model_copy(update={"importance": importance})}
    assert said in write_report(evaluation.model_copy(update={"questions": questions}))


def test_what_comes_from_data_is_escaped(evaluation):
    question = evaluation.questions["next"].model_copy(update={"verdict": "<script>alert(1)</script>"})
    page = write_report(evaluation.model_copy(update={"questions": {"next": question}}))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_where_nothing_came_back_there_are_no_gains(evaluation):
    question = evaluation.questions["next"].model_copy(update={"gains": [], "curves": {}})
    page = write_report(evaluation.model_copy(update={"questions": {"next": question}}))
    assert "If you can act on few" not in page
    assert "If you can act on few" in write_report(evaluation)


def with_known_past(evaluation):
    """The evaluation with made-up strata: two of them, in which other baselines are the best ones."""
    answers = evaluation.questions["next"]
    figures = {model.name: model for model in answers.models}
    losses = {"blend": 0.5, "markov_chain": 0.4, "base_rate": 0.6, "group_rate": 0.7}

    def measured(shift):
        models = [
            figures.get(name, figures["base_rate"]).model_copy(
                update={"name": name, "log_loss": Interval(value=loss + shift, low=loss, high=0.9, block_length=1)}
            )
            for name, loss in losses.items()
        ]
        return sorted(models, key=lambda model: model.log_loss.value)

    strata = {
        "0": Stratum(n=1234, base_rate=0.25, models=measured(0.01)),
        "3+": Stratum(n=5, base_rate=0.2, models=[model for model in measured(0.02) if model.name != "markov_chain"]),
    }
    answers = answers.model_copy(update={"by_known_past": strata})
    return evaluation.model_copy(update={"questions": {"next": answers}})


def test_where_each_purchase_has_a_past_the_page_tells_by_how_much_of_it_is_known(evaluation):
    page = write_report(with_known_past(evaluation))
    table = page.partition("By how much of the past is known</h3>")[2].partition("</table>")[0]
    cells = [
        [" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in table.split("<tr>")[2:]
    ]
    assert cells == [
        [
            *("none", "1,234", "25.0%", "0.5100 (0.5000 to 0.9000)"),
            *("0.4100 (0.4000 to 0.9000) markov chain", "0.7100 (0.7000 to 0.9000)"),
        ],
        [
            *("3 or more", "5", "20.0%", "0.5200 (0.5000 to 0.9000)"),
            *("0.6200 (0.6000 to 0.9000) base rate", "0.7200 (0.7000 to 0.9000)"),
        ],
    ]


def test_the_model_card_tells_the_same(evaluation, trained):
    card = write_card(with_known_past(evaluation), read_metadata(trained))
    assert (
        "| known | test purchases | came back | blend | best baseline there | group_rate |\n"
        "|---|---|---|---|---|---|\n"
        "| none | 1234 | 0.2500 | 0.5100 (0.5000 to 0.9000) | markov_chain 0.4100 (0.4000 to 0.9000) | "
        "0.7100 (0.7000 to 0.9000) |\n"
        "| 3 or more | 5 | 0.2000 | 0.5200 (0.5000 to 0.9000) | base_rate 0.6200 (0.6000 to 0.9000) | "
        "0.7200 (0.7000 to 0.9000) |\n\n"
    ) in card


def test_with_one_past_for_all_neither_tells_by_how_much_is_known(evaluation, trained):
    assert evaluation.questions["next"].by_known_past == {}
    assert "of the past is known" not in write_report(evaluation)
    assert "are known before" not in write_card(evaluation, read_metadata(trained))


@pytest.mark.parametrize(
    ("group_column", "delay", "said", "limit"),
    [
        ("customer", 0, "the same value of the column `customer`.", "known when the next purchase is made"),
        ("customer", 2.5, "certain when it was made, 2.5 days after", "known 2.5 days after the purchase. Where"),
        (None, 21, "counts as known 21 days after the purchase", "known 21 days after the purchase. Where"),
    ],
)
def test_the_model_card_says_whose_past_a_purchase_has(evaluation, trained, group_column, delay, said, limit):
    past = PastRules(group_column=group_column, label_delay_days=delay, rate_strength=20, base_rate=0.3)
    card = write_card(evaluation, read_metadata(trained).model_copy(update={"past": past}))
    data, limits = (card.partition(f"## {title}\n")[2].partition("\n## ")[0] for title in ("Data", "Limits"))
    assert said in data
    assert limit in limits
    assert ("knows no customers" in limits) == (group_column is None)
    assert "not to be used to judge a person." in limits
    assert all(line.startswith(("- ", "  ")) for line in limits.strip().splitlines())


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    # In a container there is no sandbox to be had, and little shared memory.
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def show(browser, trained, width=1200, scheme="light"):
    scheme = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get((trained / "evaluation" / "report.html").as_uri())
    assert browser.get_log("browser") == []


def enter(form, name, text):
    field = form.find_element("name", name)
    field.clear()
    field.send_keys(text)


def read(form, *names):
    return [form.find_element("name", name).text for name in names]


@needs_browser
@pytest.mark.parametrize(("missed", "needless"), [("40", "2.5"), ("1", "3"), ("0", "1"), ("399", "1"), ("1", "0")])
def test_moving_a_cost_moves_threshold_cost_and_table(browser, trained, evaluation, missed, needless):
    show(browser, trained)
    for question, answers in evaluation.questions.items():
        form = browser.find_element("css selector", f"#{question} form")
        enter(form, "missed", missed)
        enter(form, "needless", needless)
        threshold = cost_threshold(float(missed), float(needless))
        counts = answers.decisions
        hits, alarms = (found[round(threshold * 1000)] for found in (counts.hits, counts.false_alarms))
        misses, total = counts.n_returned - hits, counts.n_returned + counts.n_kept
        cost = 1000 * (misses * float(missed) + alarms * float(needless)) / total
        assert read(form, "threshold") == [f"{threshold:.3f}"]
        meaning = {0: ", which is on every purchase", 1: ", which is on none"}.get(threshold, "")
        assert read(form, "meaning") == [meaning]
        assert read(form, "hits", "false_alarms", "misses", "right") == [
            str(number) for number in (hits, alarms, misses, counts.n_kept - alarms)
        ]
        assert float(read(form, "cost")[0].replace(",", "")) == pytest.approx(cost, abs=0.005)
    assert browser.get_log("browser") == []


@needs_browser
@pytest.mark.parametrize("costs", [("", "1"), ("-1", "1"), ("0", "0")])
def test_costs_that_decide_nothing_show_nothing(browser, trained, costs):
    show(browser, trained)
    form = browser.find_element("css selector", "#next form")
    for name, text in zip(("missed", "needless"), costs, strict=True):
        enter(form, name, text)
    assert set(read(form, "threshold", "cost", "hits")) == {"?"}
    assert "invalid" in form.find_element("css selector", ".advice").get_attribute("class")


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_page_without_scrolling_sideways(browser, trained, scheme):
    show(browser, trained, width=360, scheme=scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    colours = browser.execute_script(
        "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
        ".map(c => c.match(/[0-9]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) / 3)"
    )
    assert abs(colours[0] - colours[1]) > 150
    assert (colours[0] > colours[1]) == (scheme == "light")


@needs_browser
def test_every_chart_is_drawn_within_its_frame(browser, trained):
    show(browser, trained)
    outside = browser.execute_script(
        "return [...document.querySelectorAll('svg')].flatMap(svg => [...svg.querySelectorAll('*')].filter(e => {"
        "const box = e.getBoundingClientRect(), frame = svg.getBoundingClientRect();"
        "return box.left < frame.left - 2 || box.right > frame.right + 2 || box.bottom > frame.bottom + 2;})"
        ".map(e => e.outerHTML))"
    )
    assert outside == []
    assert len(browser.find_elements("css selector", "svg")) == 2 * 7 + 4
    assert len(browser.get_screenshot_as_png()) > 10_000
