"""Blocks of rows: the pieces in which a scan or a corpus is written, resumed and shared out."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from intervene.console import Progress
from intervene.sources.rows import TOKEN_BYTES

BLOCK_BYTES = 32 << 20
"""Tokens of a block; a scan records its own grid, so that this may change."""


@dataclass(frozen=True)
class Block:
    """Consecutive rows with a number that depends on nothing but the grid.

    Args:
        number: the block's place among those of the whole corpus, from row 0.
        rows: its training rows, as far as they are asked for.
    """

    number: int
    rows: range

    @property
    def name(self) -> str:
        """The number with five digits, for files."""
        return f"{self.number:05d}"


def count_rows(row_tokens: int) -> int:
    """Rows per block of today's grid."""
    return max(1, BLOCK_BYTES // (row_tokens * TOKEN_BYTES))


def cut_blocks(span: range, rows_per_block: int) -> list[Block]:
    """The blocks that the rows of `span` lie in, in order."""
    numbers = range(span.start // rows_per_block, -(-span.stop // rows_per_block))
    return [
        Block(
            number,
            range(
                max(span.start, number * rows_per_block),
                min(span.stop, (number + 1) * rows_per_block),
            ),
        )
        for number in numbers
    ]


def take_shard(blocks: list[Block], place: int, count: int) -> list[Block]:
    """The blocks of shard `place` of `count`: contiguous, all shards together are all blocks."""
    return blocks[len(blocks) * place // count : len(blocks) * (place + 1) // count]


def work_blocks(
    label: str,
    blocks: list[Block],
    is_done: Callable[[Block], bool],
    work: Callable[[Block], None],
    workers: int,
    follow: Callable[[Block], None] = lambda block: None,
    unit: str = "rows",
) -> None:
    """Work off in threads the blocks that are not done.

    Args:
        label: what is going on, for the progress line.
        blocks: all that this process is to see done.
        is_done: whether a block was done before.
        work: does one block.
        workers: how many threads.
        follow: called in this thread with every block once it is done, in any order.
        unit: what their rows are called on the progress line.
    """
    rows = sum(len(block.rows) for block in blocks)
    done = [block for block in blocks if is_done(block)]
    known = sum(len(block.rows) for block in done)
    left = {block.number for block in blocks} - {block.number for block in done}
    with Progress(label, rows, unit, known) as progress, ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(work, block): block for block in blocks if block.number in left}
        try:
            for block in done:
                follow(block)
            for future in as_completed(futures):
                future.result()
                follow(futures[future])
                progress.advance(len(futures[future].rows))
        finally:
            pool.shutdown(cancel_futures=True)


def show_blocks(names: list[str]) -> str:
    """Names of blocks on one line: how many, and the first and last."""
    if len(names) == 1:
        return f"block {names[0]} is"
    return f"{len(names):,} blocks ({names[0]} … {names[-1]}) are"
