import torch

from stages.lib.devices import choose_device, repeat_exactly


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
