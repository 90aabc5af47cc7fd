"""The four vendors' APIs as one local server, strict as a vendor is: for `dropd demo`, for users who try a configuration, for tests.

It is written from what the vendors document, never from what dropd sends. Each module names its sources and what it had to decide.
"""

from dropd.sandbox.remote import RemoteSandbox
from dropd.sandbox.server import Sandbox, serve
from dropd.sandbox.words import Delivery, Fault, Seen, Settings

__all__ = ["Delivery", "Fault", "RemoteSandbox", "Sandbox", "Seen", "Settings", "serve"]
