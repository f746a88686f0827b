"""A plain file of purchases, the same with one other cell, and how to read it."""

from boomerang.reading.purchases import read_purchases

PLAIN = "datetime,returned,number\n2024-01-01 10:00:00,no,1\n2024-01-02T11:30,yes,2.5\n"
HEADER = "datetime,returned,number\n"


def read(folder, content, **how):
    path = folder / "purchases.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_purchases(path, **how)


def with_date(value):
    return PLAIN.replace("2024-01-01 10:00:00", value)


def with_label(value):
    return PLAIN.replace("yes", value)


def with_number(value):
    return PLAIN.replace("2.5", value)
