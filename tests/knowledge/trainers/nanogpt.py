"""nanoGPT: a file with the function `get_lr`."""

from tests.support.schedulers import executed

EXPRESSED = ("cosine", "jump")


def twin(text: str, peak: float, total: int) -> list[float]:
    return list(map(executed(text)["get_lr"], range(total)))
