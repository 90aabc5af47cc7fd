"""Events only shorten the wait: whatever happens in an inbox means "look again", and the look decides.

Nothing is processed in the handler: an exception there would end watchdog's thread for good.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.api import BaseObserver, ObservedWatch
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import InotifyConstants, Mask

from dropd.naming import PRIVATE

_WANTED = (
    InotifyConstants.IN_CREATE  # a hard link raises nothing else
    | InotifyConstants.IN_MOVED_TO  # mv raises nothing else
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_ONLYDIR
)


class _Emitter(InotifyEmitter):
    """Without MOVED_FROM: watchdog holds each one back half a second and all that follows with it, and dropd's own taking raises them."""

    def get_event_mask_from_filter(self) -> Mask:
        return Mask(_WANTED)


class _LookAgain(FileSystemEventHandler):
    def __init__(self, root: str, keep_out: tuple[str, ...], look_again: Callable[[], None]) -> None:
        self._quiet = tuple(os.path.join(root, path) for path in (PRIVATE, *keep_out))
        self._look_again = look_again

    def dispatch(self, event: FileSystemEvent) -> None:
        path = os.fsdecode(event.src_path)
        if not any(path == quiet or path.startswith(quiet + os.sep) for quiet in self._quiet):
            self._look_again()


class _Overflow(logging.Handler):
    """watchdog tells of a kernel queue that overflowed by a log record alone."""

    def __init__(self, look_everywhere: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._look_everywhere = look_everywhere

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage().lower():
            self._look_everywhere()


class Watcher:
    """Watches inboxes and calls back; where it cannot watch one it says why, and the timer alone looks at that one."""

    def __init__(self, look_everywhere: Callable[[], None]) -> None:
        self._observer = BaseObserver(_Emitter)
        self._watches: dict[str, ObservedWatch] = {}
        self._overflow = _Overflow(look_everywhere)
        self._logger = logging.getLogger("watchdog.observers")

    def start(self) -> None:
        self._logger.addHandler(self._overflow)
        # two folders made one inside the other are now and then watched twice, which watchdog warns of and which does no harm
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        self._observer.start()

    def watch(self, root: str, *, recursive: bool, keep_out: tuple[str, ...], look_again: Callable[[], None]) -> str | None:
        """Begin to watch a folder, anew if it is watched already. None, or why it cannot be watched."""
        self.unwatch(root)
        real = os.path.realpath(root)  # watchdog does not look through a link
        try:
            self._watches[root] = self._observer.schedule(_LookAgain(real, keep_out, look_again), real, recursive=recursive)
        except OSError as error:
            return _why(error)
        return None

    def unwatch(self, root: str) -> None:
        watch = self._watches.pop(root, None)
        if watch is not None:
            self._observer.unschedule(watch)

    def is_alive(self) -> bool:
        """Whether events still reach the handlers."""
        return self._observer.is_alive()

    def stop(self) -> None:
        self._observer.stop()
        if self._observer.is_alive():
            self._observer.join()
        self._logger.removeHandler(self._overflow)


def _why(error: OSError) -> str:
    if error.errno == 28:  # ENOSPC, which has nothing to do with the disk here
        return "the system's limit of watches is reached; raise it with: sysctl fs.inotify.max_user_watches=524288"
    if error.errno == 24:
        return "the system's limit of watchers is reached; raise it with: sysctl fs.inotify.max_user_instances=1024"
    return str(error.strerror or error)
