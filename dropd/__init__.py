"""dropd: gets files out of a folder and into a finance provider's API, without losing one or sending one twice."""

from importlib.metadata import version

__version__ = version("dropd")
