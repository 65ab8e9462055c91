"""One rank's model under DeepSpeed: it takes steps, and saves and restores what it learned."""

import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deepspeed
import torch
from deepspeed.runtime import compiler
from deepspeed.utils import safe_get_full_fp32_param, safe_set_full_fp32_param
from torch import Tensor, distributed
from transformers import GPTNeoXConfig

from intervene.errors import InterveneError
from intervene.experiment import Kernels, Precision, Trainer
from intervene.training.kernels import build_adam, compile_network, record_kernels
from intervene.training.network import load_network, token_loss, write_weights
from intervene.training.pythia import group_parameters

LATEST = "latest"


def join_ranks() -> None:
    """Join the process group that RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT describe."""
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if backend == "gloo":
        # DeepSpeed would compile a shared-memory collective for minutes; gloo does without.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    else:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    import_muon()
    deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)


def import_muon() -> None:
    """Import Muon, which DeepSpeed does at each run's start, without compiling what is not used.

    Its decorators would load all of torch.compile: four seconds of a start-up of nine.
    """
    compile_function = compiler.compile
    compiler.compile = lambda: lambda function: function
    importlib.import_module("deepspeed.runtime.zero.muon.muon_optimizer")
    compiler.compile = compile_function


class Engine:
    """A GPT-NeoX model, its optimiser and DeepSpeed's engine around both.

    Args:
        weights: folder in Hugging Face format.
        trainer, kernels: how it is trained.
        rows_per_step: rows of a step over all ranks.
        universal: whether universal files will be loaded, rather than a state of its own.
    """

    def __init__(
        self,
        weights: Path,
        trainer: Trainer,
        kernels: Kernels,
        rows_per_step: int,
        *,
        universal: bool = False,
    ) -> None:
        network = load_network(weights, kernels)
        compile_network(network, kernels)
        # DeepSpeed rounds the network to bf16 in new storage and takes its masters from that; these
        # still name the old.
        masters = {name: p.detach() for name, p in network.named_parameters()}
        adam = build_adam(group_parameters(network, trainer.weight_decay), trainer, kernels)
        self.kernels = record_kernels(network, adam)
        self.config: GPTNeoXConfig = network.config
        config = configure_deepspeed(trainer, rows_per_step)
        if universal:
            config["checkpoint"] = {"load_universal": True}
        self._engine, *_ = deepspeed.initialize(model=network, optimizer=adam, config=config)
        if trainer.precision is not Precision.fp32:
            for name, parameter in self._parameters():
                safe_set_full_fp32_param(parameter, masters[name].to(self.device))

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        device: torch.device = torch.device(self._engine.device)
        return device

    def step(self, batches: list[tuple[Tensor, Tensor]], lr: float) -> tuple[float, float]:
        """One update from this rank's micro-batches (inputs_BT, targets_BT).

        Returns:
            The mean loss over all ranks' targets before the update, in nats per token, and the
            norm of the averaged gradient before clipping.
        """
        for group in self._engine.optimizer.param_groups:
            group["lr"] = lr
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for inputs_BT, targets_BT in batches:
            logits_BTV = self._engine(input_ids=inputs_BT.to(self.device), use_cache=False).logits
            loss = token_loss(logits_BTV, targets_BT.to(self.device))
            self._engine.backward(loss)
            self._engine.step()
            total += loss.detach()
        distributed.all_reduce(total)
        world = distributed.get_world_size()
        return float(total) / (len(batches) * world), float(self._engine.get_global_grad_norm())

    def save_weights(self, folder: Path) -> None:
        """Save the fp32 master weights in Hugging Face format, whole or not at all."""
        weights = {}
        for name, parameter in self._parameters():
            master = safe_get_full_fp32_param(parameter)
            if distributed.get_rank() == 0:
                weights[name] = master.detach().to("cpu", torch.float32, copy=True).contiguous()
        if distributed.get_rank() == 0:
            part = folder.with_name(f".{folder.name}.part")
            for old in (part, folder):  # the second was left by a run killed before its state
                shutil.rmtree(old, ignore_errors=True)
            write_weights(part, self.config, weights)
            part.rename(folder)
        distributed.barrier()

    def save_state(self, folder: Path, step: int) -> None:
        """Save what a resume needs as `step{N}` of `folder`; `latest` names it last of all."""
        tag = f"step{step}"
        if distributed.get_rank() == 0:  # a save that was killed, or a later one's leftovers
            shutil.rmtree(folder / tag, ignore_errors=True)
        distributed.barrier()
        self._engine.save_checkpoint(str(folder), tag=tag, save_latest=False)
        distributed.barrier()
        if distributed.get_rank() == 0:
            part = folder / f".{LATEST}.part"
            part.write_text(tag)
            part.replace(folder / LATEST)
            for old in folder.glob("step*"):
                if old.name != tag:
                    shutil.rmtree(old)
            for script in folder.glob("*.py"):  # DeepSpeed's converters, copied with each save
                script.unlink()
        distributed.barrier()

    def load_state(self, folder: Path) -> None:
        """Restore master weights and Adam's moments bit for bit.

        Errors: InterveneError for a state of another number of processes.
        """
        tag = (folder / LATEST).read_text().strip()
        world = len(list((folder / tag).glob("*_optim_states.pt")))
        if world != distributed.get_world_size():
            raise InterveneError(
                f"the optimizer state in {folder} is of {world} rank{'s' * (world > 1)}, "
                f"this run has {distributed.get_world_size()}",
                "trainer.processes",
                f"set trainer.processes={world}, or trainer.optimizer_state=cold",
            )
        self._engine.load_checkpoint(str(folder), tag=tag, load_lr_scheduler_states=False)

    def load_universal(self, folder: Path) -> None:
        """Restore master weights, Adam's moments and its counter from universal files."""
        self._engine.load_checkpoint(str(folder), load_lr_scheduler_states=False)

    def _parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        named: Iterator[tuple[str, torch.nn.Parameter]] = self._engine.module.named_parameters()
        return named


def configure_deepspeed(trainer: Trainer, rows_per_step: int) -> dict[str, Any]:
    """DeepSpeed's own config: ZeRO, clipping, precision; it accumulates gradients in fp32."""
    config: dict[str, Any] = {
        "train_batch_size": rows_per_step,
        "train_micro_batch_size_per_gpu": trainer.micro_batch,
        "gradient_clipping": trainer.clip,
        "zero_optimization": {"stage": trainer.zero_stage},
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 1 << 40,
    }
    if trainer.precision is Precision.bf16:
        config |= {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
    return config
