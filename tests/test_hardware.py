"""Named hardware: a kind of machine that leaves nothing open, or this one."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from intervene.errors import InterveneError
from intervene.hardware import Hardware
from intervene.memory import read_free
from intervene.training.network.throughput import find_peak
from pipelines.planning.node import CPU, HERE, Node, find_node
from tests.test_conf import CONF, compose_experiment

H100 = Hardware("h100", gpu="H100", gpus=8, memory=79, mfu=0.4)
GIB = 2**30


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"mfu": 0}, "hardware.mfu: need a share in (0, 1], got 0"),
        ({"mfu": 1.1}, "hardware.mfu: need a share in (0, 1], got 1.1"),
        ({"gpus": -1}, "hardware.gpus: need 0 or more, got -1"),
        ({"memory": 0}, "hardware.memory: need more than 0 GiB, got 0"),
        ({"memory": None}, "hardware.memory: the memory of another machine is not known"),
        ({"gpu": None}, "hardware=h100: 8 GPUs, and hardware.gpu=None"),
        ({"gpus": 0}, "hardware=h100: no GPUs, and hardware.gpu=H100"),
        ({"gpus": None}, "hardware=h100: no GPUs, and hardware.gpu=H100"),
        ({"tokens_per_s": {"a": 0.0}}, "hardware.tokens_per_s.a: need more than 0 tokens/s"),
    ],
)
def test_a_mistake_is_named_with_its_key(change: dict[str, Any], line: str) -> None:
    with pytest.raises(InterveneError) as raised:
        replace(H100, **change)
    assert str(raised.value).startswith(line)


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("hardware/*.yaml")))
def test_every_gpu_that_has_a_preset_has_a_known_peak(name: str) -> None:
    hardware = compose_experiment(f"hardware={name}").hardware
    assert hardware is not None
    assert hardware.name == name
    assert hardware.gpu is None or find_peak(hardware.gpu)


def test_a_preset_is_the_machine_that_it_names() -> None:
    assert find_node(H100) == Node("H100", 8, 79 * GIB)
    cpus = Hardware("cpus", gpu=None, gpus=0, memory=1.5, mfu=0.4)
    assert find_node(cpus) == Node(CPU, 0, 3 * GIB // 2)


def test_where_no_hardware_is_named_this_machine_is_meant() -> None:
    assert compose_experiment("hardware=here").hardware == HERE


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_here_is_what_this_machine_has_free() -> None:
    node = find_node(HERE)
    assert (node.device, node.gpus) == (CPU, 0)
    assert node.memory == pytest.approx(read_free(), rel=0.2)
    assert find_node(replace(HERE, memory=2)).memory == 2 * GIB
