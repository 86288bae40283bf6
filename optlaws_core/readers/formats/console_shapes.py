"""What programs print while they train: one table of line shapes, `SHAPES`, and what each number of a line is.

A shape says by which lines a program is known and what is special about them; numbers are found by the words before
them, in any order. Lines are bytes in lower case. The last shape takes every other line with a step and a loss.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..layout import SAMPLES, TOKENS, eval_name, is_lr, train_rank

_PLAIN = rb"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?"
NUMBER = re.compile(
    rb"((?:(?<![\w.)\]+-])[+-])?(?:" + _PLAIN + rb"|(?<![0-9.])\.[0-9]+(?:e[+-]?[0-9]+)?)"
    rb"|(?<![\w])[+-]?(?:nan|inf(?:inity)?)(?![\w]))"
)
WHOLE = ("step", "total", "n", "of", "epochs")  # fields that count
_WHOLE = re.compile(rb"[0-9]+(?:,[0-9]{3})*(?:\.0*)?")
_N = _PLAIN
# Before a line there may be the names of ranks and nodes, times, and what loggers print.
_START = rb"(?:^|(?<=[\]>:)|\s\-]))[ \t]*"
TRAIN, ESTIMATE = "train", "train_estimate"
_ALONE = rb"(?:^\W*|[\]>]:?[ \t]*|^\d+: *| - )"  # where words could make it another number


@dataclass(frozen=True)
class Shape:
    """A kind of line: how it is known, and what a reader must know beyond the names in it."""

    name: str
    mark: re.Pattern[bytes]  # found in its lines; groups that are named as fields hold those numbers
    loss: tuple[str, ...] = ()  # its names of the training loss, best first; any known name where empty
    step: tuple[str, ...] = ()  # its names of the step, best first; any known name where empty
    records: bool = False  # a record is several lines: a head with the step, then a line for each number
    estimates: bool = False  # a training loss that stands beside an evaluation's is an estimate, too
    keeps: bool = False  # the last evaluation's loss is repeated on every line until the next one
    rough: float | None = None  # from which on its rates may be printed with 4 decimals, too few for most
    bits: bool = False  # losses are to the base 2
    epoch_means: bytes = b""  # in lines that hold the mean of an epoch
    total: bool = True  # what stands behind a slash is the number of updates of the run
    said: str = ""  # what to know about its training loss, as a sentence


def _shape(name: str, mark: bytes, **more) -> Shape:
    return Shape(name, re.compile(mark.replace(b"NUM", _N).replace(b"START", _START).replace(b"ALONE", _ALONE)), **more)


SHAPES: tuple[Shape, ...] = (
    _shape("nanoGPT", rb"START(?:step|iter) \d+: train loss NUM, val loss NUM", estimates=True),
    _shape("nanoGPT", rb"STARTiter \d+: loss NUM, time "),
    _shape("Raschka's book", rb"STARTep \d+ \(step \d+\): train loss NUM, val loss NUM", estimates=True),
    _shape("build-nanogpt", rb"ALONE(?P<step>\d+) train (?P<loss>NUM)$"),
    _shape("build-nanogpt", rb"ALONE(?P<step>\d+) val (?P<val>NUM)$"),
    _shape("llm.c", rb"STARTs:\d+ (?:trl|tel|eval):"),
    _shape("llm.c", rb"STARTstep +\d+/\d+(?: \| loss NUM \(|: train loss NUM)"),
    _shape("build-nanogpt", rb"STARTstep +\d+ \| loss: NUM \| lr NUM \| norm: "),
    _shape("modded-nanogpt", rb"STARTstep:\d+/\d+ (?:train|val)_loss:"),
    _shape(
        "nanochat",
        rb"STARTstep \d+/\d+ \(NUM%\) \| loss: ",
        said="nanochat prints a running mean of the training loss.",
    ),
    _shape(
        "NeMo",
        rb"training epoch \d+, iteration \d+/\d+ \|",
        loss=("reduced_train_loss", "loss"),
        step=("global_step", "iteration"),
        keeps=True,
        total=False,
    ),
    _shape(
        "NeMo",
        rb"%\|.*reduced_train_loss=",
        loss=("reduced_train_loss",),
        step=("global_step",),
        keeps=True,
        total=False,
    ),
    _shape(
        "Megatron",
        rb"\biteration:?\s+(?P<step>\d+)\s*/\s*(?P<total>\d+)\s*\|",
        loss=("lm loss", "lm_loss", "loss", "lm-loss", "masked_lm loss", "mlm loss"),
    ),
    _shape(
        "Megatron",
        rb"\b(?P<split>validation|valid|test) (?:loss|results) at iteration (?P<step>\d+)"
        rb"(?: (?:on|for) (?P<set>(?:validation|valid|test)\b)| \[(?P<name>[\w-]+)\])?[^|]*\| (?:lm[ _])?loss value: "
        rb"(?P<val>NUM)",
    ),
    _shape("OLMo", rb"\[step=(?P<step>[\d,]+)(?:/(?P<total>[\d,]+))?[^\]]*\]\s*$", records=True),
    _shape("OLMo", rb"^(?!.*\bstep=).*START(?:train|optim|eval|throughput)/[^=]+=[^=]*$", records=True, rough=1e-4),
    _shape(
        "Composer",
        rb"START\[(?:epoch=(?P<epoch>\d+)[^\]]*\]\[)?batch=(?P<step>[\d,]+)(?:/(?P<total>[\d,]+))?\]:?\s*$",
        records=True,
        total=False,
    ),
    _shape(
        "Composer",
        rb"START(?:train|eval) (?:loss/|metrics/|lr-|time/)[^:]*: ",
        records=True,
        rough=0.0,
        total=False,
    ),
    _shape("torchtitan", rb"\b(?:validate )?step:\s+\d+\s+loss:\s+\S+\s+(?:grad_norm|memory|tps)"),
    _shape("torchtune", rb"STARTstep \d+ \| loss:\S+ lr:"),
    _shape("torchtune", rb"START\d+\|(?P<step>\d+)\|loss: (?P<loss>NUM)"),
    _shape("MaxText", rb"\bcompleted step: \d+, seconds: ", loss=("main_model_loss", "lm_loss", "loss")),
    _shape("MaxText", rb"\b(?:eval metrics after step: |average loss after step=)(?P<step>\d+)[,:]"),
    _shape(
        "DLLogger",
        rb"STARTdlll \{.*\"step\": *\[?(?:(?P<epoch>\d+), *)?(?P<step>\d+)[],]",
        loss=("step_loss", "train_loss", "train.loss", "loss"),
        total=False,
    ),
    _shape(
        "ms-swift",
        rb"['\"]loss['\"]: .*['\"]global_step/max_steps['\"]: ['\"](?P<step>\d+)/(?P<total>\d+)",
    ),
    _shape("ms-swift", rb"['\"]eval_loss['\"]: .*['\"]global_step/max_steps['\"]: ['\"](?P<step>\d+)/(?P<total>\d+)"),
    _shape("Hugging Face Trainer", rb"\{'(?:[^{}]*')?(?:eval_)?\w*loss': "),
    _shape("mmengine", rb"\biter\(train\) +\[ *(?P<step>\d+)/ *(?P<total>\d+)\]", loss=("loss",)),
    _shape(
        "mmengine",
        rb"\bepoch(?:\(train\))?:? +\[ *(?P<epoch>\d+)\] *\[ *(?P<step>\d+)/ *(?P<total>\d+)\]",
        loss=("loss",),
        total=False,
    ),
    _shape(
        "fairseq",
        rb"\| train(?:_inner)? \|.*\bnum_updates\b|\| train \|.*\btrain_num_updates\b",
        loss=("nll_loss", "loss"),
        step=("num_updates", "train_num_updates"),
        bits=True,
        said="fairseq prints losses to the base 2; they were turned into nats.",
        epoch_means=rb"| train |",
        total=False,
    ),
    _shape(
        "fairseq",
        rb"\| valid(?:_\w+)? \||valid on '",
        loss=("nll_loss", "loss"),
        step=("num_updates", "valid_num_updates"),
        bits=True,
        total=False,
    ),
    # The iterations of an evaluation's line are micro-batches: its step is that of the training's line before it.
    _shape("litgpt", rb"STARTiter \d+: val loss (?P<val>NUM), val time", step=("step",), total=False),
    _shape(
        "litgpt",
        rb"\biter \d+ step (?P<step>\d+) \| loss train: (?P<loss>NUM)\b",
        total=False,
    ),
    _shape(
        "Keras",
        rb"START(?P<n>\d+)/(?P<of>\d+)\s+(?:\[=\]|- [\d.]+m?s\b).*\bloss: ",
        loss=("loss",),
        records=True,
        total=False,
    ),
    _shape("Keras", rb"STARTepoch (?P<epoch>\d+)/(?P<epochs>\d+)\s*$", records=True, total=False),
    _shape(
        "PyTorch",
        rb"START(?:train )?epoch:? ?\[?(?P<epoch>\d+)(?:/(?P<epochs>\d+))?\]?,? +(?:step|iter|batch):? ?"
        rb"\[?(?P<step>\d+)/(?P<total>\d+)\]?,? .*loss",
        total=False,
    ),
    _shape(
        "timm",
        rb"\btrain: (?P<epoch>\d+) \[ *(?P<step>\d+)/(?P<total>\d+) .*\bloss: (?P<loss>NUM)",
        total=False,
    ),
    _shape(
        "Lightning",
        rb"START(?:training )?epoch (?P<epoch>\d+): [^|]*%\| \| (?P<step>\d+)/(?P<total>\d+) \[[^\]]*loss",
        total=False,
    ),
    _shape(
        "a loss at a step",
        rb"\b(?P<split>val|valid|validation|eval|evaluation|test) loss at (?:step|iteration|iter|update) (?P<step>\d+)"
        rb"(?: is| ?[:=,])? *(?P<val>NUM)",
    ),
    _shape(
        "a loss at a step",
        rb"(?:^|[^a-z\s]\s*)(?:train(?:ing)? )?loss at (?:step|iteration|iter|update) (?P<step>\d+)(?: is| ?[:=,])? *"
        rb"(?P<loss>NUM)",
    ),
    _shape("a bare counter", rb"ALONE(?P<step>\d+) +\| +loss:? (?P<loss>NUM)"),
    _shape(
        "a bare counter",
        rb"ALONE\[ *(?P<step>\d+)(?:/ *(?P<total>\d+))?\]:? +(?:train(?:ing)?[ _])?loss[:=]? *(?P<loss>NUM)",
    ),
    _shape(
        "a bare counter",
        rb"ALONE\[ *(?P<step>\d+)(?:/ *(?P<total>\d+))?\]:? +train[:=] *(?P<loss>NUM)(?:[ ,|]+val[:=] *(?P<val>NUM))?",
    ),
)
GENERAL = Shape("key–value lines", re.compile(rb""))

# Words before a loss that make it no point.
_ASIDE = re.compile(
    rb"checkpoint|saving|saved|\bbest\b|resum|early.?stop|patience|\bfinal|improve|finished|summary|minimum|lowest|"
    rb"\btarget|expected|restor|assert|\bprint|\bdef |\breturn\b"
)
_KEY = re.compile(
    rb"(?<![a-z0-9_])([a-z_][a-z0-9_./()\-]*(?:[ \t]+(?:\(?[a-z_][a-z0-9_./()\-]*|[0-9]+\))){0,4})"
    rb"['\"]?[ \t]*(?:[:=]|->|\bis\b|\[|\()?[ \t]*['\"\[(]?[ \t]*$"
)
_STEP_WORDS = (
    re.compile(r"(?:^|[ /])(?:trainer/|train/)?(?:global[_ ]?step|global[_ ]iter|num_updates|optimi[sz]er[_ ]step)$"),
    re.compile(r"(?:^|[ /])(?:(?:train|training|current|completed|eval|val)[_ ])?steps?$|^s$"),
    re.compile(r"(?:^|[ /])(?:(?:train|training|current)[_ ])?(?:iterations?|iters?|updates?|it)(?:\(train\))?$"),
    re.compile(r"(?:^|[ /])(?:batch|batch_idx)$"),
)
_NO_STEP = re.compile(
    r"skip|nan|\bper\b|number|elapsed|avg|average|time|every|warm|total|max|remain|best|last|sav|resum"
)
_NO_LOSS = re.compile(
    r"aux|router|moe|z_?loss|scale|best|grad|balanc|mtp|\bkl|time|delta|diff|lowest|\bmin|weight|ratio|target|"
    r"contrast|pg_|vf_|prev|last|final|entropy_loss|reg_|acc\b|value_loss|policy|ppl|perplex|bpb|std|var_|scaler"
)
_MEAN = re.compile(r"(?:avg|average|mean|running|smooth|ema|epoch|total)")
_NORM = re.compile(r"(?:grad(?:ient)?s?[-_/ .]*(?:global[-_/ .]*)?norm|\bnorm|gnorm|total grad norm)$")
_SCALED = re.compile(r"\(\d*\.?\d*e-?\d+\)|[x*]\d|1e\d")  # a rate that is printed in other units
_BATCH = re.compile(r"global[ _]batch[ _]size$")
_EVAL = re.compile(
    rb"(?<![a-z0-9_./])(eval|evaluation|evaluating|valid|validation|validate|val|test|dev)(?![a-z0-9_./])"
)
_TRAIN = re.compile(rb"(?<![a-z0-9_./])train(?:ing)?(?![a-z0-9_./])")
# An evaluation named behind its loss, in brackets, as a value, or by itself: no number's name, no word of a sentence.
_EVAL_BEHIND = re.compile(
    rb"(?:^|[^a-z0-9_./ \t]|[0-9]|\b(?:on|of|for|the|is))[ \t]*"
    rb"(?<![a-z_./])(eval|evaluation|valid|validation|val|test|dev)(?:[ _-](?:set|split|data|step))?"
    rb"[ \t]*(?=$|[\])}>|,;'\"])"
)
# A counter that begins a record of its own: nothing that a word before it makes another one, and no time.
_COUNTER = re.compile(
    rb"(?<![a-z_./-])(?<![a-z][ ])((?:train(?:ing)?[ _/])?(?:global[ _])?step|iter|iteration|update|it)"
    rb"(?:[ \t]*[:=][ \t]*|[ \t]+)[0-9]+(?![0-9.]|[ \t]?m?s\b)"
)
_BITS = re.compile(rb"\bstep[ :=]+(?P<step>\d+)\b.*\bbpb[ :=]+" + _N)  # of a byte, beside no loss
_SETS = {"valid": "val", "validation": "val", "validate": "val", "evaluation": "eval", "evaluating": "eval"}
_EVAL_SET = re.compile(r"eval metrics/(.+)/languagecrossentropy")
_OF_SPLIT = re.compile(r"^(train|valid|val|eval|test)[_/.]")
LONGEST = 4_000  # bytes of a line that is looked at
RATE = "rate:"  # begins the fields of further rates in a line
MOST_RATES = 8


@dataclass(eq=False)
class Plan:
    """What the numbers of lines are that differ in their numbers only."""

    shape: Shape
    picks: tuple[str, ...]  # fields: step, loss:train, lr, …
    at: tuple[int, ...]  # which of the line's numbers each of them is
    names: dict[str, tuple[str, int]] = field(default_factory=dict)  # split -> name of its loss, and how well it fits
    mean: bool = False  # of an epoch
    decimals: int | None = None  # with which a rate is printed, where it has no exponent
    rate: str = ""  # the name of the rate
    doubled: bool = False  # the line is two, whose end between them is missing; nothing is picked of it
    bits: bool = False  # bits per byte beside no loss, which are left out
    rows: list[int] = field(default_factory=list)
    values: list[tuple[bytes, ...]] = field(default_factory=list)

    def cells(self, numbers: Sequence[bytes]) -> tuple[bytes, ...] | None:
        """The picked ones of a line's numbers; None where one that counts is no whole number."""
        cells = tuple(numbers[i] for i in self.at)
        counts = (cell for pick, cell in zip(self.picks, cells, strict=True) if pick in WHOLE)
        return cells if all(_WHOLE.fullmatch(cell) for cell in counts) else None

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits whose losses stand in its lines."""
        return tuple(pick.removeprefix("loss:") for pick in self.picks if pick.startswith("loss:"))


def plan_of(line: bytes) -> Plan | None:
    """What the numbers of a line are; None for one that tells nothing about a run."""
    if b"train_runtime" in line or line.lstrip()[:1] == b"#":
        return None
    if b"%|" in line and b"loss" not in line:
        return _bar_alone(line)
    if second_record(line) is not None:
        return Plan(GENERAL, (), (), doubled=True)
    if b"bpb" in line and b"loss" not in line:
        return _bits(line)
    shape, found = _shape_of(line)
    numbers = list(NUMBER.finditer(line))
    starts = {number.start(): i for i, number in enumerate(numbers)}
    picks, split = _named_groups(found, starts)
    keyed = [(i, phrase) for i, n in enumerate(numbers) if _stands_alone(line, n) and (phrase := _phrase(line, n))]
    used = set(picks.values())
    names: dict[str, tuple[str, int]] = {}
    for rank, i, which, name in _losses(shape, line, numbers, [(i, p) for i, p in keyed if i not in used]):
        if f"loss:{split or which}" not in picks:
            picks[f"loss:{split or which}"] = i
            names[split or which] = (name, rank)
    losses = [numbers[i].start() for pick, i in picks.items() if pick.startswith("loss:")]
    if shape is GENERAL and losses and _ASIDE.search(line[: min(losses)]):
        return None
    rate = _counted(shape, line, numbers, keyed, picks)
    if shape.estimates and "loss:train" in picks:
        picks[f"loss:{ESTIMATE}"] = picks.pop("loss:train")
    plan = _plan(shape, line, numbers, picks, names)
    if plan is not None:
        plan.rate = rate
    return plan


def second_record(line: bytes) -> int | None:
    """Where a second step with its loss begins in a line, as where the end of a line was lost; None for a usual one."""
    if line.count(b"loss") < 2:
        return None
    found = list(_COUNTER.finditer(line))
    for again in found[1:]:
        at = again.start()
        if again[1] == found[0][1] and b"loss" in line[:at] and b"loss" in line[at:]:
            return at
    return None


def _bits(line: bytes) -> Plan | None:
    """The plan of an evaluation in bits per byte, of which the step is kept."""
    found = _BITS.search(line)
    starts = {number.start(): i for i, number in enumerate(NUMBER.finditer(line))}
    if found is None or found.start("step") not in starts:
        return None
    return Plan(GENERAL, ("step",), (starts[found.start("step")],), bits=True)


def _shape_of(line: bytes) -> tuple[Shape, "re.Match[bytes] | None"]:
    for shape in SHAPES:
        found = shape.mark.search(line)
        if found:
            return shape, found
    return GENERAL, None


def _named_groups(found: "re.Match[bytes] | None", starts: dict[int, int]) -> tuple[dict[str, int], str]:
    """Fields whose numbers a mark holds, and the split that it names."""
    groups = {} if found is None else {k: found.start(k) for k, v in found.groupdict().items() if v is not None}
    fields = {"loss": "loss:train", "val": "loss:val"}
    picks = {fields.get(k, k): starts[at] for k, at in groups.items() if at in starts}
    if found is None or not groups.keys() & {"set", "name", "split"}:
        return picks, ""
    named = found.groupdict()
    split = (named.get("set") or named.get("split") or b"val").decode()
    split = _SETS.get(split, split)
    if named.get("name"):
        split = f"{split}_{named['name'].decode('ascii', 'replace')}"
    if "loss:val" in picks:
        picks[f"loss:{split}"] = picks.pop("loss:val")
    return picks, split


def _stands_alone(line: bytes, number: "re.Match[bytes]") -> bool:
    """Whether a number is one: no part of a word or a longer figure, and without a unit."""
    after = line[number.end() : number.end() + 2]
    before = line[max(0, number.start() - 1) : number.start()]
    if before and (before.isalnum() or before in b"_-.,") and before != b"":
        return False
    if after[:1].isalnum() or after[:1] in (b"_", b"%"):
        return False
    if after[:1] == b")" and re.search(rb"group $|\w\($", line[: number.start()]):
        return False  # of a name, `lr (group 0)=` or `lr(1e-3):`
    return not (after[:1] in (b",", b".") and after[1:2].isdigit())


def _phrase(line: bytes, number: "re.Match[bytes]") -> str:
    found = _KEY.search(line[max(0, number.start() - 120) : number.start()])
    return "" if found is None else " ".join(found.group(1).decode("ascii", "replace").split()).strip("-/. ")


def _losses(shape: Shape, line: bytes, numbers: list, keyed: list[tuple[int, str]]) -> list[tuple[int, int, str, str]]:
    """(rank, number, split, name) of the losses in a line, the best of each split first."""
    found = []
    for i, phrase in keyed:
        known = _loss(shape, phrase)
        if known is None:
            continue
        split, rank, name = known
        if split == TRAIN:
            split = _said_split(line[: numbers[i].start()], phrase) or TRAIN
        if split == TRAIN and shape is GENERAL and not re.search(r"\btrain", phrase):
            stop = next((numbers[j].start() for j, other in keyed if j > i and _loss(shape, other)), len(line))
            split = _split_behind(line[numbers[i].end() : stop]) or TRAIN
        found.append((rank, i, split, name))
    return sorted(found)


def _said_split(before: bytes, phrase: str) -> str | None:
    """The evaluation that the words before a plain loss speak of."""
    if re.search(r"\btrain", phrase):
        return None
    evals = list(_EVAL.finditer(before))
    trains = list(_TRAIN.finditer(before))
    if not evals or (trains and trains[-1].start() > evals[-1].start()):
        return None
    name = evals[-1].group(1).decode()
    return _SETS.get(name, name)


def _split_behind(behind: bytes) -> str | None:
    """The evaluation that the words behind a plain loss name, up to the next loss."""
    found = _EVAL_BEHIND.search(behind)
    if found is None or _TRAIN.search(behind):
        return None
    name = found.group(1).decode()
    return _SETS.get(name, name)


def _loss(shape: Shape, phrase: str) -> tuple[str, int, str] | None:
    """(split, rank, name) of a phrase that names a loss; a lower rank is better."""
    if phrase == "tel":
        return "val", 0, phrase
    if _NO_LOSS.search(phrase):
        return None
    if of_set := _EVAL_SET.fullmatch(phrase):
        return of_set[1] if of_set[1].startswith("eval") else f"eval/{of_set[1]}", 0, phrase
    words = phrase.removesuffix(" value").split()
    for k in range(len(words)):
        name = " ".join(words[k:])
        if shape.loss and (bare := _OF_SPLIT.sub("", name)) in shape.loss:
            split = _OF_SPLIT.match(name)
            return _SETS.get(split[1], split[1]) if split else TRAIN, shape.loss.index(bare), name
        if (other := eval_name(name)) is not None and " " not in other:
            return _SETS.get(other, other), train_rank(name.removeprefix(other)[1:]) or 0, name
        if (rank := train_rank(name)) is not None:
            if shape.loss:
                return None
            return TRAIN, rank + 100 * bool(_MEAN.search(phrase)), name
    if shape.loss or not words or not words[-1].endswith("loss"):
        return None
    return TRAIN, 60 + 100 * bool(_MEAN.search(phrase)), words[-1]


def _counted(shape: Shape, line: bytes, numbers: list, keyed: list[tuple[int, str]], picks: dict[str, int]) -> str:
    """Adds what counts and what stands beside the loss: step, its total, epoch, rate, norm, tokens, samples, batch.

    Returns the name of the rate; further rates of the line are added under theirs.
    """
    taken = set(picks.values())
    ranks: dict[str, int] = {}
    rates: dict[int, str] = {}
    for i, phrase in keyed:
        if i in taken:
            continue
        for name, rank in _kinds(shape, phrase):
            if name == "step" and _in_list(line, numbers[i]):
                continue
            if name == "lr":
                rates[i] = _rate_name(phrase)
            if name not in picks or (name in ranks and rank < ranks[name]):
                picks[name], ranks[name] = i, rank
    own = rates.pop(picks["lr"], "") if "lr" in picks else ""
    used = set(picks.values())
    for i, name in [*rates.items()][:MOST_RATES]:
        if name not in ("", own) and i not in used:
            picks.setdefault(RATE + name, i)
    if "step" in picks and "total" not in picks:
        at = picks["step"]
        if at + 1 < len(numbers) and line[numbers[at].end() : numbers[at + 1].start()].strip() == b"/":
            picks["total"] = at + 1
    if "step" not in picks and b"%|" in line and "n" not in picks:
        _bar(line, numbers, picks)
    return own


def _rate_name(phrase: str) -> str:
    """The words of a phrase that name a rate."""
    words = phrase.split()
    return next((name for k in range(len(words)) if is_lr(name := " ".join(words[k:]))), phrase)


def _in_list(line: bytes, number: "re.Match[bytes]") -> bool:
    """Whether a number opens a list of several, of which the words before it do not say which counts."""
    return line[: number.start()].endswith(b"[") and re.match(rb",\s*\d", line[number.end() :]) is not None


def _kinds(shape: Shape, phrase: str) -> Iterator[tuple[str, int]]:
    last = phrase.split()[-1]
    if shape.step:
        if last in shape.step:
            yield "step", shape.step.index(last)
    elif not _NO_STEP.search(phrase):
        bare = phrase.replace("(", " ")
        yield from (("step", rank) for rank, words in enumerate(_STEP_WORDS) if words.search(bare))
    for k in range(len(words := phrase.split())):
        name = " ".join(words[k:])
        if is_lr(name) and not _SCALED.search(name):
            yield "lr", 0 if name in ("lr", "learning rate", "learning_rate") else 1
            break
    if _NORM.search(phrase):
        yield "grad_norm", len(phrase)
    if last in ("epoch", "ep"):
        yield "epoch", 0
    if _BATCH.search(phrase):
        yield "batch", 0
    for name, known in (("tokens", TOKENS), ("samples", SAMPLES)):
        if phrase in known or last in known or phrase.removeprefix("train ") in known:
            yield name, 0


def _bar(line: bytes, numbers: list, picks: dict[str, int]) -> None:
    """The counter of a progress bar, `80/170 [`, of the last one where several stand on a line."""
    for i in range(len(numbers) - 2, -1, -1):
        if line[numbers[i].end() : numbers[i + 1].start()] == b"/" and line[numbers[i + 1].end() :][:2] == b" [":
            picks["n"], picks["of"] = i, i + 1
            return


def _bar_alone(line: bytes) -> Plan | None:
    """The plan of a progress bar without a loss."""
    numbers, picks = list(NUMBER.finditer(line)), dict[str, int]()
    _bar(line, numbers, picks)
    return Plan(GENERAL, tuple(picks), tuple(picks.values())) if picks else None


def _plan(shape: Shape, line: bytes, numbers: list, picks: dict[str, int], names: dict) -> Plan | None:
    """The plan of lines like this one; None where the picks tell nothing."""
    losses = [p for p in picks if p.startswith("loss:")]
    bar = "n" in picks
    useful = bool(losses) or (shape.records and len(picks) > 0) or bar
    useful = useful or (shape.name == "Megatron" and "step" in picks)
    if not useful:
        return None
    if not losses and not bar and not shape.records:
        picks = {**{k: v for k, v in picks.items() if k in ("step", "total")}}
    ordered = sorted((i, name) for name, i in picks.items())
    if len({i for i, _ in ordered}) < len(ordered):
        return None
    mean = bool(shape.epoch_means) and shape.epoch_means in line
    rate = numbers[picks["lr"]][0] if "lr" in picks else b"e"
    decimals = None if b"e" in rate else len(rate.partition(b".")[2])
    return Plan(shape, tuple(n for _, n in ordered), tuple(i for i, _ in ordered), names, mean, decimals)
