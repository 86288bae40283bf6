"""The command `share`: saved comparisons listed, output as bundles, read from them, sent; what a bundle is.

It sees all that a store holds, as whoever runs it can read the database anyway. The store, and SQLAlchemy with it, is
imported by the command that runs: all others do without.
"""

import argparse
import json
import os
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import OptLawsError
from ..prediction.observed import observed
from ..prediction.pairs import compare
from ..prediction.ranking import rank
from ..saved import MOST_BYTES, Snapshot, anonymised, from_bundle, to_bundle
from ..text import counted, one_line
from .options import check_out, file, output, place
from .paper_files import add_paper, check_paper, write_paper
from .posting import Unanswered, Unsent, is_address, post

MOST_LISTED = 1_000
KEY = "OPTLAWS_KEY"  # environment variable: the key of an owner, which other users of a machine do not see there
SECONDS, MOST_ANSWER = 300.0, 2**16  # that sending may take; bytes of the answer
HERE = ("localhost", "127.0.0.1", "::1")  # hosts to which nobody can listen in on the way
NO_SERVER = "no comparison was saved, the answer is not that of a server of this app"
MAYBE = "the comparison may have been saved, but"


def add(command: argparse.ArgumentParser) -> None:
    """The commands and their options."""
    commands = command.add_subparsers(required=True, metavar="list|export|paper|import|send|schema")

    def add_one(name: str, run, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.add_argument(
            "--store",
            type=place,
            metavar="PLACE",
            help="path of a SQLite file or postgresql://user@host/name; by default OPTLAWS_STORE, or a "
            "file among the user's data",
        )
        sub.set_defaults(run=run)
        return sub

    listing = add_one("list", _list, "list saved comparisons, the latest first")
    listing.add_argument("--search", default="", metavar="WORDS", help="words in title, note or tags")
    listing.add_argument("--json", action="store_true", help="as JSON")

    exporting = add_one("export", _export, "write a saved comparison as a bundle, a JSON file")
    exporting.add_argument("id", help="as `share list` shows it, and as it stands in a link")
    exporting.add_argument("--anonymous", action="store_true", help="without names of runs, author, title, note, tags")
    exporting.add_argument("--out", type=output, metavar="FILE", help="file to write to; by default stdout")

    paper = add_one("paper", _paper, "write a saved comparison's figure, ranking and laws for a paper")
    paper.add_argument("id", help="as `share list` shows it, and as it stands in a link")
    add_paper(paper)

    importing = add_one("import", _import, "save the comparison of each bundle, and print the ids")
    importing.add_argument("bundles", nargs="+", type=file, metavar="FILE", help="a bundle")
    importing.add_argument(
        "--for",
        dest="visibility",
        choices=("link", "members"),
        default="link",
        help="who may open it: whoever has the link, or whoever is logged in",
    )

    said = "save the comparison of a bundle on a server of the app, and print its link"
    sending = commands.add_parser("send", help=said, description=said)
    sending.set_defaults(run=_send)
    sending.add_argument("bundle", type=file, metavar="FILE", help="a bundle")
    sending.add_argument("--to", required=True, metavar="URL", help="the server, such as https://laws.example.org")
    sending.add_argument(
        "--for",
        dest="visibility",
        choices=("private", "link", "members"),
        default="link",
        help=f"who may open it: its owner, by the key in {KEY}; whoever has the link, the default; or whoever is "
        "logged in",
    )

    said = "print the JSON Schema of a bundle"
    commands.add_parser("schema", help=said, description=said).set_defaults(run=_schema)


def _list(args: argparse.Namespace) -> list[str]:
    from ..saved.rights import OPERATOR
    from ..saved.store import Store

    with closing(Store(args.store, make=False)) as store:
        found = store.listed(OPERATOR, args.search, MOST_LISTED)
        left = store.count(OPERATOR, args.search) - len(found)
    if args.json:
        args.show(
            [{k: v for k, v in asdict(e).items() if k != "mine"} | {"visibility": e.visibility.name} for e in found]
        )
    for e in () if args.json else found:
        said = f" ({counted(e.comments, 'comment')})" if e.comments else ""
        print(f"{e.id}  {e.saved[:16]}  {e.visibility.name:8}{e.title}{''.join(f' #{tag}' for tag in e.tags)}{said}")
    return [f"{left:,} more are not listed; name words with --search."] if left > 0 else []


def _export(args: argparse.Namespace) -> None:
    from ..saved.database import default_place
    from ..saved.rights import OPERATOR
    from ..saved.store import Store

    if args.out:
        check_out("--out", args.out, args.store or default_place())
    with closing(Store(args.store, make=False)) as store:
        snapshot = store.open(args.id, OPERATOR)
    bundle = to_bundle(anonymised(snapshot) if args.anonymous else snapshot)
    if args.out:
        args.out.write_bytes(bundle)
    else:
        print(bundle.decode("utf-8"), end="")


def _paper(args: argparse.Namespace) -> list[str]:
    from ..saved.rights import OPERATOR
    from ..saved.store import Store

    if not (args.figure or args.table or args.bibtex):
        raise OptLawsError("Name what to write: --figure, --table or --bibtex.")
    check_paper(args)
    with closing(Store(args.store, make=False)) as store:
        found = store.open(args.id, OPERATOR)
    model, on = found.fit, [c for c in found.candidates if c.on]
    if model is None or not on:
        raise OptLawsError("This comparison holds runs alone: no fit, or no candidate that was switched on.")
    ranked = rank(model, [c.schedule for c in on], found.risk, found.most_risk)
    left = list(on)
    rows = [left.pop(next(i for i, c in enumerate(left) if c.schedule == r.schedule)) for r in ranked]
    place = found.view.get("baseline")
    kept = found.candidates[int(place)] if isinstance(place, int) and 0 <= place < len(found.candidates) else None
    against = kept.schedule if kept in on else None if len(ranked) < 2 else ranked[1].schedule
    seen = observed(model, [r.schedule for r in ranked], found.runs)
    runs = {r.name: r for r in found.runs if r.name in found.observed}
    names = [c.label or c.schedule.text for c in rows]
    write_paper(args, model, ranked, names, compare(model, ranked, against), seen, runs)
    return model.doubts


def _import(args: argparse.Namespace) -> None:
    from ..saved.rights import OPERATOR, Visibility
    from ..saved.store import Store

    snapshots = [_read(bundle) for bundle in args.bundles]  # all are checked before the first is saved
    with closing(Store(args.store)) as store:
        for snapshot in snapshots:
            print(store.save(snapshot, OPERATOR, Visibility[args.visibility]))


def _send(args: argparse.Namespace) -> list[str]:
    _check_server(args.to)
    key = _key_for(args.to)
    body, where = to_bundle(_read(args.bundle)), f"{args.to.rstrip('/')}/api/comparisons?for={args.visibility}"
    try:
        status, said = post(where, body, SECONDS, {"Authorization": f"Bearer {key}"} if key else None, MOST_ANSWER)
    except Unanswered as fault:
        raise OptLawsError(f"{args.to}: {MAYBE} no answer came ({fault}).") from None
    except Unsent as fault:
        raise OptLawsError(f"{args.to}: the comparison was not sent ({fault}).") from None
    try:
        answer = json.loads(said)
    except (ValueError, RecursionError):
        answer = None
    told = answer if isinstance(answer, dict) else {}
    made = told.get("owner_key")
    keep = (
        [f"Its owner's key, shown only this once: {one_line(str(made))}; {KEY} sends it with the comparison."]
        if made
        else []
    )
    if status != 201 or not isinstance(told.get("url"), str):
        raise OptLawsError(" ".join([f"{args.to}: {_refusal(status, told.get('error'))}", *keep]))
    print(one_line(told["url"]))
    return keep


def _check_server(to: str) -> None:
    """Raises `OptLawsError`, which does not repeat the address, for what is none, or holds what may be secret."""
    if not is_address(to):
        raise OptLawsError("--to takes the address of a server, which begins with https:// or http://.")
    if "@" in urlsplit(to).netloc or "?" in to or "#" in to:
        raise OptLawsError(f"--to takes an address without a user, a ? or a #; the owner's key stands in {KEY}.")


def _key_for(to: str) -> str:
    """The owner's key, empty where there is none. Raises `OptLawsError` for one that would cross a network in clear."""
    key = os.environ.get(KEY, "").strip()
    if key and not (key.isascii() and key.isprintable()):
        raise OptLawsError(f"{KEY} must be the owner's key that a server gave.")
    server = urlsplit(to)
    if key and server.scheme != "https" and server.hostname not in HERE:
        raise OptLawsError(f"{to}: the key in {KEY} is sent to https:// alone, or to this machine.")
    return key


def _refusal(status: int, why: object) -> str:
    """What an answer without a link says. A 201, or a fault between the servers, does not mean that none was saved."""
    if why:
        return one_line(str(why))
    if status == 201 or status >= 500:
        return f"{MAYBE} the answer names no link (status {status})."
    return f"{NO_SERVER} (status {status})."


def _schema(args: argparse.Namespace) -> None:
    from ..saved.schema import bundle_schema

    args.show(bundle_schema())


def _read(bundle: Path) -> Snapshot:
    with bundle.open("rb") as opened:
        data = opened.read(2 * MOST_BYTES)  # one that is larger is refused by its size
    try:
        return from_bundle(data)
    except OptLawsError as fault:
        raise OptLawsError(f"{bundle}: {fault}") from None
