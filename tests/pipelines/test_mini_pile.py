"""Real rows in Pythia's own layout, the published architectures, the real benchmarks."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from intervene.arm import Direction
from intervene.experiment import Guards
from intervene.lineage import Store
from intervene.rewriting.find import swap_text
from intervene.sources.backend import open_rows
from tests.pipelines.test_stage import run_stage

pytestmark = pytest.mark.slow


def list_overrides(shared: Path, neox_tokenizer: Path, model: str) -> list[str]:
    return [
        "data=local",
        f"data.path={shared / 'mini_pile' / 'preshuffled'}",
        f"data.tokenizer={neox_tokenizer}",
        "data.rows_per_step=2",
        "data.stretch.start=1534",
        "data.stretch.stop=1536",
        f"model={model}",
        "model.checkpoint=random",
        "trainer=smoke",
        "trainer.micro_batch=1",
        "guards=none",
        f"evaluation.data={shared}",
        "evaluation.tasks=[winobias_pair_type1,crows_pairs_english_gender]",
    ]


@pytest.mark.parametrize("model", ["pythia-14m", "pythia-70m"])
def test_real_rows_run_through_every_stage(
    shared: Path, neox_tokenizer: Path, tmp_path: Path, model: str
) -> None:
    overrides = list_overrides(shared, neox_tokenizer, model)
    done = run_stage("intervene", *overrides, store=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "intervene" / "comparison" / "report" / "index.html").exists()
    store = Store(tmp_path / "store")
    counts = [a.facts["tasks"] for a in store.artefacts("readings")]
    assert len(counts) == 3
    assert counts[0]["crows_pairs_english_gender"]["n"] == 320
    assert counts[0]["winobias_pair_type1"]["n"] > 380
    corpora = {a.manifest["params"]["rate"]: a.path / "rows.bin" for a in store.artefacts("corpus")}
    rows = {rate: open_rows(path, 2049).read(0, 4) for rate, path in corpora.items()}
    source = open_rows(shared / "mini_pile" / "preshuffled", 2049).read(3068, 3072)
    assert (rows[0.0] == source).all()
    decode = Tokenizer.from_file(str(neox_tokenizer)).decode
    none = Guards.none()
    for before, after in zip(source, rows[1.0], strict=True):
        # Row edges and changed lengths are skipped and counted, so compare the inside.
        ours = decode(after[8:-8].tolist(), skip_special_tokens=False)
        text = decode(before[8:-8].tolist(), skip_special_tokens=False)
        assert ours == swap_text(text, Direction.feminise, none)
