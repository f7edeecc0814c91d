"""One process at a time holds a lock, and a dead one holds none."""

import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest

from pc_crvae.errors import UserError
from pc_crvae.utils.locks import LockedError, locked

HOLD = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from pc_crvae.utils.locks import locked\n"
    "with locked(Path(sys.argv[1]), 'busy'):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(60)"
)


def test_the_second_is_told_who_holds_it_and_since_when(tmp_path):
    path = tmp_path / ".lock"
    with locked(path, "busy") as lock:
        assert lock.note is None
        who = (
            rf"^busy \(process {os.getpid()} on .+, since \d{{4}}-.+ UTC\): wait for it or stop it$"
        )
        with pytest.raises(LockedError, match=who), locked(path, "busy"):
            pytest.fail("two hold it")
    assert list(tmp_path.iterdir()) == []
    with locked(path, "busy"):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / ".lock"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"process {holder.pid} on"), locked(path, "busy"):
            pytest.fail("two hold it")
        holder.send_signal(signal.SIGKILL)
    assert path.exists()
    with locked(path, "busy"):
        pass
    assert not path.exists()


def test_a_file_that_its_holder_removes_meanwhile_is_made_anew(tmp_path, monkeypatch):
    path = tmp_path / ".lock"
    flock, times = fcntl.flock, []

    def removed_first(descriptor, operation):
        if not times:
            path.unlink()  # as the holder before does when it lets go
        times.append(operation)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with locked(path, "busy"):
        assert len(times) == 2
        with pytest.raises(LockedError), locked(path, "busy"):
            pytest.fail("two hold it")


def test_where_there_are_no_locks_a_note_says_so(tmp_path, monkeypatch):
    def unknown(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    with locked(tmp_path / ".lock", "busy") as lock:
        assert f"the file system of {tmp_path} has no locks" in lock.note
        assert lock.descriptor is None


def test_a_refusal_is_a_user_s_mistake():
    assert issubclass(LockedError, UserError)
