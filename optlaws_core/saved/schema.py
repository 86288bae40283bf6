"""The bundle of a saved comparison as a JSON Schema (draft 2020-12): for whoever writes or reads one elsewhere.

It says what `to_bundle` writes and wrote: what older versions did not know is not required. Reading checks more than a
schema can say: that names lead somewhere, that steps rise, that schedules and coefficients are those of known families
and laws, that the digest is that of the content.
"""

from __future__ import annotations

from dataclasses import fields

from ..fitting.scores import Scores, Status
from ..prediction.divergence import FEATURES, Risk
from ..runs import MOST_UPDATES
from . import checks
from .plain import LR_SOURCES
from .record import KIND, UPGRADES

DRAFT = "https://json-schema.org/draft/2020-12/schema"
DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
NUMBER = {"type": "number", "exclusiveMinimum": -1e300, "exclusiveMaximum": 1e300}
ERROR = {**NUMBER, "minimum": 0}
NATURAL = {"type": "integer", "minimum": 0, "exclusiveMaximum": 2**63}
HORIZON = {"type": "integer", "minimum": 1, "maximum": MOST_UPDATES}
TEXT = {"type": "string"}
RANGE = {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2, "description": "the lower end, the upper end"}
CONTROLS = r"\u0000-\u001f\u007f-\u009f"
BUT_LINES = r"\u0000-\u0008\u000b-\u001f\u007f-\u009f"  # and not tabs


def bundle_schema() -> dict:
    """The schema of a bundle, plain values for `json.dumps`."""
    return {
        "$schema": DRAFT,
        "title": "A saved comparison of Opt-Laws",
        "description": "What `optlaws share export` writes and the app downloads and uploads: runs, fits to them, and "
        "learning-rate schedules that are compared.",
        **_object(
            {
                "sha256": _told(
                    DIGEST,
                    "SHA-256, in hex, of the snapshot as JSON in UTF-8 with sorted keys, without spaces, without "
                    "escapes of non-ASCII characters, and with numbers as Python's repr writes them.",
                ),
                "snapshot": _ref("snapshot"),
            }
        ),
        "$defs": {
            "snapshot": _snapshot(),
            "run": _run(),
            "model": {"anyOf": [_ref("average"), _ref("fit")], "description": "One law, or an average of several."},
            "fit": _fit(),
            "average": _average(),
            "scores": _scores(),
            "selection": _selection(),
            "risk": _risk(),
        },
    }


def _snapshot() -> dict:
    return _object(
        {
            "kind": {"const": KIND},
            "format": {"const": len(UPGRADES) + 1},
            "title": _told(_line("title"), "what the comparison is called"),
            "note": _told(_printable("note", BUT_LINES), "what was found, in the author's words"),
            "tags": _list(_line("tag"), "tags"),
            "author": _told(_printable("author"), "who made it; empty where that is not known"),
            "created": _told({**_text("tag"), "format": "date-time"}, "when, with a zone, ISO 8601"),
            "parent": _told(_or_null(DIGEST), "sha256 of the comparison that this one is a changed copy of"),
            "versions": _map(_text("tag"), "settings", "of the packages that computed it, by name"),
            "runs": _list(_ref("run"), "runs"),
            "fits": _map(_ref("model"), "fits", "by the names that they were kept under"),
            "current": _told(_or_null(TEXT), "the name of the fit in use; null without fits"),
            "also": _list(TEXT, "drawn", "names of fits that are drawn beside the one in use"),
            "selections": _map(_ref("selection"), "fits", "what a fit was judged beside, by its name"),
            "candidates": _list(_candidate(), "candidates"),
            "observed": _list(TEXT, "runs", "names of runs that are drawn behind the candidates"),
            "risk": _told(_or_null(_ref("risk")), "of divergence, where the ranking heeds it"),
            "most_risk": _told(_share(), "the risk above which a candidate is set apart"),
            "view": _map(
                {"anyOf": [_text("setting"), NUMBER, {"type": ["boolean", "null"]}]},
                "settings",
                "settings of charts, by name",
            ),
        }
    )


