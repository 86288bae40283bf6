"""Names of files of exports: two schedules that differ are told apart, and the words say how."""

import pytest

from optlaws_core import parse
from optlaws_core.exports import export
from optlaws_core.exports.file_names import file_name
from tests.knowledge.twins import shipped

BASE = "peak=3e-4, warmup=2160, total=72000"


def named(text: str, target: str = "megatron") -> str:
    schedule = parse(text)
    return file_name(schedule, export(schedule, target))


def test_the_name_says_peak_length_cooldown_and_shape():
    assert named(f"wsd({BASE}, decay=20%)") == "wsd_peak-3e-4_warmup-2160_72000-updates_decay-20pct_megatron.sh"
    assert named(f"wsd({BASE}, decay=20%, shape=1-sqrt)").endswith("_decay-20pct_1-sqrt_megatron.sh")
    assert named(f"cosine({BASE}, final=3e-5)", "pytorch").endswith("_final-3e-5_pytorch.py")


def test_lists_that_differ_have_names_that_differ():
    steps = [named(f"step({BASE}, boundaries=[{at}], values=[3e-5])", "csv") for at in (50_000, 60_000)]
    assert steps[0] != steps[1]


@pytest.mark.parametrize("text", shipped(50, 1000))
def test_a_name_is_one_of_a_file_everywhere(text):
    name = named(text, "csv")
    assert name.isascii() and len(name) <= 200 and not set(name) & set('/\\:*?"<>| ')
