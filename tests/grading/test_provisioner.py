"""Kernels from a warm process: the same notebook, the same results, sooner; and no trace of them afterwards."""

import os
import sys
import time

import nbformat
import psutil
import pytest
from jupyter_client.provisioning import KernelProvisionerFactory
from nbclient import NotebookClient

from mmteach.grading import provisioner

CELLS = ["import os, torch\nprint(os.getpid(), torch.get_num_threads(), os.getcwd(), __name__)", "torch.rand(1).item()"]


def run(path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    NotebookClient(notebook, kernel_name="python3", timeout=60, resources={"metadata": {"path": str(path)}}).execute()
    printed = notebook.cells[0].outputs[0]["text"].split()
    return printed, notebook.cells[1].outputs[0]["data"]["text/plain"]


@pytest.fixture
def warm(monkeypatch):
    factory = KernelProvisionerFactory.instance()
    monkeypatch.setattr(factory, "default_provisioner_name", "mmteach-warm")
    yield
    provisioner.WARM.close()


def test_a_kernel_is_forked_from_the_warm_process_and_ends_with_its_client(warm, tmp_path):
    (pid, threads, folder, name), number = run(tmp_path)
    parent = provisioner.WARM.process.pid
    assert (folder, name) == (str(tmp_path), "__main__")
    assert threads == os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))
    started = time.monotonic()
    (other, *_), another = run(tmp_path)
    assert time.monotonic() - started < 20
    assert pid != other and number != another  # no two kernels draw the same numbers
    assert provisioner.WARM.process.pid == parent
    assert not psutil.pid_exists(int(pid)) and not psutil.pid_exists(int(other))


@pytest.mark.full
def test_where_no_warm_process_starts_the_ordinary_kernel_is_taken(warm, tmp_path, monkeypatch):
    def fails(*_):
        raise OSError("no")

    monkeypatch.setattr(provisioner._Warm, "_start", fails)
    (pid, *_), _ = run(tmp_path)
    assert provisioner.WARM.process is None and int(pid) > 0


def test_only_ipykernel_of_this_python_is_forked():
    mine = [sys.executable, "-m", "ipykernel_launcher", "-f", "x.json"]
    assert provisioner._ipykernel(mine) == ["-f", "x.json"]
    assert provisioner._ipykernel(["/bin/sh", *mine[1:]]) is None
    assert provisioner._ipykernel(["R", "--slave", "-e", "IRkernel::main()"]) is None
    assert provisioner._ipykernel([sys.executable, "-m", "xeus", "-f", "x.json"]) is None


def test_the_entry_point_is_registered():
    assert "mmteach-warm" in KernelProvisionerFactory.instance().provisioners
