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


def test_plans_with_other_names_of_texts_have_files_of_other_names_that_begin_with_the_rate():
    rate = f"wsd({BASE}, decay=20%)"
    more = [f"text={text}" for text in ("a+b", "a/b", "a b", "a-b", 60 * "文", 59 * "文" + "语", 60 * "a")]
    names = [named(f"rate={rate}; {part}", "pytorch") for part in more]
    assert len(set(names)) == len(more)
    assert names[3] == "wsd_peak-3e-4_warmup-2160_72000-updates_decay-20pct_text-a-b_pytorch.py"
    assert all(name.startswith("wsd_peak-3e-4_warmup-2160_72000-updates_decay-20pct_") for name in names)
    assert all(len(name.encode()) <= 200 for name in names)


def test_a_name_that_is_cut_still_tells_what_was_cut_and_a_share_that_is_rounded_is_not_said():
    long = f"rate=wsd({BASE}, decay=20%); weight_decay=0.1; sequence=4096; text={54 * 'a'}"
    assert named(f"{long} one", "pytorch") != named(f"{long} two", "pytorch")
    assert named(f"wsd({BASE}, decay=14400)") != named(f"wsd({BASE}, decay=14401)")


@pytest.mark.parametrize("text", shipped(50, 1000))
def test_a_name_is_one_of_a_file_everywhere(text):
    name = named(text, "csv")
    assert name.isascii() and len(name) <= 200 and not set(name) & set('/\\:*?"<>| ')
