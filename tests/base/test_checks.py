from typing import Annotated

import pytest
from pydantic import ValidationError

from boomerang.base.checks import Section, describe_faults, int_between, within


class Example(Section):
    n: Annotated[int, int_between(1, 10)]
    share: Annotated[float, within("a share", lambda share: 0 <= share <= 1)]


def faults(**content):
    with pytest.raises(ValidationError) as caught:
        Example.model_validate(content)
    return describe_faults(caught.value, "file")


@pytest.mark.parametrize("n", [0, 11, 1.0, True, "1", None, float("nan"), [1]])
def test_a_whole_number_is_of_its_type_and_range(n):
    assert faults(n=n, share=0.5) == [f"file: n: must be a whole number from 1 to 10 (found {n!r})"]


def test_every_fault_is_a_line_of_its_own():
    assert faults(share=2.0, other=1) == [
        "file: n is missing",
        "file: share: must be a share (found 2.0)",
        "file: other is not a setting (found 1)",
    ]


@pytest.mark.parametrize(("text", "number"), [("1e-3", 0.001), ("5E-1", 0.5), (".5e0", 0.5)])
def test_an_exponent_without_a_point_is_a_number(text, number):
    assert Example(n=1, share=text).share == number


@pytest.mark.parametrize("text", ["0.5", "half", "1e-3x", "nan", "\u0661e-3", " 1e-3"])
def test_other_text_is_no_number(text):
    assert faults(n=1, share=text) == [f"file: share: must be a share (found {text!r})"]
