"""The configuration file: `load` gives a Config, or raises ConfigError with every mistake at once."""

from dropd.config.load import load
from dropd.config.models import Subfolders
from dropd.config.schema import example, schema
from dropd.config.table import Account, Allow, Config, Log, Route

__all__ = ["Account", "Allow", "Config", "Log", "Route", "Subfolders", "example", "load", "schema"]
