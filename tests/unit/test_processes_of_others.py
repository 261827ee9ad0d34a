"""What a callback left behind is killed; a stranger's process is not, not even where there is no mark to look for."""

from __future__ import annotations

import os
import subprocess
import sys

from podhooks.runtime import processes


def test_without_a_variable_nobody_elses_process_belongs_to_a_callback() -> None:
    leader = processes.read_process(os.getpid())
    assert leader is not None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as stranger:
        found = processes.read_process(stranger.pid)
        assert found is not None
        elsewhere = leader.replace(pid=2**22, group=2**22, session=2**22)
        assert not processes.belongs(found, elsewhere, "")
        assert not processes.belongs(found, elsewhere, "PODHOOKS_NO=such")
        stranger.communicate(b"\n")
