import xml.etree.ElementTree as ElementTree

import pytest

from boomerang.report.charts import Series, bar_chart, fitting_axis, index_axis, line_chart, share_axis


def parsed(figure):
    return ElementTree.fromstring(figure.replace("<br>", "<br/>"))


def test_points_lie_where_their_values_are():
    chart = line_chart("t", share_axis("x"), share_axis("y"), [Series("a", [0, 0.5, 1], [0, 1, 0.25], "s")])
    points = parsed(chart).find(".//polyline").get("points")
    # 46 to 348 across, 220 up to 10.
    assert points == "46.0,220.0 197.0,10.0 348.0,167.5"


@pytest.mark.parametrize(("highest", "top"), [(0.03, 0.04), (0.3, 0.4), (0.41, 0.8), (0.95, 1.0), (1.0, 1.0)])
def test_axes_of_shares_end_at_a_plain_number(highest, top):
    axis = share_axis("x", highest)
    assert axis.high == pytest.approx(top)
    assert len(axis.ticks) == 5


def test_an_axis_of_one_value_has_a_width():
    axis = fitting_axis("x", [0.5, 0.5])
    assert axis.low < 0.5 < axis.high
    assert index_axis("x", ["only"]).share(0) == 0


def test_negative_bars_go_left_of_zero():
    bars = parsed(bar_chart("t", [("up", 0.3, 0.02), ("down", -0.1, 0.01)])).findall(".//rect")
    zero = float(bars[0].get("x"))
    assert float(bars[1].get("x")) + float(bars[1].get("width")) == pytest.approx(zero, abs=0.2)


def test_bars_say_their_value_and_its_spread():
    texts = [text.text for text in parsed(bar_chart("t", [("up", 0.3, 0.02)])).findall(".//text")]
    assert texts == ["up", "+0.3000 ± 0.0200"]


def test_names_are_escaped():
    chart = parsed(bar_chart('a "b" <c>', [("<d>", 0.0, 0.0)]))
    assert chart.find("svg").get("aria-label") == 'a "b" <c>'
    assert chart.find(".//text").text == "<d>"
