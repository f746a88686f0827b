"""Further columns of a purchase: the names that the shop has for them, and what is made of each."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from boomerang.base.checks import Section, shown

# Columns that every file has, and the one that tells the order of a program's table.
OWN_COLUMNS = ("datetime", "returned", "number", "instant")
# Of either kind: what comes from outside is bounded.
MAX_COLUMNS = 64
RULE = "neither datetime, returned, number nor instant, of up to 200 printable characters without outer blanks"


def _can_be_further(name: str) -> bool:
    return 0 < len(name) <= 200 and name.isprintable() and name == name.strip() and name.lower() not in OWN_COLUMNS


def _name_further(name: str) -> str:
    if not _can_be_further(name):
        raise ValueError(f"must be the name of a further column, {RULE} (found {shown(name)})")
    return name


def _name_all_further(names: list[str]) -> list[str]:
    strangers = [name for name in names if not _can_be_further(name)]
    if strangers or len(names) > MAX_COLUMNS:
        found = shown(strangers[0]) if strangers else f"{len(names)} names"
        raise ValueError(f"must be up to {MAX_COLUMNS} names of further columns, {RULE} (found {found})")
    return names


ColumnName = Annotated[str, AfterValidator(_name_further)]
ColumnList = Annotated[list[str], AfterValidator(_name_all_further)]


def _print_plainly(name: str) -> str:
    if not name.isprintable():
        raise ValueError(f"must be printable (found {shown(name)})")
    return name


# What a program calls a feature, or the shop a column and what is made of it: `hour`, `Unit price_value`.
FeatureName = Annotated[str, Field(min_length=1, max_length=230), AfterValidator(_print_plainly)]


class Columns(Section):
    """Further columns that are read of each purchase.

    Attributes
    ----------
    numeric : list of str
        Columns of numbers, whose cells may be blank.
    categorical : list of str
        Columns of text, such as a product or a country; a blank is a value like any other.
    """

    numeric: ColumnList
    categorical: ColumnList

    @model_validator(mode="after")
    def _name_each_once(self) -> "Columns":
        if twice := find_twice(self.names):
            raise ValueError(f"numeric and categorical columns must stand once (found {shown(twice)} twice)")
        return self

    @property
    def names(self) -> list[str]:
        """All of them, the numeric ones first."""
        return [*self.numeric, *self.categorical]

    @property
    def features(self) -> tuple[str, ...]:
        """What members and trees read of them, in that order."""
        return tuple(feature for features in self.features_of.values() for feature in features)

    @property
    def scaled(self) -> tuple[str, ...]:
        """Those of the features that are scaled."""
        return (
            *(feature for name in self.numeric for feature in self.features_of[name]),
            *map(count_of, self.categorical),
        )

    @property
    def features_of(self) -> dict[str, tuple[str, str]]:
        """By column, what is made of it.

        Of a numeric one the value and whether it was given, both scaled; of a categorical one its rate so far, and the
        scaled logarithm of one and the labels that this rests on, up to a limit.
        """
        return {
            **{name: (value_of(name), f"{name}_given") for name in self.numeric},
            **{name: (f"{name}_rate", count_of(name)) for name in self.categorical},
        }


def value_of(name: str) -> str:
    """The feature that is the scaled value of a numeric column."""
    return f"{name}_value"


def count_of(name: str) -> str:
    """The feature that tells how many labels the rate of a categorical column rests on."""
    return f"{name}_count"


def raw_of(name: str) -> str:
    """What a table calls a numeric column as it was read; no further column can be called so beside it."""
    return f"{name}_raw"


def amount_of(name: str) -> str:
    """What a table calls a column that says what a mistake costs: `number`, or a numeric column."""
    return name if name == "number" else raw_of(name)


def code_of(name: str) -> str:
    """What a table calls the number of a categorical column's value."""
    return f"{name}_code"


def known_of(name: str) -> tuple[str, str]:
    """What a table calls how many labels of a purchase's value were known by then, and how many of them came back."""
    return f"{name}_n_known", f"{name}_n_returned"


def find_twice(names: Iterable[str]) -> str | None:
    """The first name that stands twice, upper and lower case being the same."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return name
        seen.add(name.lower())
    return None
