"""Helpers of the tests of command lines."""

from boomerang.commands import predict


def run(capsys, *arguments):
    predict.main([str(argument) for argument in arguments])
    return capsys.readouterr()


MADE = ["--next_datetime", "2024-02-01 09:00", "--next_number", "5"]
