"""The library's face: what can be imported from `intervene`, and what that brings along."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import intervene
from intervene import (
    Arm,
    ArrayRows,
    Direction,
    InterveneError,
    make_toy,
    materialise,
    rewrite,
    scan,
)


def list_modules(code: str) -> set[str]:
    script = (
        f"import json, sys\n{code}\nprint(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_every_name_is_there_and_none_brings_torch_or_hydra() -> None:
    loaded = list_modules("import intervene\nfor n in intervene.__all__: getattr(intervene, n)")
    assert not loaded & {"torch", "transformers", "lm_eval", "hydra", "omegaconf"}


def test_a_stage_that_imports_the_face_loads_no_tables() -> None:
    assert not list_modules("import intervene") & {"pandas", "matplotlib"}


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'swop'"):
        intervene.swop  # noqa: B018


@pytest.fixture(scope="module")
def toy() -> Any:
    return make_toy(40, 65)


def test_scan_and_materialise_do_what_rewrite_does(toy: Any) -> None:
    rows, tokenizer = toy
    arm = Arm(Direction.swap, rate=0.5)
    log = scan(rows, tokenizer=tokenizer)
    rewritten, edits = rewrite(rows, tokenizer=tokenizer, arm=arm)
    assert np.array_equal(materialise(rows, log, arm), rewritten)
    assert len(edits) == log.select(arm).sum() > 0
    assert np.array_equal(ArrayRows(rewritten).read(0, 40), rewritten)


def test_a_log_of_pronouns_leads_to_no_neutral_forms(toy: Any) -> None:
    rows, tokenizer = toy
    log = scan(rows, tokenizer=tokenizer)
    with pytest.raises(InterveneError, match="the scan is not for neutral"):
        materialise(rows, log, Arm(Direction.neutral))
