"""SIGKILL at one exact system call of a process, whichever of its threads makes it.

strace can inject a signal too, but counts each kind of call in each thread by itself; here all calls of all threads are counted together.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import sys
import threading
import time
from pathlib import Path

_SYSCALL, _SEIZE, _LISTEN, _SYSCALL_INFO = 24, 0x4206, 0x4208, 0x420E
#: system calls are marked as such, threads are followed, and nothing outlives its tracer
_OPTIONS = 0x1 | 0x8 | 0x100000
_EVENT_STOP = 128
#: children of any kind, but of this very thread only: the test's other processes are none of ours
_OURS = 0x40000000 | 0x20000000
_ENTRY = 1
_STOPPED = "T"

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, pid: int, address: int = 0, data: object = 0) -> int:
    answer = int(_libc.ptrace(request, pid, address, data))
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer


@functools.cache
def usable() -> str:
    """Why processes cannot be traced here; "" if they can."""
    if not sys.platform.startswith("linux"):
        return "ptrace is Linux's"
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", "import os; os.kill(os.getpid(), 19)"], dict(os.environ))
    try:
        return "" if Killer(child, 1).wait() else "this process may not trace others"
    except OSError as error:
        return f"this process may not trace others ({error.strerror})"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)


class Killer:
    """Lets a process that has stopped itself go on, and kills it as it begins its ``call``-th system call from then (of any thread).

    The call is not carried out any more. A process that makes fewer calls ends by itself.
    """

    def __init__(self, pid: int, call: int) -> None:
        self.calls = 0
        self._pid, self._last = pid, call
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def wait(self) -> bool:
        """Whether it was killed here; returns when the process has ended."""
        self._thread.join(120)
        assert not self._thread.is_alive()
        if self._failed is not None:
            raise self._failed
        return self.calls >= self._last

    def _work(self) -> None:
        try:
            self._trace()
        except BaseException as error:
            self._failed = error
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def _trace(self) -> None:
        deadline = time.monotonic() + 20
        while Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()[0] != _STOPPED:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        # ptrace wants all its requests from one and the same thread
        _ptrace(_SEIZE, self._pid, 0, _OPTIONS)
        os.kill(self._pid, signal.SIGCONT)
        info = ctypes.create_string_buffer(88)
        while True:
            try:
                thread, status = os.waitpid(-1, _OURS)
            except ChildProcessError:
                return
            if not os.WIFSTOPPED(status):
                continue
            number, pass_on = os.WSTOPSIG(status), 0
            if number == signal.SIGTRAP | 0x80:
                with contextlib.suppress(OSError):  # a thread of a process that is being killed is gone
                    _ptrace(_SYSCALL_INFO, thread, len(info), info)
                    if info.raw[0] == _ENTRY:
                        self.calls += 1
                        if self.calls == self._last:
                            os.kill(self._pid, signal.SIGKILL)
                            continue
            elif status >> 16 == 0:
                pass_on = number
            elif status >> 16 == _EVENT_STOP and number == signal.SIGSTOP:
                # still stopped: wait for its SIGCONT
                with contextlib.suppress(OSError):
                    _ptrace(_LISTEN, thread)
                continue
            with contextlib.suppress(OSError):
                _ptrace(_SYSCALL, thread, 0, pass_on)
