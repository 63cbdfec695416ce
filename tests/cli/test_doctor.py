"""The doctor's verdicts: on a machine that is all right, and on what it can find wrong."""
import pytest

from hpcnemd.app.doctor import examine
from hpcnemd.parallel.launch import world


@pytest.mark.mpi
def test_all_is_well_here(mpi_tmp_path, capsys):
    comm = world()
    assert examine(comm, str(mpi_tmp_path), 60.0) == 0
    told = capsys.readouterr().out
    if comm.rank == 0:
        assert "FAIL" not in told and 'writer "gather": written and read back' in told and "kernel paths" in told
        assert comm.size == 1 or 'writer "offset": written and read back' in told and "ok    ranks of a node send through memory" in told
    else:
        assert told == ""
    assert comm.rank or not list(mpi_tmp_path.iterdir())                        # it cleans up


@pytest.mark.mpi
def test_ranks_that_share_no_memory_are_told_of(mpi_tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HPCNEMD_SHARED_MEMORY", "0")
    comm = world().Dup()
    assert examine(comm, str(mpi_tmp_path), 60.0) == 0
    told = capsys.readouterr().out
    assert comm.rank or comm.size == 1 or "note  ranks of a node send through MPI" in told
    comm.Free()


@pytest.mark.mpi
def test_a_folder_that_is_not_there(mpi_tmp_path, capsys):
    comm = world()
    assert examine(comm, str(mpi_tmp_path / "absent"), 60.0) == 2
    told = capsys.readouterr().out
    assert comm.rank or "FAIL" in told and "there is no such folder" in told


@pytest.mark.mpi
def test_a_kernel_path_that_this_processor_lacks(mpi_tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HPCNEMD_KERNELS", "avx1024")
    comm = world()
    assert examine(comm, str(mpi_tmp_path), 60.0) == 2
    told = capsys.readouterr().out
    assert comm.rank or 'FAIL  kernel path "avx1024"' in told
