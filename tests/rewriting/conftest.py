"""The tokenizers that the rewriting is tested with: GPT-NeoX's, and small ones trained here."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from intervene.rewriting.lexicon import Lexicon, Target
from intervene.rewriting.tokens import TokenTable, tabulate, tabulate_tokenizer

SENTENCES = (
    "The potter fired her kiln before dawn and he brought her the glaze.",
    "She said that his boat was older than hers, and he laughed at himself.",
    "He waited by the gate; she had told him to bring the ladder with him.",
    "Nobody asked the surveyor why she drew the map herself.",
    "A clerk kept his papers in the drawer, and the letters there were his.",
    "When they met, the baker's cart stood by the theatre, which he had sold her.",
)


def train_tokenizer(size: int, normalizer: normalizers.Normalizer | None = None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizer or normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


@pytest.fixture(scope="session")
def small_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "tokenizer.json"
    train_tokenizer(340).save(str(path))
    return path


@pytest.fixture(scope="session")
def small(small_path: Path) -> TokenTable:
    """A vocabulary in which many pronouns take several tokens."""
    return tabulate(small_path)


@pytest.fixture(scope="session")
def bytes_only() -> TokenTable:
    """A vocabulary of single bytes."""
    return tabulate_tokenizer(train_tokenizer(257), "bytes")


@pytest.fixture(scope="session")
def folding() -> TokenTable:
    """A vocabulary behind NFKC, which folds ligatures and widths; a text begins with a space."""
    tokenizer = train_tokenizer(340, normalizers.NFKC())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tabulate_tokenizer(tokenizer, "folding")


@pytest.fixture(scope="session")
def neox(neox_tokenizer: Path) -> TokenTable:
    return tabulate(neox_tokenizer)


@pytest.fixture(scope="session")
def neox_neutral(neox_tokenizer: Path) -> TokenTable:
    """GPT-NeoX's vocabulary where every pronoun gives way to singular they."""
    return tabulate(neox_tokenizer, Lexicon.english(Target.neutral))
