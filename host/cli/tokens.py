"""`latlab token`: make, list and revoke tokens, and show the audit log."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any

import typer
from rich.table import Table

from host.cli.console import console, show
from host.cli.shown_measurement import time_text
from latlab.client.client import LatencyClient
from latlab.domain.access.audit import AuditEntry
from latlab.domain.access.token import AccessToken, Scope
from latlab.domain.errors import InvalidRequest

app = typer.Typer(help="Say who may use the lab, and show who did what.", no_args_is_help=True)

_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,5})([mhd])", re.ASCII)
_PROGRAM = re.compile("[0-9a-f]{64}")  # its SHA-256
_SCOPES = ", ".join(scope.value for scope in Scope)

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]


@app.command()
def create(
    owner: Annotated[
        str, typer.Option("--owner", help="The person or project that uses it, `ci` for example.")
    ],
    scopes: Annotated[
        str, typer.Option("--scopes", help=f"The scopes that it has, with commas: {_SCOPES}.")
    ] = "read,predict,measure",
    expires: Annotated[
        str,
        typer.Option("--expires", help="For how long it is valid: 12h, 30d, or `never`."),
    ] = "90d",
    note: Annotated[str, typer.Option("--note", help="Its purpose, in words.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a token, and print its secret, which the lab does not keep.

    Each scope allows what it says and nothing else. Only admin allows everything.
    """
    wanted, lasts_ns = _scopes(scopes), _duration_ns(expires, "--expires")
    until_ns = None if lasts_ns is None else time.time_ns() + lasts_ns
    with LatencyClient.connect() as client:
        token, secret = client.access.create_token(
            owner, wanted, expires_unix_ns=until_ns, note=note
        )
    if as_json:
        typer.echo(json.dumps({**_document(token), "secret": secret}, indent=2))
    else:
        _show_secret(token, secret)


@app.command("list")
def list_tokens(
    every: Annotated[
        bool, typer.Option("--all", help="List also tokens that expired or were revoked.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the tokens, the newest first. Their secrets are known to nobody but their users."""
    now_ns = time.time_ns()
    with LatencyClient.connect() as client:
        found = [token for token in client.access.tokens() if every or _is_valid(token, now_ns)]
    columns = ("id", "owner", "scopes", "created", "expires", "note")
    _write(found, columns, lambda token: _token_row(token, now_ns), as_json)


@app.command()
def revoke(
    token: Annotated[
        str, typer.Argument(metavar="ID", help="The token's id, as `latlab token list` shows it.")
    ],
) -> None:
    """Refuse a token from now on. What its user is doing ends within seconds."""
    with LatencyClient.connect() as client:
        revoked = client.access.revoke_token(token)
    console.print(f"The token {revoked.id} of {revoked.owner} is revoked.")


@app.command()
def audit(
    owner: Annotated[str, typer.Option("--owner", help="Show what this owner did.")] = "",
    since: Annotated[
        str, typer.Option("--since", help="Show the last 30m, 12h or 7d; `ever` for all.")
    ] = "ever",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The most entries to show.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show who changed what, and which calls were refused, the newest first."""
    lasts_ns = _duration_ns(since, "--since")
    since_ns = 0 if lasts_ns is None else time.time_ns() - lasts_ns
    with LatencyClient.connect() as client:
        found = list(islice(client.access.audit(owner, since_ns), limit))
    columns = ("when", "owner", "token", "method", "about", "status")
    _write(found, columns, _entry_row, as_json)


def _scopes(text: str) -> frozenset[Scope]:
    names = [name.strip() for name in text.split(",")]
    known = {scope.value: scope for scope in Scope}
    for name in names:
        if name not in known:
            raise InvalidRequest(f"--scopes holds {name[:80]!r}: give some of {_SCOPES}")
    return frozenset(known[name] for name in names)


def _duration_ns(text: str, option: str) -> int | None:
    """Return a duration in ns; None for no end."""
    if text in ("never", "ever"):
        return None
    found = _DURATION.fullmatch(text)
    if found is None or not int(found[1]):
        unbounded = "ever" if option == "--since" else "never"
        raise InvalidRequest(
            f"{option} is {text[:80]!r}: give minutes, hours or days such as 30m, 12h or 30d, or"
            f" {unbounded}"
        )
    return int(found[1]) * _SECONDS[found[2]] * 10**9


def _show_secret(token: AccessToken, secret: str) -> None:
    expiry = token.expires_unix_ns
    until = "until it is revoked" if expiry is None else f"until {time_text(expiry)}"
    console.print(f"Token {token.id} of {token.owner} is valid {until}: {_scopes_text(token)}.")
    console.print("Its secret is shown now and never again:")
    typer.echo(f"\n    {secret}\n")
    console.print("Its user sets LATLAB_TOKEN to it, and LATLAB_ADDRESS to the lab's address.")
    console.print(f"`latlab token revoke {token.id}` ends it.")


def _write(
    found: Sequence[Any],
    columns: Iterable[str],
    row: Callable[[Any], Iterable[str]],
    as_json: bool,
) -> None:
    if as_json:
        typer.echo(json.dumps([_document(each) for each in found], indent=2))
        return
    table = Table(*columns)
    for each in found:
        table.add_row(*row(each))
    show(table)


def _document(each: AccessToken | AuditEntry) -> dict[str, Any]:
    document = asdict(each)
    if isinstance(each, AccessToken):
        document["scopes"] = sorted(scope.value for scope in each.scopes)
    return document


def _token_row(token: AccessToken, now_ns: int) -> tuple[str, ...]:
    expiry = "never" if token.expires_unix_ns is None else time_text(token.expires_unix_ns)
    if token.revoked_unix_ns is not None:
        expiry = f"revoked {time_text(token.revoked_unix_ns)}"
    elif not _is_valid(token, now_ns):
        expiry = f"expired {expiry}"
    created = time_text(token.created_unix_ns)
    return token.id, token.owner, _scopes_text(token), created, expiry, token.note


def _entry_row(entry: AuditEntry) -> tuple[str, ...]:
    who = entry.owner or "(no valid token)"
    when, about = time_text(entry.unix_ns), entry.resource
    if _PROGRAM.fullmatch(about):
        about = about[:12]
    return when, who, entry.token_id, entry.method, about, entry.status


def _is_valid(token: AccessToken, now_ns: int) -> bool:
    is_past = token.expires_unix_ns is not None and token.expires_unix_ns <= now_ns
    return token.revoked_unix_ns is None and not is_past


def _scopes_text(token: AccessToken) -> str:
    return ", ".join(scope.value for scope in Scope if scope in token.scopes)
