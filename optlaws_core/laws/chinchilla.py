"""The law of model size and data. Blind to the learning rate: a baseline, and a way to put sizes side by side."""

from .base import Law, Param, params, tokens

PARAMS = (
    Param("E", "E", "loss of an endless model on endless data", 0.0, 20.0),
    Param("A", "A", "size of the part that a larger model removes", -1e5, 1e5, needs="params", neutral=0.0),
    Param("a", "a", "how fast the loss falls with the model size", 0.01, 3.0, "log", "params", 0.34),
    Param("B", "B", "size of the part that more data removes", 1e-4, 1e9, "log"),
    Param("b", "b", "how fast the loss falls with the tokens seen", 0.01, 3.0, "log"),
)
_E, _A, _a, _B, _b = (p.symbol for p in PARAMS)

CHINCHILLA = Law(
    name="chinchilla",
    title="Chinchilla",
    summary="Model size and tokens alone; a baseline that no schedule changes. Needs the batch size of every run.",
    reference="Hoffmann et al. 2022, arXiv:2203.15556; refitted by Besiroglu et al. 2024, arXiv:2404.10102",
    formula=_E + _A * params ** (-_a) + _B * tokens ** (-_b),
    params=PARAMS,
    starts=tuple({"a": 0.34, "b": b} for b in (0.15, 0.28, 0.5, 0.9)),
    published={
        "Hoffmann": dict(E=1.6934, A=406.4, a=0.3392, B=410.7, b=0.2849),
        "Besiroglu": dict(E=1.8172, A=482.01, a=0.3478, B=2085.43, b=0.3658),
    },
)
