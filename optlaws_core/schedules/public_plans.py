"""Training plans that were published with large models, in the text form of plans: examples to start from.

Each is written out from what its report or its scripts say, and holds the numbers that they state, so that whoever
doubts one can check it: `public.found(stated)` beside `stated.value`. Lengths in tokens are worked out in updates from
the batch schedule. What the text form cannot say, and what the source leaves open, stands in `left_out`.

>>> from optlaws_core.schedules.public_plans import PUBLIC_PLANS
>>> print(PUBLIC_PLANS["llama3_405b"].plan.text.replace("; ", ";\\n"))
rate=cosine(peak=8e-5, warmup=8000, total=1200000, final=8e-7);
batch=steps([0, 252M, 2.87T], [4M, 8M, 16M], by=tokens);
sequence=steps([0, 63], [4096, 8192])
"""

from dataclasses import dataclass

from ..errors import by_name
from ..text import format_amount, format_number
from .averaging import EMA
from .batch import Batch
from .data_stages import SequenceLength
from .families import Cosine
from .joint_schedule import Joint
from .multi_stage import WSD
from .stages_as_knots import Stage, as_knots

B, T = 1e9, 1e12  # tokens


@dataclass(frozen=True)
class Stated:
    """A number that a source gives: `what` is "rate", "batch", "sequence" or "tokens".

    `at` is the update or the tokens read before.
    `at` None is the end of the run; "tokens" are those of the whole run. `within`: half of the last digit printed.
    """

    what: str
    value: float
    at: float | None = None
    by: str = "updates"
    within: float = 0.0

    @property
    def told(self) -> str:
        """What it is about: `rate after 10T tokens`."""
        if self.what == "tokens":
            return "tokens in total"
        if self.at is None:
            return f"{self.what} at the end"
        if not self.at:
            return f"{self.what} at the start"
        when = f"at update {self.at:,.0f}" if self.by == "updates" else f"after {format_amount(self.at)} tokens"
        return f"{self.what} {when}"

    def written(self, value: float) -> str:
        """A value of its kind in words: a rate, tokens per update, in a sequence, or of the run."""
        if self.what == "rate":
            return format_number(float(f"{value:.4g}"))
        return f"{value:,.0f}" if self.what in ("batch", "sequence") else format_amount(value, 4)


@dataclass(frozen=True)
class PublicPlan:
    """A published plan: where it is from, its schedules, what the source states of it, and what it leaves out."""

    name: str
    title: str
    who: str
    when: str
    source: str  # arXiv number or repository, with the place in it
    url: str
    read: str  # what was read of it
    plan: Joint
    stated: tuple[Stated, ...]
    left_out: tuple[str, ...]  # a sentence each

    @property
    def batch(self) -> Batch:
        """The plan's batch, which every one here has, in tokens."""
        assert self.plan.batch is not None
        return self.plan.batch

    @property
    def tokens(self) -> float:
        """Tokens that all updates read."""
        return float(self.batch.pieces.seen(self.plan.total))

    def update(self, stated: Stated) -> int:
        """The update that a statement is about: of an amount of tokens, the first before which they were read."""
        if stated.at is None:
            return self.plan.total
        if stated.by == "updates" or not stated.at:
            return int(stated.at)
        return self.batch.updates_for(stated.at)

    def found(self, stated: Stated) -> float:
        """What the plan has where its source states a number."""
        if stated.what == "tokens":
            return self.tokens
        t = self.update(stated)
        if stated.what == "sequence":
            assert self.plan.sequence is not None
            return float(self.plan.sequence(t))
        return float(self.batch(min(t, self.plan.total - 1)) if stated.what == "batch" else self.plan(t))