def _run() -> dict:
    losses = _object({"steps": _points(NATURAL, "updates, rising"), "loss": _points(NUMBER, "as many as steps")})
    return _object(
        {
            "name": _name(),
            "plan": _told(_or_null(_plan()), "what was trained; null where no schedule is known"),
            "split": _told(_text("name"), "which of its losses counts"),
            "lr_source": {"enum": [*LR_SOURCES], "description": "the source of its learning rates"},
            "last_step": _told(_or_null(NATURAL), "the last update that its log has, in any column"),
            "about": _map(_text("note"), "settings", "what its manifest says of it"),
            "series": _map(losses, "splits", "losses by the name of what they are of, such as train or val"),
            "open_questions": _list(_text("note"), "settings", "what its log leaves open"),
            "ends": _map(NUMBER, "splits", "the mean over its last updates, where losses were thinned"),
        },
        optional=("open_questions", "ends"),
    )


def _plan() -> dict:
    return _object(
        {
            "schedule": _told(TEXT, "the text form of a schedule, such as cosine(peak=3e-4, warmup=10, total=100)"),
            "params": _told(_or_null(NUMBER), "model size"),
            "batch_tokens": _told(_or_null(NUMBER), "tokens per update"),
        }
    )


def _candidate() -> dict:
    return _object(
        {
            "text": _told(TEXT, "the text form of a schedule"),
            "label": _told(_printable("name"), "what it is called; empty: after its family"),
            "on": _told({"type": "boolean"}, "whether it takes part"),
            "color": _told(NATURAL, "its place in the palette"),
        },
        optional=("color",),
    )


def _fit() -> dict:
    numbers = {"type": "array", "items": NUMBER}
    return _object(
        {
            "law": _told(TEXT, "the name of a law, as `optlaws laws` lists it"),
            "theta": {"type": "object", "additionalProperties": NUMBER, "description": "coefficients by name"},
            "interval": {
                "type": "object",
                "additionalProperties": _or_null(RANGE),
                "description": "90 % intervals; null where locked, on a bound or undetermined",
            },
            "status": {"enum": [status.name for status in Status]},
            "message": TEXT,
            "objective": _told(NUMBER, "sum of the Huber loss of log residuals"),
            "train": _by_run("errors on the runs that it was fitted to"),
            "test": _by_run("errors on held-out runs"),
            "coverage": _coverage(),
            "split": _told(TEXT, "which losses of the runs were fitted"),
            "locked": _told(_names(), "coefficients that were given"),
            "from_step": _told(_or_null(NATURAL), "first step that counted, where it was given"),
            "begin": _told(_or_null(NATURAL), "first step that counted, where it was found"),
            "seconds": ERROR,
            "free": _told(_names(), "coefficients that the covariance is of"),
            "covariance": _told({"type": "array", "items": numbers}, "in search coordinates, a row for each of free"),
            "shared": _told(_names(), "coefficients in common with fits of other model sizes"),
            "misfit": _told(_or_null(ERROR), "root mean square log error on the training runs"),
            "left_out": _told(_or_null(ERROR), "the same on each run when it was left out; null: not tried"),
            "informed": _or_null(_informed()),
            "by_peak": {"type": "array", "items": _ref("fit"), "description": "to the runs of each peak rate alone"},
            "peak_power": _told(
                {**ERROR, "maximum": 1}, "power of the ratio of peaks with which the rates of another peak count"
            ),
        },
        optional=(
            *("test", "split", "locked", "from_step", "begin", "seconds", "free", "covariance", "shared", "misfit"),
            *("left_out", "informed", "by_peak", "peak_power"),
        ),
    )


COVERED = ("params", "batch_tokens", "warmup", "idle", "auxiliary")


def _coverage() -> dict:
    return _told(
        _object(
            {
                "peak": RANGE,
                "total": RANGE,
                **{name: _or_null(RANGE) for name in COVERED},
            },
            optional=COVERED,
        ),
        "what the training runs cover: peak rates, updates, sizes, batches, updates of warm-up, shares at rate 0, "
        "auxiliary rates over the rate",
    )


