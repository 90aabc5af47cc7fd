"""The command line: how each verb is called, what it prints, and its exit code (DESIGN 2.2)."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import NoReturn

import click

from dropd import __version__
from dropd.commands import again, beginning, reading, sending
from dropd.commands.options import CONFIG_HELP, Duration, Group, config_option, json_option
from dropd.config import Config, load, schema
from dropd.daemon import Daemon, Once
from dropd.errors import ConfigError, DropdError, LedgerTooNew, SecretMissing
from dropd.ledger.base import Ledger
from dropd.model import State
from dropd.naming import display
from dropd.observe.logs import Redactor, configure
from dropd.providers.registry import kinds

OK, NEEDS_A_PERSON, USAGE, BAD_CONFIG = 0, 1, 2, 78


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-c", "--config", "config_file", metavar="FILE", help=CONFIG_HELP)
@click.version_option(__version__, prog_name="dropd")
def cli(config_file: str | None) -> None:
    """dropd gets files out of folders and into a finance provider's API, without losing one or sending one twice.

    \b
    Begin with:
      dropd demo                      see it work, against a built-in sandbox
      dropd init -c my/config.yaml    write a configuration to start from
      dropd check --login             find every mistake in it, and try the logins
      dropd run                       look after the inboxes
      dropd status                    is anything stuck?
    """


@cli.command()
@config_option
@click.option("--once", is_flag=True, help="Deliver what is there, and end.")
@click.option(
    "--wait",
    type=Duration(),
    default="60s",
    show_default=True,
    help="With --once: how long to wait for tries that are due later.",
)
def run(path: Path, once: bool, wait: float) -> NoReturn:
    """Look after the inboxes until stopped.

    \b
    Examples:
      dropd run -c config.yaml
      dropd run --once --wait 5m      from a timer: deliver what is there, and end
    """
    redactor = Redactor()
    config = load(path, kinds())
    log = configure(style=config.log.format, level=config.log.level, redactor=redactor)
    sys.exit(Daemon(config, kinds(), log, redactor).run(once=Once(wait) if once else None))


@cli.command(short_help="Find every mistake in the configuration.")
@config_option
@click.option("--login", is_flag=True, help="Also log in at every provider; changes nothing there.")
@json_option
def check(path: Path, login: bool, as_json: bool) -> NoReturn:
    """Find every mistake in the configuration, and say what to write instead.

    \b
    Examples:
      dropd check -c config.yaml
      dropd check --login
    """
    from dropd.checks import check_folders

    redactor = Redactor()
    try:
        config = load(path, kinds())
        if problems := check_folders(config):
            raise ConfigError(problems)
    except ConfigError as error:
        if not as_json:
            raise
        print(reading.to_json({"file": str(path), "problems": [asdict(problem) for problem in error.problems], "logins": []}))
        sys.exit(BAD_CONFIG)
    outcomes = beginning.logins(config, kinds(), redactor) if login else []
    if as_json:
        logins = [{"provider": name, "login": how, "reason": reason} for name, how, reason in outcomes]
        print(reading.to_json({"file": str(config.file), "problems": [], "logins": logins}))
    else:
        print(f"{config.file}: no mistakes; {len(config.routes)} routes, {len(config.providers)} providers")
        for route in config.routes:
            if not route.inbox.is_dir():
                print(f"The inbox of {route.name} is not there yet: {route.inbox} (dropd init makes it)")
        for name, how, reason in outcomes:
            print(f"login at {name}: {how}" + (f": {reason}" if reason else ""))
    sys.exit(OK if all(how == "ok" for _, how, _ in outcomes) else NEEDS_A_PERSON)


@cli.command(short_help="See dropd work, against a built-in sandbox.")
@click.option("--keep", is_flag=True, help="Leave the folders, and say where they are.")
def demo(keep: bool) -> NoReturn:
    """See dropd work: four inboxes, four vendors in a built-in sandbox, no account and no network needed.

    \b
    Examples:
      dropd demo
      dropd demo --keep               look at the folders afterwards
    """
    from dropd.demo import run_demo

    sys.exit(run_demo(keep=keep))


@cli.command(short_help="Play the four vendors on this machine.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="On 127.0.0.1; 0 for a free one.")
@click.option(
    "--root", metavar="DIR", type=click.Path(path_type=Path), help="Write a configuration for it, with inboxes, into this folder."
)
def sandbox(port: int, root: Path | None) -> None:
    """Run the four vendors' APIs on this machine, and print a configuration for them.

    \b
    Examples:
      dropd sandbox --root practice   then, in another terminal: dropd run -c practice/config.yaml
    """
    from dropd.commands.practice import run_sandbox

    run_sandbox(port, root)


@cli.command(short_help="Is anything stuck?")
@config_option
@json_option
def status(path: Path, as_json: bool) -> NoReturn:
    """Is anything stuck? Exit code 1 while something needs a person.

    \b
    Examples:
      dropd status
      dropd status --json | jq .needs_attention
    """
    with reading.LedgerOf(path) as (config, ledger):
        about = reading.status(config, ledger)
    if as_json:
        print(reading.to_json(about))
    else:
        reading.print_status(about)
    sys.exit(NEEDS_A_PERSON if about["needs_attention"] else OK)


@cli.command("list")
@config_option
@click.option("--route", metavar="R", help="Of this route alone.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([str(state) for state in State]),
    help="In this state alone; may be repeated.",
)
@click.option("-n", "--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many, newest first.")
@json_option
def list_drops(path: Path, route: str | None, states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List drops, newest first.

    \b
    Examples:
      dropd list
      dropd list --route acme-invoices --state failed
    """
    with reading.LedgerOf(path) as (config, ledger):
        _must_be_known(route, config, ledger)
        found = ledger.recent(route=route, states=[State(state) for state in states] or None, limit=limit)
    if as_json:
        print(reading.to_json([reading.as_json(drop) for drop in found]))
    else:
        reading.print_list(found)