def _deepseek_v3() -> PublicPlan:
    low, high = 3072 * 4096, 15360 * 4096
    batch = Batch((0, 469 * B), (low, high), "ramp", "tokens")
    until = [batch.updates_for(tokens) for tokens in (10 * T, 14.3 * T, 14.633 * T, 14.8 * T)]
    peak, floor, last = 2.2e-4, 2.2e-5, 7.3e-6
    rate = as_knots(
        (
            Stage(until[0], peak, peak),
            Stage(until[1], peak, floor, "cosine"),
            Stage(until[2], floor, floor),
            Stage(until[3], last, last),
        ),
        warmup=2000,
    )
    return PublicPlan(
        "deepseek_v3",
        "DeepSeek-V3",
        "DeepSeek-AI",
        "December 2024",
        "arXiv 2412.19437, section 4.2",
        "https://arxiv.org/abs/2412.19437",
        "the text of the section, in several copies that agree",
        Joint(rate, batch, sequence=SequenceLength((0,), (4096,))),
        (
            Stated("rate", peak, 2000),
            Stated("rate", peak, 10 * T, "tokens"),
            Stated("rate", floor, 14.3 * T, "tokens"),
            Stated("rate", floor, 14.6 * T, "tokens"),
            Stated("rate", last, 14.633 * T, "tokens"),
            Stated("rate", last),
            Stated("batch", low, 0, "tokens"),
            Stated("batch", high, 469 * B, "tokens"),
            Stated("sequence", 4096, 0),
            Stated("tokens", 14.8 * T, within=0.05 * T),
        ),
        (
            "How the batch grows over the first 469B tokens is not stated: here it is linear in the tokens read.",
            "The cosine is drawn with knots, so that rates are off by up to 0.01 % of the peak.",
            "Long context follows in two phases of 1,000 updates, with 32K and 128K tokens in a sequence, batches of "
            "1,920 and 480 sequences and a rate of 7.3e-6.",
            "AdamW with betas 0.9 and 0.95, weight decay 0.1, gradients clipped at a norm of 1; sequences of 4K "
            "tokens, read as 4,096.",
        ),
    )


def _llama3_405b() -> PublicPlan:
    batch = Batch((0, 252e6, 2.87 * T), (4e6, 8e6, 16e6), by="tokens")
    lengths = SequenceLength((0, batch.updates_for(252e6)), (4096, 8192))
    return PublicPlan(
        "llama3_405b",
        "Llama 3 405B",
        "Llama Team, AI @ Meta",
        "July 2024",
        "arXiv 2407.21783, sections 3.4.1 to 3.4.3",
        "https://arxiv.org/abs/2407.21783",
        "the text of the sections, in several copies that agree",
        Joint(Cosine(8e-5, warmup=8000, total=1_200_000, final=8e-7), batch, sequence=lengths),
        (
            Stated("rate", 8e-5, 8000),
            Stated("rate", 8e-7, 1_200_000),
            Stated("batch", 4e6, 0, "tokens"),
            Stated("batch", 8e6, 252e6, "tokens"),
            Stated("batch", 16e6, 2.87 * T, "tokens"),
            Stated("sequence", 4096, 0, "tokens"),
            Stated("sequence", 8192, 252e6, "tokens"),
        ),
        (
            "The 1,200,000 updates of the cosine, which are taken to include the warm-up, read 16.3T tokens; the run "
            "had 15.6T, and where in the cosine its later stages begin is not stated.",
            "Six stages of longer sequences, up to 128K, over about 800B tokens.",
            "At the end the rate falls on a line to 0, and the model is the mean of checkpoints on the way; how many "
            "is not stated.",
            "The mix of the data changed on the way.",
        ),
    )


def _kimi_k2() -> PublicPlan:
    batch = Batch((0,), (67e6,))
    total = batch.updates_for(15.5 * T)
    rate = WSD(2e-4, warmup=500, total=total, decay=total - batch.updates_for(10 * T), final=2e-5, shape="cosine")
    return PublicPlan(
        "kimi_k2",
        "Kimi K2",
        "Kimi Team, Moonshot AI",
        "July 2025",
        "arXiv 2507.20534, section 2.5",
        "https://arxiv.org/abs/2507.20534",
        "the text of the section, in several copies that agree",
        Joint(rate, batch, sequence=SequenceLength((0,), (4096,))),
        (
            Stated("rate", 2e-4, 500),
            Stated("rate", 2e-4, 10 * T, "tokens"),
            Stated("rate", 2e-5),
            Stated("batch", 67e6, 0, "tokens"),
            Stated("sequence", 4096, 0),
            Stated("tokens", 15.5 * T, within=0.05 * T),
        ),
        (
            "An annealing stage follows, in which the rate falls from 2e-5 to 7e-6 over 400B tokens in sequences of 4K "
            "and 60B in sequences of 32K; its shape is not stated.",
            "MuonClip, weight decay 0.1; in sequences of 4,096 tokens the batch of 67M may be one of 2^26.",
        ),
    )