def _informed() -> dict:
    return _told(
        _object(
            {
                "source": TEXT,
                **{name: NUMBER for name in ("peak", "updates", "loss", "sigma", "distance")},
                "schedules": NATURAL,
                "moved": {"type": "object", "additionalProperties": NUMBER},
                "fell": {"type": "boolean"},
                "horizon": _told(_or_null(HORIZON), "updates of the schedules that runs count for by their length"),
            },
            optional=("fell", "horizon"),
        ),
        "the prior that it was fitted under, and how far it went from it; null: none",
    )


def _average() -> dict:
    return _object(
        {
            "fits": {"type": "array", "items": _ref("fit"), "minItems": 1},
            "weights": {"type": "array", "items": _share(), "minItems": 1, "description": "of sum 1"},
            "train": _by_run("errors on the runs that they were fitted to"),
            "test": _by_run("errors on held-out runs"),
            "misfit": ERROR,
            "left_out": _or_null(ERROR),
        },
        optional=("left_out",),
    )


def _scores() -> dict:
    special = {"n": NATURAL, "r2": _or_null(NUMBER)}
    return _object({f.name: special.get(f.name, NUMBER) for f in fields(Scores)})


def _selection() -> dict:
    return _object(
        {
            "fits": _list(_ref("fit"), "fits"),
            "average": _or_null(_ref("average")),
            "failed": _map(_text("note"), "runs", "why a law could not be fitted, by its name"),
            "trusted": _told(_or_null(TEXT), "the law to trust; null: the average"),
            "advice": _text("note"),
        }
    )


def _risk() -> dict:
    each = {"type": "array", "items": NUMBER, "minItems": len(FEATURES), "maxItems": len(FEATURES)}
    special = {"weights": each, "mean": each, "scale": each, "runs": NATURAL, "diverged": NATURAL, "params": RANGE}
    return _object({f.name: special.get(f.name, NUMBER) for f in fields(Risk)})


# ------------------------------------------------------------------------------------------------------ small parts


def _object(properties: dict[str, dict], optional: tuple[str, ...] = ()) -> dict:
    """An object of these entries and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _map(values: dict, limit: str, said: str) -> dict:
    """An object of any names."""
    return {
        "type": "object",
        "additionalProperties": values,
        "maxProperties": checks.MOST[limit],
        "description": said,
    }


def _list(items: dict, limit: str, said: str = "") -> dict:
    found = {"type": "array", "items": items, "maxItems": checks.MOST[limit]}
    return _told(found, said) if said else found


def _points(items: dict, said: str) -> dict:
    return _told({**_list(items, "points"), "minItems": 1}, said)


def _names() -> dict:
    return {"type": "array", "items": TEXT}


def _by_run(said: str) -> dict:
    return {"type": "object", "additionalProperties": _ref("scores"), "description": f"{said}, by name"}


def _share() -> dict:
    return {"type": "number", "minimum": 0, "maximum": 1}


def _text(limit: str) -> dict:
    return {"type": "string", "maxLength": checks.LONGEST[limit]}


def _name() -> dict:
    return {**_text("name"), "minLength": 1}


def _printable(limit: str, never: str = CONTROLS) -> dict:
    """A text without the characters of a class."""
    return {**_text(limit), "pattern": f"^[^{never}]*$"}


def _line(limit: str) -> dict:
    """The same, with more in it than spaces."""
    return {**_text(limit), "pattern": f"^[^{CONTROLS}]*[^\\s{CONTROLS}][^{CONTROLS}]*$"}


def _or_null(schema: dict) -> dict:
    return {"anyOf": [schema, {"type": "null"}]}


def _told(schema: dict, said: str) -> dict:
    return {**schema, "description": said}


def _ref(name: str) -> dict:
    return {"$ref": f"#/$defs/{name}"}


__all__ = ["bundle_schema"]
