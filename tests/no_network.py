"""Run a Python module in a process that dies when it, or any library in it, opens an internet socket (Linux).

A seccomp filter is inherited by every child and holds for C code too, unlike a patched `socket` module.
"""

import ctypes
import platform
import runpy
import struct
import sys

_SYS_SOCKET = {"x86_64": 41, "aarch64": 198}
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _KILL_PROCESS = 0x7FFF0000, 0x80000000
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_AF_INET, _AF_INET6 = 2, 10


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid_internet() -> None:
    """From here on socket(AF_INET...) and socket(AF_INET6...) end the process with SIGSYS."""
    number = _SYS_SOCKET[platform.machine()]
    instructions = [
        (_LOAD, 0, 0, 0),  # the number of the system call
        (_EQUAL, 0, 4, number),  # something else: allow
        (_LOAD, 0, 0, 16),  # its first argument: the address family
        (_EQUAL, 1, 0, _AF_INET),
        (_EQUAL, 0, 1, _AF_INET6),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = b"".join(struct.pack("HBBI", *each) for each in instructions)
    program = _Program(len(instructions), code)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0, ctypes.get_errno()


if __name__ == "__main__":
    forbid_internet()
    module, *sys.argv[1:] = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