def _glm_4_5() -> PublicPlan:
    batch = Batch((0, 500 * B), (16e6, 64e6), "ramp", "tokens")
    return PublicPlan(
        "glm_4_5",
        "GLM-4.5",
        "GLM-4.5 Team, Zhipu AI and Tsinghua University",
        "August 2025",
        "arXiv 2508.06471, abstract and section 2.4",
        "https://arxiv.org/abs/2508.06471",
        "the text of the section, in two copies that agree; 23T tokens from copies of the abstract",
        Joint(Cosine(2.5e-4, warmup=2000, total=batch.updates_for(23 * T), final=2.5e-5), batch),
        (
            Stated("rate", 2.5e-4, 2000),
            Stated("rate", 2.5e-5),
            Stated("batch", 16e6, 0, "tokens"),
            Stated("batch", 64e6, 500 * B, "tokens"),
            Stated("tokens", 23 * T, within=0.5 * T),
        ),
        (
            "The length of the warm-up is not stated: here it has 2,000 updates.",
            "How the batch grows over the first 500B tokens is not stated: here it is linear in the tokens read.",
            "The 23T tokens are taken to be those of pre-training and mid-training, at whose end the cosine ends.",
            "Mid-training changes the data and has sequences of 32,768 and 131,072 tokens, pre-training of 4,096; from "
            "which update on they are longer is not stated, so that the plan tells no sequence length.",
            "Muon for all but embeddings, biases and norms; weight decay 0.1.",
        ),
    )


def _olmo3_7b() -> PublicPlan:
    batch, peak, floor = 512 * 8192, 3e-4, 3e-5
    planned, middle, stretched = int(5 * T) // batch, 597_046, int(7 * T) // batch - 597_046
    rate = as_knots(
        (
            Stage(2000, peak, peak),
            Stage(middle, peak, floor, "cosine", planned - 2000),
            Stage(1_413_814, peak, floor, "cosine", 2 * stretched, stretched),
        ),
        warmup=2000,
    )
    return PublicPlan(
        "olmo3_7b",
        "OLMo 3 7B, pre-training",
        "OLMo Team, Ai2",
        "December 2025",
        "allenai/OLMo-core, src/scripts/official/OLMo3/OLMo-3-1025-7B-pretrain-1.py and -2.py; arXiv 2512.13961",
        "https://github.com/allenai/OLMo-core/tree/main/src/scripts/official/OLMo3",
        "both scripts and the schedulers of ai2-olmo-core 3.0.0; figure 3 and table 35 of the report in copies",
        Joint(rate, Batch((0,), (batch,)), sequence=SequenceLength((0,), (8192,))),
        (
            Stated("rate", peak, 2000),
            Stated("batch", 4_194_304, 0, "tokens"),
            Stated("sequence", 8192, 0),
            Stated("tokens", 5.93 * T, within=0.005 * T),
        ),
        (
            "A cosine over 5T tokens whose second half, from update 597,046 on, was stretched: the scripts to 7T "
            "tokens, stopped after one epoch at a rate of 3.93e-5, which is what stands here; the report says to 5.93T "
            "and 3e-5.",
            "The cosine is drawn with knots, so that rates are off by up to 0.01 % of the peak.",
            "Mid-training follows: 100B tokens in batches of 2,097,152, the rate on a line from 2.07e-4 to 0; then 50B "
            "tokens of long context in sequences of 65,536.",
            "AdamW with betas 0.9 and 0.95, weight decay 0.1, none on embeddings.",
        ),
    )


