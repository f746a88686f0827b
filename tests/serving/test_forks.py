"""Services fork processes and start threads: a predictor that was loaded before predicts in each of them."""

import json
import subprocess
import sys

import pytest

from tests.support import ROOT

# Prints what each process and thread predicts. A child that waits for threads that it does not have is killed.
SCRIPT = """
import json, multiprocessing, os, signal, sys, threading
import pandas as pd, torch
from boomerang import Predictor

# As on a machine of two cores, whatever machine this is.
torch.set_num_threads(2)
table = pd.read_parquet(f"{sys.argv[1]}/prepared/purchases.parquet")[["datetime", "returned", "number"]]
large = pd.concat([table] * 5, ignore_index=True).assign(datetime=pd.date_range("2024-01-01", periods=5 * len(table)))
n_threads = lambda: len(os.listdir("/proc/self/task"))

def predict():
    scores = predictor.score(large)["combination"]
    return [predictor.predict_proba(table), predictor.predict_proba([1, 0, 0, 1]), float(scores.iloc[-1])]

def fork():
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os.write(writing, json.dumps(predict()).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    return json.loads(os.read(reading, 1000) or "null")

def run_in_threads():
    found = []
    threads = [threading.Thread(target=lambda: found.append(predict())) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return found

before = n_threads()
predictor = Predictor.load(sys.argv[1])
seen = {"here": predict(), "new threads": n_threads() - before}
seen["threads"] = run_in_threads()
seen["fork"] = fork()
with multiprocessing.get_context("fork").Pool(2, signal.alarm, (10,)) as pool:
    asked = [pool.apply_async(predict) for _ in range(2)]
    [result.wait(10) for result in asked]
    seen["pool"] = [result.get() if result.ready() else None for result in asked]
# The caller's own work makes a pool of threads, which the next child lacks.
torch.ones(2_000_000).exp()
seen["own threads"] = torch.get_num_threads()
seen["fork after a pool"] = fork()
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(trained):
    """What `SCRIPT` prints."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, trained], cwd=ROOT, capture_output=True, text=True, timeout=80, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("way", ["fork", "fork after a pool"])
def test_a_forked_process_predicts_the_same(seen, way):
    assert seen[way] == seen["here"]


def test_processes_of_a_pool_and_threads_predict_the_same(seen):
    assert seen["pool"] == [seen["here"]] * 2
    assert seen["threads"] == [seen["here"]] * 3


def test_predictions_leave_the_threads_of_their_caller_alone(seen):
    assert seen["own threads"] == 2
    assert seen["new threads"] == 0
