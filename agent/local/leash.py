"""Become another program that dies with the process that started us, even if that one is killed with -9.

Run as a script before each local service. A launcher rather than `Popen(preexec_fn=…)`, because code between
fork and exec may deadlock where the parent has threads. `exec` replaces this script, so the process id stays.

    python -I -S leash.py PARENT_PID SIGNAL UID:GID|- PROGRAM [ARGUMENT …]
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, sign: int, owner: str, command: list[str]) -> None:
    if owner != "-":
        uid, gid = (int(part) for part in owner.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid, which would clear it. Other systems have no such signal.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, sign)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
    os.execv(command[0], command)  # noqa: S606  no shell is the point


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
