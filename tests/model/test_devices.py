import torch

from boomerang.model.devices import choose_device, make_deterministic


def test_a_gpu_is_asked_for_deterministic_algorithms_and_full_precision(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", asked.append)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    make_deterministic(torch.device("cpu"))
    assert (asked, torch.backends.cudnn.allow_tf32) == ([], True)
    make_deterministic(torch.device("cuda"))
    assert (asked, torch.backends.cudnn.allow_tf32) == ([True], False)


def test_the_gpu_is_used_only_if_asked_for_and_present(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device(True).type == "cuda"
    assert choose_device(False).type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(True).type == "cpu"
