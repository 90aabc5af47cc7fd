"""`dropd demo`: a real daemon, four real inboxes, and four vendors that a sandbox plays. No account, no network.

It shows and proves at once: what it tells at the end is compared with the vendors' own books, and the exit code says whether all of it held.
"""

from dropd.demo.play import run_demo

__all__ = ["run_demo"]
