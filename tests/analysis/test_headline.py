from intervene.analysis.headline import NOTHING, write_headline
from tests.analysis.planted import find


def test_a_swap_that_did_not_arrive_is_the_first_thing_said(bench):
    """The gender prior falls although the swap is to the feminine."""
    bench.write_trial(rates=(1.0,), shift=-1.0, fall=0.6)
    check, _, doubt = write_headline(find(bench))
    assert check == (
        "Manipulation: the check fails in 1 of 1 arm (rate 1 in tiny), of which nothing can be "
        "concluded."
    )
    assert "arms that fail the manipulation check show nothing of the swap" in doubt


def test_an_association_that_turned_round_is_no_less_bias(bench):
    bench.write_trial(rates=(1.0,), fall=2.4)
    _, endpoint, doubt = write_headline(find(bench))
    assert "fell in 1 of 1 arm after Holm's correction" in endpoint
    assert "in 1 arm the association is reversed, which is not less bias" in doubt


def test_a_null_is_told_with_what_would_have_been_seen(bench):
    bench.write_trial(fall=0.0)
    _, endpoint, _ = write_headline(find(bench))
    assert endpoint.startswith("Association (WinoBias pairs): no change was established in 2 of 2")
    assert "smallest detectable 0." in endpoint


def test_a_rise_is_no_fall(bench):
    bench.write_trial(rates=(1.0,), fall=-0.8)
    _, endpoint, _ = write_headline(find(bench))
    assert "rose in 1 of 1 arm after Holm's correction, most by 0." in endpoint
    assert "fell" not in endpoint


def test_seeds_are_told_by_their_spread(bench):
    bench.write(bench.items())
    for seed in (0, 1):
        items = bench.items(salt=seed + 1, prior=0.4, association=0.6 + 0.1 * seed)
        bench.write(items, rate=1.0, seed=seed, arm=f"feminise-r1-document-s{seed}")
    assert "seeds differ by 0." in write_headline(find(bench))[2]


def test_without_a_contrast_there_is_one_sentence(bench):
    bench.write(bench.items())
    assert write_headline(find(bench)) == [NOTHING]
