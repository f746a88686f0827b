import pytest
import torch

from stages.lib.devices import AUTOCAST_DTYPES, check_precision, choose_device, repeat_exactly
from stages.lib.errors import SettingsError


def test_fp16_on_a_cpu_is_refused_with_the_reason():
    with pytest.raises(SettingsError, match="fp16 needs a GPU"):
        check_precision("fp16", torch.device("cpu"))


def test_a_precision_that_fails_at_the_first_step_is_refused_with_the_reason(monkeypatch):
    def fail(*arguments, **keywords):
        raise RuntimeError("could not create a primitive\nmore")

    monkeypatch.setattr("stages.lib.devices.MemberLSTM.forward", fail)
    with pytest.raises(SettingsError, match=r"bf16 does not run on cpu here: could not create a primitive$"):
        check_precision("bf16", torch.device("cpu"))


def test_a_precision_that_an_lstm_takes_for_another_is_refused(monkeypatch):
    monkeypatch.setitem(AUTOCAST_DTYPES, "fp32", torch.float16)
    with pytest.raises(SettingsError, match=r"fp32 does not run on cpu here: an LSTM takes torch\.float32$"):
        check_precision("fp32", torch.device("cpu"))


def test_a_gpu_is_asked_to_repeat_and_not_to_shorten(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", asked.append)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    repeat_exactly(torch.device("cpu"))
    assert (asked, torch.backends.cudnn.allow_tf32) == ([], True)
    repeat_exactly(torch.device("cuda"))
    assert (asked, torch.backends.cudnn.allow_tf32) == ([True], False)


def test_the_gpu_is_used_only_where_asked_for_and_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device(True).type == "cuda"
    assert choose_device(False).type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(True).type == "cpu"
