"""DeepSpeed: the JSON that its configuration is."""

import json

from optlaws_core import parse
from optlaws_core.exports import export
from tests.knowledge.trainers import NAMED


def test_deepspeed_takes_its_scheduler_from_what_is_exported():
    config = json.loads(export(parse(NAMED["linear"]), "deepspeed").text)
    assert set(config) == {"_comment", "scheduler", "_check"} and set(config["scheduler"]) == {"type", "params"}