def _olmo3_32b() -> PublicPlan:
    batch, peak, floor = 1024 * 8192, 6e-4, 6e-5
    planned = int(5.93 * T) // batch
    rate = as_knots((Stage(2000, peak, peak), Stage(656_000, peak, floor, "cosine", planned - 2000)), warmup=2000)
    return PublicPlan(
        "olmo3_32b",
        "OLMo 3 32B, pre-training",
        "OLMo Team, Ai2",
        "December 2025",
        "allenai/OLMo-core, src/scripts/official/OLMo3/OLMo-3-1025-32B-pretrain.py; arXiv 2512.13961",
        "https://github.com/allenai/OLMo-core/tree/main/src/scripts/official/OLMo3",
        "the script and the scheduler of ai2-olmo-core 3.0.0; figure 4 and table 35 of the report in copies",
        Joint(rate, Batch((0,), (batch,)), sequence=SequenceLength((0,), (8192,))),
        (
            Stated("rate", peak, 2000),
            Stated("batch", 8_388_608, 0, "tokens"),
            Stated("sequence", 8192, 0),
            Stated("tokens", 5.5 * T, within=0.05 * T),
        ),
        (
            "A cosine over one epoch, 5.93T tokens, stopped at update 656,000, 5.5T: the rate is 6.69e-5 there, while "
            "the report's figure says 6.210e-5 and its table 6.0e-5.",
            "The cosine is drawn with knots, so that rates are off by up to 0.01 % of the peak.",
            "Mid-training follows twice, with two orders of the data and the mean of both results: 100B tokens in "
            "batches of 4,194,304, the rate on a line from 2.07e-4 to 0; then 100B tokens of long context.",
            "AdamW with betas 0.9 and 0.95, weight decay 0.1, none on embeddings.",
        ),
    )


def _marin_32b() -> PublicPlan:
    peak, low, sequence = 7e-4, 7e-5, 4096
    rate = as_knots(
        (
            Stage(80_000, peak, peak),
            Stage(81_000, low, peak),
            Stage(160_000, peak, peak),
            Stage(192_000, peak, low),
        ),
        warmup=10_000,
    )
    batch = Batch((0, 18_500, 21_010), (8192 * sequence, 7680 * sequence, 8192 * sequence))
    return PublicPlan(
        "marin_32b",
        "Marin 32B",
        "Marin, Stanford CRFM",
        "2025",
        "marin-community/marin, experiments/tootsie/exp1295_32b.py, exp1395_qwen3_32b.py and "
        "exp1529_32b_mantis_cooldown.py; docs/reports/marin-32b-retro.md",
        "https://github.com/marin-community/marin/blob/main/docs/reports/marin-32b-retro.md",
        "the three scripts, the retrospective, and levanter's optim/config.py, whose defaults the scripts leave",
        Joint(rate, batch, EMA.of_decay(0.995)),
        (
            Stated("rate", peak, 10_000),
            Stated("rate", peak, 81_000),
            Stated("rate", peak, 160_000),
            Stated("rate", low, 192_000),
            Stated("batch", 8192 * sequence, 0),
            Stated("batch", 7680 * sequence, 18_500),
            Stated("batch", 8192 * sequence, 21_010),
        ),
        (
            "At update 80,000 the model changed its attention and warmed up anew within 1,000 updates, from a tenth of "
            "the peak, as levanter does after a cycle.",
            "That the cooldown ends at a tenth of the peak is levanter's default, which the scripts leave.",
            "A batch of 1,024 in update 159,999, which aligned the data loader alone, is left out.",
            "levanter's average begins with the initial weights, and is what the run was evaluated at.",
            "AdamW, AdamC during the cooldown, weight decay 0.05, gradients clipped at 0.2 and updates by their "
            "history; the mix of the data changed at 160,000 and 174,000.",
        ),
    )


PUBLIC_PLANS: dict[str, PublicPlan] = by_name(
    "public plans",
    lambda public: public.name,
    (_deepseek_v3(), _llama3_405b(), _kimi_k2(), _glm_4_5(), _olmo3_7b(), _olmo3_32b(), _marin_32b()),
)

__all__ = ["PUBLIC_PLANS", "PublicPlan", "Stated"]
