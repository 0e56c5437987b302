"""The sliding window by itself."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.simulator.state.quota import Quota, peak

ARRIVALS = st.lists(st.integers(min_value=0, max_value=5000), max_size=60)


@given(arrivals=ARRIVALS, limit=st.integers(min_value=1, max_value=7))
def test_no_second_holds_more_than_the_limit(arrivals: list[int], limit: int) -> None:
    """In any order of calls, accepted requests never exceed the limit in any 1.000 s."""
    quota = Quota({"api": limit})

    accepted = [at / 1024 for at in arrivals if quota.admit("api", "m", at / 1024)]

    assert peak(accepted) <= limit


@given(arrivals=ARRIVALS, limit=st.integers(min_value=1, max_value=7))
def test_nothing_is_refused_that_fits(arrivals: list[int], limit: int) -> None:
    """A request is refused only if it would exceed the limit in some second."""
    quota = Quota({"api": limit})
    accepted: list[float] = []
    for at in (arrival / 1024 for arrival in arrivals):
        if quota.admit("api", "m", at):
            accepted.append(at)
        else:
            assert peak([*accepted, at]) > limit


def test_a_quota_is_kept_for_each_api_and_merchant() -> None:
    """Merchants and APIs have separate quotas, and an API without a limit accepts everything."""
    quota = Quota({"points": 1})

    calls = [("points", "m"), ("points", "n"), ("points", "m"), ("orders", "m"), ("orders", "m")]

    assert [quota.admit(api, merchant, 0.0) for api, merchant in calls] == [True, True, False, True, True]


def test_a_second_is_half_open() -> None:
    """Two arrivals exactly one second apart don't share a window; nearer ones do."""
    assert (peak([0.0, 1.0]), peak([0.0, 0.999]), peak([])) == (1, 2, 0)
