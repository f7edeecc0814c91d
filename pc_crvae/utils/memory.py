"""How freed memory is treated while a model computes on a CPU."""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h of glibc
_TOP_PAD_BYTES = 64 * 2**20


def keep_freed_memory() -> None:
    """Let the process keep the memory that it frees, for the next step or batch to use again.

    By default glibc gives every large block back at once, and each new one must then be cleared
    and mapped page by page: for activations of many megabytes that takes longer than what is
    computed in them. The process holds on to its peak afterwards, and to
    more where large blocks of many sizes come and go. Where the C library is another,
    nothing is changed.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_TOP_PAD, _TOP_PAD_BYTES)