@cli.command(short_help="Show one drop's story.")
@config_option
@click.argument("drop", metavar="ID|PATH")
@json_option
def show(path: Path, drop: str, as_json: bool) -> None:
    """Show one drop's story, by its id (or the end of it), its file, or its result file.

    \b
    Examples:
      dropd show 3fa91c
      dropd show /srv/drop/acme/invoices/failed/invoices.csv
    """
    with reading.LedgerOf(path) as (config, ledger):
        about = reading.show(ledger, reading.find_drop(ledger, config, drop))
    if as_json:
        print(reading.to_json(about))
    else:
        reading.print_show(about)


@cli.command()
@config_option
@click.argument("drop", metavar="ID|PATH", required=False)
@click.option("--all", "everything", is_flag=True, help="Every drop whose file stands in failed/.")
@click.option("--route", metavar="R", help="With --all: of this route alone.")
def retry(path: Path, drop: str | None, everything: bool, route: str | None) -> NoReturn:
    """Try a failed drop again, or one that waits at once.

    It is sent whatever its status: look at the provider first whether an unconfirmed one has arrived.

    \b
    Examples:
      dropd retry 3fa91c
      dropd retry failed/invoices.csv
      dropd retry --all --route acme-invoices
    """
    if (drop is None) is not everything or (route is not None and not everything):
        raise click.UsageError("name one drop, or say --all (and --route with it)")
    code, ordered = OK, 0
    with reading.LedgerOf(path) as (config, ledger):
        _must_be_known(route, config, ledger)
        chosen = again.standing(ledger, route) if drop is None else [reading.find_drop(ledger, config, drop)]
        for one in chosen:
            try:
                doubt = " (the provider may have it already)" if again.retry(ledger, one).possible_duplicate else ""
                print(f"{one.shown_path} ({one.short_id}): will be tried again{doubt}")
                ordered += 1
            except again.CannotRetry as error:
                print(f"dropd: {error}", file=sys.stderr)
                code = NEEDS_A_PERSON
        if not chosen:
            print("No file stands in failed/.")
        if ordered and not reading.status(config, ledger)["running"]:
            print("dropd is not running: it is tried when dropd runs.")
    sys.exit(code)


