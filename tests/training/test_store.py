import errno
import os
import threading
from pathlib import Path

import grimp
import pytest

from boomerang.base import numerics
from boomerang.base.errors import ArtifactError
from boomerang.base.sources import at_start
from boomerang.training import store
from boomerang.training.store import SOURCES, Entry, entry_name
from tests.training.support import SETTINGS

OTHER_SETTINGS = {
    "seed": 1,
    "epochs": 4,
    "batch_size": 9,
    "lr": 0.02,
    "hidden_size": 5,
    "num_layers": 2,
    "grad_accum_steps": 2,
    "early_stopping_patience": 1,
    "lr_schedule": "cosine",
    "precision": "bf16",
}


@pytest.fixture
def name(tmp_path):
    def name(content=b"windows", ensemble="time", seq_length=3, **changes):
        (tmp_path / "windows.pt").write_bytes(content)
        return entry_name(tmp_path / "windows.pt", ensemble, seq_length, SETTINGS.model_copy(update=changes))

    return name


@pytest.mark.parametrize(
    "changes",
    [
        {"content": b"others"},
        {"ensemble": "simple"},
        {"seq_length": 4},
        *({key: value} for key, value in OTHER_SETTINGS.items()),
    ],
)
def test_whatever_determines_a_member_changes_its_name(name, changes):
    assert name(**changes) != name()


def test_every_setting_but_the_wish_for_a_gpu_is_tried_above():
    assert {*OTHER_SETTINGS, "use_gpu"} == set(type(SETTINGS).model_fields)


def test_asking_for_a_gpu_that_is_not_there_changes_no_name(name, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert name(use_gpu=True) == name()


@pytest.mark.parametrize(
    "variable",
    [
        *(*numerics.INSTRUCTION_LIMITS, *numerics.GPU_SETTINGS),
        *("NUMBA_DISABLE_JIT", "NUMBA_OPT", "NUMBA_LOOP_VECTORIZE", "NUMBA_OF_TOMORROW", "OPENBLAS_L2_SIZE"),
        *("DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "NVIDIA_TF32_OVERRIDE"),
        *("NPY_DISABLE_CPU_FEATURES", "GLIBC_TUNABLES", "LD_PRELOAD"),
    ],
)
def test_the_numeric_environment_changes_the_name(name, monkeypatch, variable):
    before = name()
    monkeypatch.setenv(variable, "other")
    assert name() != before


def test_what_numba_reads_from_a_file_changes_the_name(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = name()
    (tmp_path / ".numba_config.yaml").write_text("opt: 0\n")
    assert name() != before


@pytest.mark.parametrize("variable", [*sorted(numerics.CHANGES_NO_NUMBER), "OMP_NUM_THREADS", "PATH", "USER", "TZ"])
def test_what_changes_no_number_changes_no_name(name, monkeypatch, variable):
    before = name()
    monkeypatch.setenv(variable, "1")
    assert name() == before


def test_versions_and_sources_change_the_name(name, monkeypatch):
    names = {name()}
    for library in (store.torch, store.np, store.numba, store.llvmlite):
        with monkeypatch.context() as patch:
            patch.setattr(library, "__version__", "0")
            names.add(name())
    with monkeypatch.context() as patch:
        patch.setattr(store.kernels, "IS_AVAILABLE", False)
        names.add(name())
    with monkeypatch.context() as patch:
        patch.setattr(store.torch.backends.cudnn, "version", lambda: 0)
        names.add(name())
    for path in SOURCES.values():
        with monkeypatch.context() as patch:
            patch.setattr(store, "at_start", lambda path=path: at_start() | {path: "changed"})
            names.add(name())
    assert len(names) == 7 + len(SOURCES)


def test_every_module_that_trains_is_among_the_sources():
    graph = grimp.build_graph("boomerang")
    trains = {"boomerang.training.checkpoints"} | graph.find_upstream_modules("boomerang.training.checkpoints")
    files = {f"{name.replace('.', '/')}.py" for name in trains if not name.startswith("boomerang.base")}
    assert {"boomerang/model/lstm_kernels.py", "boomerang/training/trainer.py"} < files <= SOURCES.keys()
    # It decides the environment that the process is started in.
    assert "boomerang/base/numerics.py" in SOURCES


def test_the_last_checkpoint_is_read_again(tmp_path):
    entry = Entry(tmp_path / "entry")
    assert entry.read() is None
    with entry.reserved():
        entry.write(b"first")
        entry.write(b"second\nline")
        assert entry.read() == b"second\nline"


@pytest.mark.parametrize("content", [b"", b"\n", b"no hash\nfirst", b"\xff" * 80, b"first"])
def test_a_changed_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "checkpoint").write_bytes(content)
    with pytest.raises(ArtifactError, match="its SHA-256 differs"):
        Entry(tmp_path).read()


def test_a_second_run_of_the_same_member_says_that_it_waits_and_finds_it_done(tmp_path, capfd):
    entry, found = Entry(tmp_path), []

    def wait_and_read():
        with entry.reserved():
            found.append(entry.read())

    with entry.reserved():
        second = threading.Thread(target=wait_and_read)
        second.start()
        second.join(0.3)
        assert second.is_alive()
        assert capfd.readouterr().err == f"waiting for another run, which trains the same member: {tmp_path}\n"
        entry.write(b"done")
    second.join(10)
    assert found == [b"done"]


def test_files_that_a_killed_write_left_are_deleted(tmp_path):
    (tmp_path / ".checkpoint.abc.tmp").write_bytes(b"half")
    with Entry(tmp_path).reserved():
        assert list(tmp_path.glob("*.tmp")) == []


@pytest.mark.parametrize("refused", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_store_that_cannot_be_written_tells_how_to_name_another(tmp_path, monkeypatch, refused):
    def mkdir(*arguments, **options):
        raise OSError(refused, os.strerror(refused))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    words = "--store or BOOMERANG_STORE names another folder, --no_store or BOOMERANG_NO_STORE=true trains without one"
    with pytest.raises(OSError, match=words) as found, Entry(tmp_path / "store" / "name").reserved():
        pass
    assert (found.value.errno, found.value.filename) == (refused, str(tmp_path / "store" / "name"))
