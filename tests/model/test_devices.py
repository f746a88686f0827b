from concurrent.futures import ThreadPoolExecutor

import torch

from boomerang.model.devices import choose_device, make_deterministic, one_thread


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


def test_one_thread_is_for_the_calling_thread_and_as_long_as_the_context():
    def ask():
        """As a new thread finds it: in the context, in another thread beside it, and after it."""
        with one_thread():
            numbers = [torch.get_num_threads(), ThreadPoolExecutor(1).submit(torch.get_num_threads).result()]
        return [*numbers, torch.get_num_threads()]

    torch.set_num_threads(2)
    try:
        assert [ThreadPoolExecutor(1).submit(ask).result() for _ in range(2)] == [[1, 2, 2]] * 2
    finally:
        torch.set_num_threads(1)
