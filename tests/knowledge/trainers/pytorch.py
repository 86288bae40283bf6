"""PyTorch: a file with the function `lr_at`, and a LambdaLR of it."""

from tests.support.schedulers import driven, executed, optimizer_of

EXPRESSED = ("cosine", "jump")


def twin(text: str, peak: float, total: int) -> list[float]:
    return list(map(executed(text)["lr_at"], range(total)))


def real(text: str, peak: float, total: int) -> list[float]:
    optimizer = optimizer_of(peak)
    return driven(executed(text)["scheduler_for"](optimizer), optimizer, total)