@cli.command(short_help="Send one file through a route, and wait for the verdict.")
@config_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--route", "route_name", metavar="R", required=True, help="The route to send it by.")
@click.option("--folder", metavar="DIR", default="", help="The sub-folder of the inbox, for routes with subfolders.")
@click.option("--wait", type=Duration(), default="60s", show_default=True, help="How long to wait while nothing happens to it.")
@json_option
def send(path: Path, file: Path, route_name: str, folder: str, wait: float, as_json: bool) -> NoReturn:
    """Send one file through a route as if it had been dropped, and wait for the verdict. The original stays.

    \b
    Examples:
      dropd send invoices.csv --route acme-invoices
      dropd send letter.pdf --route debtor-letters --folder acc-1
    """
    redactor = Redactor()
    config = load(path, kinds())
    route = next((route for route in config.routes if route.name == route_name), None)
    if route is None:
        raise click.UsageError(f"no route is named {route_name!r}; there are: {', '.join(route.name for route in config.routes)}")
    log = configure(style=config.log.format, level="warning" if as_json else config.log.level, redactor=redactor)
    drop = sending.send(config, kinds(), log, redactor, route, file, folder=folder, wait=wait)
    about = reading.as_json(drop) if drop is not None else None
    if as_json:
        print(reading.to_json(about))
    elif about is None:
        print(f"{display(file.name)} was not taken from the inbox; dropd status tells why.")
    else:
        print(about["summary"] or f"{about['file']} is {about['state']}; dropd show {about['drop_id'][-6:]} tells more.")
    sys.exit(OK if drop is not None and drop.state is State.DONE else NEEDS_A_PERSON)


@cli.command(short_help="Write a configuration to start from; make the inboxes.")
@config_option
@click.option(
    "--adopt", metavar="ROUTE", help="Say that this route's inbox is the right folder, although its mark is missing or foreign."
)
def init(path: Path, adopt: str | None) -> None:
    """Write a configuration to start from, and make the inboxes of the one that is there.

    \b
    Examples:
      dropd init -c my/config.yaml
      dropd init --adopt acme-invoices
    """
    if adopt is not None:
        mark = beginning.adopt(load(path, kinds(), secrets=False), adopt)
        print(f"The inbox of {adopt} is adopted (mark {mark}).")
        return
    if beginning.write_starter(path):
        print(f"Wrote {path}: put your address, ids and secret in, then run: dropd check --login -c {quote(str(path))}")
    made = beginning.make_inboxes(load(path, kinds(), secrets=False))
    for inbox in made:
        print(f"Made the inbox {inbox}")
    if not made:
        print("Nothing to do: the configuration and its inboxes are there.")


@cli.command("schema", short_help="Print a JSON Schema of the configuration, for editors.")
def print_schema() -> None:
    """Print a JSON Schema of the configuration, for editors.

    \b
    Examples:
      dropd schema > dropd.schema.json    then, as the config's first line:
                                          # yaml-language-server: $schema=dropd.schema.json
    """
    print(reading.to_json(schema(kinds())))


def _must_be_known(route: str | None, config: Config, ledger: Ledger) -> None:
    """A route of the configuration, or one that had drops before it was removed."""
    names = dict.fromkeys([*(known.name for known in config.routes), *(name for name, _ in ledger.counts())])
    if route is not None and route not in names:
        raise click.UsageError(f"no route is named {route!r}; there are: {', '.join(names)}")


def main() -> NoReturn:
    """The entry point. Expected errors are one sentence on standard error, without a traceback."""
    try:
        sys.exit(cli.main(standalone_mode=False) or OK)
    except (ConfigError, SecretMissing, LedgerTooNew) as error:
        print(error, file=sys.stderr)
        sys.exit(BAD_CONFIG)
    except DropdError as error:
        print(f"dropd: {error}", file=sys.stderr)
        sys.exit(NEEDS_A_PERSON)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
