"""BibTeX of the laws, from what is known of their sources: `Law.reference`, the modules' texts and docs/sources.md.

Only what stands there is in an entry. Where first names, or authors after the first, are not known, family names stand
alone and "others" for the rest; where a title is not known, the entry says so in its note instead of making one up.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import OptLawsError
from ..fitting.result import Model


@dataclass(frozen=True)
class Source:
    """A published text. `authors`: family names, as far as they are known."""

    key: str
    authors: tuple[str, ...]
    year: int
    arxiv: str = ""  # its number; empty: not known
    title: str = ""  # empty: not known
    more_authors: bool = False  # whether there are others whose names are not known here
    note: str = ""

    @property
    def bibtex(self) -> str:
        """The entry, in ASCII."""
        names = [*self.authors, *(["others"] if self.more_authors else [])]
        fields = {
            "author": " and ".join(f"{{{name}}}" if " " in name else name for name in names),
            "title": f"{{{self.title}}}" if self.title else "",
            "year": str(self.year),
            "eprint": self.arxiv,
            "archivePrefix": "arXiv" if self.arxiv else "",
            "url": f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else "",
            "note": ". ".join(filter(None, (self.note, "" if self.title else "Title to be completed from the source"))),
        }
        body = ",\n".join(f"  {name:13} = {{{value}}}" for name, value in fields.items() if value)
        return f"@misc{{{self.key},\n{body}\n}}"


_XIE = Source(
    "xie2024optimization",
    ("Xie", "Ding", "Yan", "Toh", "Wei"),
    2024,
    "2409.04777",
    "Optimization Hyper-parameter Laws for Large Language Models",
    note="The stochastic differential equation that this curve law starts from; the law itself is Opt-Laws' own",
)
_HOFFMANN = Source("hoffmann2022", ("Hoffmann",), 2022, "2203.15556", more_authors=True)
_BESIROGLU = Source("besiroglu2024", ("Besiroglu",), 2024, "2404.10102", more_authors=True)
_DEFAZIO = Source("defazio2023", ("Defazio",), 2023, "2310.07831", more_authors=True, note="Theorem 10")

SOURCES: dict[str, tuple[Source, ...]] = {
    "opt_laws_curve": (_XIE,),
    "opt_laws_sublinear": (_XIE,),
    "multi_power": (
        Source(
            "luo2025multipower",
            ("Luo",),
            2025,
            "2503.12811",
            "A Multi-Power Law for Loss Curve Prediction Across Learning Rate Schedules",
            more_authors=True,
        ),
    ),
    "functional": (
        Source(
            "li2025functional",
            ("Li",),
            2025,
            "2509.19189",
            "Functional Scaling Laws in Kernel Regression",
            more_authors=True,
            note="Appendix B.2",
        ),
    ),
    "forcing_memory": (
        Source(
            "wang2026spectra",
            ("Wang", "Liu", "Chen"),
            2026,
            "2609.40148",
            "From Spectra to Joint Schedules in LLM Pre-training",
        ),
    ),
    "annealing": (
        Source(
            "tissue2024annealing",
            ("Tissue", "Wang", "Wang"),
            2024,
            "2408.11029",
            "Scaling Law with Learning Rate Annealing",
        ),
    ),
    "scaling_collapse": (
        Source(
            "qiu2025collapse",
            ("Qiu",),
            2025,
            "2507.02119",
            "Scaling Collapse Reveals Universal Dynamics in Compute-Optimally Trained Neural Networks",
            more_authors=True,
        ),
    ),
    "forward_momentum": (
        Source("wang2026momentum", ("Wang",), 2026, "2512.13705", more_authors=True, note="The forward-momentum law"),
    ),
    "noisy_quadratic": (
        Source(
            "zhang2019batch",
            ("Zhang",),
            2019,
            title="Which Algorithmic Choices Matter at Which Batch Sizes?",
            more_authors=True,
            note="The noisy quadratic model; its spectrum is fitted by non-negative least squares here",
        ),
    ),
    "convex_bound": (
        Source(
            "schaipp2025agreement",
            ("Schaipp",),
            2025,
            "2501.18965",
            "The Surprising Agreement Between Convex Optimization Theory and Learning-Rate Scheduling",
            more_authors=True,
        ),
        _DEFAZIO,
    ),
    "convex_dominance": (
        Source("bu2026convex", ("Bu", "Xu", "Mao"), 2026, "2602.07145", "Convex Dominance in Deep Learning I"),
    ),
    "chinchilla": (_HOFFMANN, _BESIROGLU),
    "power_law": (
        Source("hestness2017", ("Hestness",), 2017, "1712.00409", more_authors=True, note="Power-law learning curves"),
    ),
}


def sources(laws: Iterable[str]) -> tuple[Source, ...]:
    """The sources of laws by name, each once. Raises `OptLawsError` for a law without any."""
    found: dict[str, Source] = {}
    for law in laws:
        if law not in SOURCES:
            raise OptLawsError(f"No source is known for the law {law!r:.60}.")
        found |= {source.key: source for source in SOURCES[law]}
    return tuple(found.values())


def bibtex(laws: Iterable[str]) -> str:
    """BibTeX entries of the sources of laws, by name."""
    return "\n\n".join(source.bibtex for source in sources(laws)) + "\n"


def bibtex_of(models: Iterable[Model]) -> str:
    """The same of the laws that models predict by."""
    return bibtex(dict.fromkeys(fit.law for model in models for fit, weight in model.parts if weight > 0))


__all__ = ["SOURCES", "Source", "bibtex", "bibtex_of", "sources"]
