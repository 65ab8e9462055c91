"""A rank that trains a module with GPT-NeoX's names under today's DeepSpeed and saves it.

`python -m tests.training.neox_run FOLDER PRECISION STAGE` writes `global_step3`.
"""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.training.neox_writer import HEADS, LAYERS, WIDTH, list_parameters

UPDATES = 3


class Network(nn.Module):
    """Parameters named and ordered as GPT-NeoX's; its loss only has to move all of them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        for name, shape, _ in list_parameters(newer=True):
            module: nn.Module = self
            *path, last = f"sequential.{name}".split(".")
            for part in path:
                if not hasattr(module, part):
                    module.add_module(part, nn.Module())
                module = getattr(module, part)
            module.register_parameter(last, nn.Parameter(torch.randn(shape)))

    def forward(self, shift: Tensor) -> Tensor:
        return sum(((p - shift.to(p.dtype)) ** 2).mean() for p in self.parameters())


def main() -> None:
    import deepspeed

    from intervene.training.engine import join_ranks

    folder, precision, stage = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    torch.set_num_threads(1)
    join_ranks()
    network = Network()
    named = list(network.named_parameters())
    plain = [p for n, p in named if "norm" in n or n.endswith("bias")]
    decayed = [p for n, p in named if not ("norm" in n or n.endswith("bias"))]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "zero_optimization": {"stage": stage},
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 1 << 40,
    }
    if precision == "bf16":
        config |= {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
    adam = torch.optim.AdamW(groups, lr=1e-2, fused=True)
    engine, *_ = deepspeed.initialize(model=network, optimizer=adam, config=config)
    for update in range(UPDATES):
        engine.backward(engine(torch.tensor(0.1 * update + float(os.environ["RANK"]))))
        engine.step()
    sizes = {"num_layers": LAYERS, "hidden_size": WIDTH, "num_attention_heads": HEADS}
    header = {"iteration": UPDATES, "args": sizes}
    engine.save_checkpoint(str(folder), tag=f"global_step{UPDATES}", client_state=header)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
