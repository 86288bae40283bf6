"""Runs of the real Trainers of transformers and Lightning, recorded, resumed from a checkpoint, and read back."""

import json
import warnings

import numpy as np
import pytest
import torch

from optlaws_core.readers import read
from optlaws_core.schedules import parse
from optlaws_core.torch import Recorder, ScheduleLR
from tests.support.schedulers import installed

pytestmark = pytest.mark.slow
TOTAL = 24
TEXT = f"wsd(peak=1e-2, warmup=4, total={TOTAL}, decay=8, shape=linear)"
RATES = parse(TEXT)(np.arange(TOTAL)).tolist()
VALIDATED = [5, 11, 17, 23]


@pytest.fixture(autouse=True)
def _warnings_of_the_libraries_are_theirs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def linear() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Linear(4, 1)


def data() -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    return inputs, inputs.sum(1, keepdim=True) + 2


def driven(model: torch.nn.Module) -> tuple[torch.optim.Optimizer, ScheduleLR]:
    optimizer = torch.optim.AdamW(model.parameters())
    return optimizer, ScheduleLR(optimizer, TEXT)


def check(folder, batch_tokens=None):
    """The whole run stands in the log, each step once, with the rates that its updates used."""
    reading = read(folder / "run.jsonl", folder / "run.manifest.csv")
    (run,) = reading.runs
    assert not reading.errors and not any(report.questions for report in reading.files)
    rows = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    trained = [row for row in rows if "loss" in row]
    assert [row["step"] for row in trained] == [*range(TOTAL)] and [row["lr"] for row in trained] == RATES
    assert parse(TEXT).text in (folder / "run.manifest.csv").read_text()
    assert (run.plan.schedule, run.plan.params, run.plan.batch_tokens) == (parse(TEXT), 5, batch_tokens)
    return run


@pytest.fixture(scope="module")
def transformers():
    return installed("transformers")


def test_the_trainer_of_transformers(transformers, tmp_path):
    from optlaws_core.torch import TransformersCallback

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = linear()

        def forward(self, x, labels):
            return {"loss": torch.nn.functional.mse_loss(self.inner(x), labels)}

    class Stop(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.global_step == 14

    rows = [{"x": x, "labels": y} for x, y in zip(*data(), strict=True)]
    arguments = transformers.TrainingArguments(
        str(tmp_path / "out"),
        max_steps=TOTAL,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=2,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=6,
        save_steps=12,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        label_names=["labels"],
    )

    def train(*others, **how):
        model = Model()
        recorder = Recorder(tmp_path / "run.jsonl", batch_tokens=1024)
        trainer = transformers.Trainer(
            model,
            arguments,
            train_dataset=rows,
            eval_dataset=rows[:16],
            optimizers=driven(model),
            callbacks=[TransformersCallback(recorder), *others],
        )
        trainer.train(**how)
        return [row["loss"] for row in trainer.state.log_history if "loss" in row]

    train(Stop())
    losses = train(resume_from_checkpoint=True)
    run = check(tmp_path, batch_tokens=1024)
    assert run.loss.tolist() == losses and run.series["eval"].steps.tolist() == VALIDATED


def test_the_trainer_of_lightning(tmp_path):
    lightning = installed("lightning")
    from optlaws_core.torch import LightningCallback

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.inner, self.losses = linear(), []

        def training_step(self, batch):
            loss = torch.nn.functional.mse_loss(self.inner(batch[0]), batch[1])
            self.losses.append(loss.item())
            return loss

        def validation_step(self, batch):
            self.log("val_loss", torch.nn.functional.mse_loss(self.inner(batch[0]), batch[1]))
            self.log("val_accuracy", 0.5)

        def configure_optimizers(self):
            optimizer, scheduler = driven(self)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def train(updates, **how):
        module = Module()
        trainer = lightning.Trainer(
            max_steps=updates,
            accelerator="cpu",
            accumulate_grad_batches=2,
            check_val_every_n_epoch=None,
            val_check_interval=12,
            logger=False,
            callbacks=[LightningCallback(Recorder(tmp_path / "run.jsonl"))],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=str(tmp_path),
        )
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data()), batch_size=8)
        trainer.fit(module, loader, loader, **how)
        return trainer, module.losses

    trainer, first = train(12)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    train(14)
    _, second = train(TOTAL, ckpt_path=str(tmp_path / "a.ckpt"))
    run = check(tmp_path)
    assert run.loss == pytest.approx(np.reshape(first + second, (-1, 2)).mean(1), rel=1e-6)
    assert run.series["val"].steps.tolist() == VALIDATED and set(run.series) == {"train", "val"}


def test_an_update_that_accumulates_fewer_batches_has_their_mean(tmp_path):
    lightning = installed("lightning")
    from optlaws_core.torch import LightningCallback

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.inner = linear()

        def training_step(self, batch):
            return 0 * self.inner(batch[0]).sum() + 2

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=1e-3)

    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        accumulate_grad_batches=4,
        logger=False,
        callbacks=[LightningCallback(Recorder(tmp_path / "run.jsonl"))],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(tmp_path),
    )
    trainer.fit(Module(), torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data()[0][:10]), batch_size=1))
    assert losses_in(tmp_path) == dict.fromkeys(range(6), 2.0)


def losses_in(folder) -> dict[int, float]:
    return {(row := json.loads(line))["step"]: row["loss"] for line in (folder / "run.jsonl").read_text().splitlines()}


def test_the_last_update_is_in_the_log_also_between_two_logs_of_transformers(transformers, tmp_path):
    from optlaws_core.torch import TransformersCallback

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = linear()

        def forward(self, x, labels):
            return {"loss": torch.nn.functional.mse_loss(self.inner(x), labels)}

    arguments = transformers.TrainingArguments(
        str(tmp_path / "out"),
        max_steps=13,
        logging_steps=5,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    rows = [{"x": x, "labels": y} for x, y in zip(*data(), strict=True)]
    recorder = Recorder(tmp_path / "run.jsonl")
    transformers.Trainer(Model(), arguments, train_dataset=rows, callbacks=[TransformersCallback(recorder)]).train()
    assert [*losses_in(tmp_path)] == [4, 9, 12]
