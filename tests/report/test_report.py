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
from boomerang.measures.values import ColumnValues, ValueRate, ValueRates
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
def of_columns(trained_on_columns):
    """An evaluation of further columns: `price`, `product`, and `month`, which a feature is called as well."""
    return read_json(trained_on_columns / "evaluation" / "evaluation.json", Evaluation)


def test_with_further_columns_the_pages_are_functions_of_the_evaluation_too(of_columns, trained_on_columns):
    assert write_report(of_columns) == (trained_on_columns / "evaluation" / "report.html").read_text()
    card = (trained_on_columns / "MODEL_CARD.md").read_text()
    assert write_card(of_columns, read_metadata(trained_on_columns)) == card


def test_chart_and_card_tell_a_column_from_a_feature_of_the_same_name(of_columns, trained_on_columns):
    page = write_report(of_columns).partition('id="made"')[2]
    chart = page.partition("<svg viewBox")[2].partition("Rise of log loss by feature and column")[2]
    names = set(re.findall('text-anchor="end">(.*?)</text>', chart.partition("</svg>")[0]))
    assert {"month", "month (column)", "price", "product", "hour"} < names
    assert not any(name.startswith(("price_", "product_", "month_")) for name in names)
    rises = write_card(of_columns, read_metadata(trained_on_columns)).rpartition("is shuffled (mean")[2]
    importance = of_columns.questions["made"].importance
    for name, rise in (("`month (column)`", importance.columns["month"]), ("month", importance.features["month"])):
        assert re.search(rf"[,\n] ?{re.escape(f'{name} {rise.mean:.4f} ± {rise.spread:.4f}')}", rises)


def test_pages_tell_of_new_and_known_values_of_a_purchase_just_made(of_columns, trained_on_columns):
    asked_next, made = write_report(of_columns).split('id="made"')
    assert "By whether a value is new" not in asked_next
    tables = made.partition("By whether a value is new or known</h3>")[2].partition('<p class="note">')[0]
    rows = [re.sub(r"<[^>]*>", " ", row).split()[:2] for row in tables.split("<tr>")[1:]]
    assert [row for row in rows if row[1] != "test"] == [["known", "20"], ["new", "1"], ["known", "19"]]
    # Without groups there is none whose rate could be compared.
    assert "group rate" not in tables
    card = write_card(of_columns, read_metadata(trained_on_columns))
    assert re.findall(r"\| (`\w+`) \| (\w+) \| (\d+) ", card) == [
        ("`month`", "known", "20"),
        ("`product`", "new", "1"),
        ("`product`", "known", "19"),
    ]


def test_the_model_card_names_the_columns_and_the_labels_on_which_rates_rest(of_columns, trained_on_columns):
    card = " ".join(write_card(of_columns, read_metadata(trained_on_columns)).split())
    assert "returned_before, and the columns `price`, `product` and `month`. Hidden" in card
    assert "the number in `price` is read as well" in card
    assert "rate so far of its value in `product` and `month`" in card
    assert "rest on the labels that were known at the time" in card
    assert "knows what `price`, `product` and `month` say and no more" in card
    assert "no articles" not in card


def with_values(evaluation, *values, name="size", n_values=None):
    """The evaluation with a column whose values all have the same rate."""
    rates = [ValueRate(value=value, rate=0.25, n_known=1234, n_returned=300) for value in values]
    columns = {name: ColumnValues(n_values=n_values or len(values), highest=rates[:1], lowest=rates[1:])}
    found = ValueRates(until="2024-05-01T12:00:00", base_rate=0.2, rate_strength=20.0, columns=columns)
    return evaluation.model_copy(update={"values": found})


def test_values_stand_on_the_page_once_and_escaped(evaluation):
    page = write_report(with_values(evaluation, "<script>alert(1)</script>", "", "a\tb"))
    assert page.count("<h2>Which values come back</h2>") == 1
    assert "<script>alert" not in page
    section = page.partition('<section id="values">')[2].partition("</section>")[0]
    cells = re.findall('<th scope="row">(.*?)</th><td>25.0%</td><td>1,234</td><td>300</td>', section)
    assert cells == ["&lt;script&gt;alert(1)&lt;/script&gt;", "(not given)", r"a\tb"]
    assert "until 2024-05-01 12:00:00" in section
    assert "20.0%, as by 20 purchases" in section
    assert ">3 values.<" in section


def test_the_page_says_that_only_the_ends_are_shown_where_there_are_more_values(evaluation):
    page = write_report(with_values(evaluation, "a", "b", n_values=3000))
    assert ">3,000 values, of which these have the highest and the lowest rate." in page


def test_names_of_columns_are_escaped_in_charts_headings_and_tables(of_columns):
    answers, name = of_columns.questions["made"], "<i>&"
    importance = answers.importance.model_copy(update={"columns": {name: answers.importance.columns["product"]}})
    changed = {"importance": importance, "by_column": {name: answers.by_column["product"]}}
    evaluation = of_columns.model_copy(update={"questions": {"made": answers.model_copy(update=changed)}})
    page = write_report(with_values(evaluation, "a", name=name))
    assert "<i>" not in page
    # In what is known of the purchase, the chart, the table of new and known values, and over its own values.
    assert page.count("&lt;i&gt;&amp;") == 4


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
