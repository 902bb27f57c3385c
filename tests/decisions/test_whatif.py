import math

import numpy as np
import pytest
from decision_spans import chat, window

from wattspan import CallBatch, Estimator
from wattspan.config import Config
from wattspan.decisions import Change, WhatIf
from wattspan.decisions.regions import UnknownRegionError
from wattspan.decisions.whatif import UnknownModelError, WhatIfError

VIRGINIA = {"provider": "openai", "operation": "chat", "model": "gpt-4o", "span_region": "us-east-1"}


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator()


def compared(estimator: Estimator, change: Change, *batches: CallBatch) -> WhatIf:
    found = WhatIf(estimator, change)
    for calls in batches:
        found.add(calls, estimator.estimate(calls))
    return found


def calls(n: int = 1, **columns) -> CallBatch:
    return CallBatch.of(n, **{**VIRGINIA, "input_tokens": 1000, "output_tokens": 300, **columns})


def times(*spreads: float) -> float:
    """Upper end of a 90 % band / its centre, for independent errors."""
    return math.exp(1.64 * math.sqrt(math.fsum(math.log(g) ** 2 for g in spreads)))


def test_another_region_changes_the_place_and_nothing_else(estimator):
    """Virginia: PUE 1.15, 418 g/kWh; Paris: 1.11, 31. Facilities x1.25 each, zones x1.113 and x1.917."""
    found = compared(estimator, Change(region="eu-west-3"), calls(3))
    energy, carbon = found.energy_kwh.ratio, found.co2e_g.ratio
    assert energy.central == pytest.approx(1.11 / 1.15, rel=1e-12)
    assert carbon.central == pytest.approx(1.11 * 31 / (1.15 * 418), rel=1e-12)
    assert energy.high / energy.central == pytest.approx(times(1.25, 1.25), rel=1e-6)
    assert carbon.central / carbon.low == pytest.approx(times(1.25, 1.25, 1.113, 1.917), rel=1e-6)
    assert (found.calls, found.changed_calls, found.moved) == (3, 3, 3)
    one = estimator.estimate_call(model="gpt-4o", input_tokens=1000, output_tokens=300, region="us-east-1")
    assert found.energy_kwh.base == pytest.approx(
        (3 * one.energy_kwh, 3 * one.energy_kwh_low, 3 * one.energy_kwh_high), rel=1e-9
    )


def test_the_comparison_is_sharper_than_the_levels(estimator):
    found = compared(estimator, Change(region="eu-west-3"), calls())
    levels, ratio = found.energy_kwh, found.energy_kwh.ratio
    # method x1.6, facility x1.25, model x2.632 against the two facilities alone
    assert levels.base.high / levels.base.central == pytest.approx(times(1.6, 1.25, 2.632), rel=1e-3)
    assert levels.base.high / levels.base.central == pytest.approx(6.06, abs=0.01)
    assert ratio.high / ratio.central == pytest.approx(1.68, abs=0.01)


def test_another_model_keeps_the_place_and_its_own_error(estimator):
    """Without output only the models' errors differ: x2.632 each."""
    found = compared(estimator, Change(model="gpt-4o-mini"), calls(output_tokens=0))
    old, new = (
        estimator.estimate_call(model=name, input_tokens=1000, region="us-east-1", provider="openai")
        for name in ("gpt-4o", "gpt-4o-mini")
    )
    ratio = found.co2e_g.ratio
    assert ratio.central == pytest.approx(new.energy_kwh / old.energy_kwh, rel=1e-12)
    assert ratio.high / ratio.central == pytest.approx(times(2.632, 2.632), rel=1e-4)
    assert found.moved == 0


def test_with_everything_from_the_cache_a_prompt_costs_a_tenth(estimator):
    """The edition's 90 % range of a cached token is 0.02 to 0.35: x/÷ sqrt(17.5) = 4.1833."""
    found = compared(estimator, Change(cached_share=1.0), calls(output_tokens=0))
    assert found.energy_kwh.ratio == pytest.approx((0.1, 0.1 / 4.1833, 0.1 * 4.1833), rel=1e-5)


def test_a_cached_share_is_of_each_calls_input_and_writes_make_room(estimator):
    asked = []

    class Looking(Estimator):
        def estimate(self, calls):
            asked.append(calls)
            return super().estimate(calls)

    batch = calls(3, input_tokens=[1000, 10, 5], cache_read_tokens=[900, 0, 0], cache_write_tokens=[0, 10, 0])
    compared(Looking(), Change(cached_share=0.5), batch)
    assert asked[-1].cache_read_tokens.tolist() == [500, 5, 2]
    assert asked[-1].cache_write_tokens.tolist() == [0, 5, 0]
    assert asked[-1].input_tokens.tolist() == [1000, 10, 5]


def test_less_reasoning_takes_as_much_off_the_output(estimator):
    batch = calls(2, output_tokens=[1000, 300], reasoning_tokens=[600, 0])
    found = compared(estimator, Change(reasoning_factor=0.25), batch)

    def energy(output_tokens: int) -> float:
        return estimator.estimate_call(
            model="gpt-4o", input_tokens=1000, output_tokens=output_tokens, region="us-east-1"
        ).energy_kwh

    # 600 reasoning tokens become 150, so 1,000 tokens of output become 550
    assert found.energy_kwh.ratio.central == pytest.approx(
        (energy(550) + energy(300)) / (energy(1000) + energy(300)), rel=1e-12
    )
    assert (found.changed_calls, found.without_reasoning) == (1, 1)


def test_the_band_of_a_cache_holds_what_a_seeded_simulation_draws(estimator):
    batch = calls(input_tokens=20_000, cache_read_tokens=0, output_tokens=300)
    found = compared(estimator, Change(cached_share=0.8), batch)
    one = estimator.estimate(batch)
    prefill, decode = float(one.prefill_kwh[0]), float(one.decode_kwh[0])
    draws = np.random.default_rng(20261123).standard_normal((3, 200_000))
    # 90 % ranges of the edition: prefill 0.0012 to 0.003 J, a cached token 0.02 to 0.35 of a fresh one; the
    # batch, x1.6, decides what output costs and not what input does
    of_prefill = np.exp(draws[0] * math.log(2.5) / 2 / 1.64 + draws[2] * math.log(1.6))
    of_cached = np.exp(draws[1] * math.log(17.5) / 2 / 1.64)
    base = prefill * of_prefill + decode
    changed = prefill * of_prefill * (0.2 + 0.8 * 0.1 * of_cached) + decode
    ratio = found.energy_kwh.ratio
    within = np.mean((changed / base >= ratio.low) & (changed / base <= ratio.high))
    # the closed form is cautious where a small term has a wide error
    assert 0.90 <= within <= 0.97


def test_measured_and_reported_energy_stays_unless_only_the_place_changes(estimator):
    batch = calls(2, reported_energy_kwh=[0.001, math.nan])
    smaller = compared(estimator, Change(model="gpt-4o-mini"), batch)
    assert (smaller.kept_reported, smaller.changed_calls) == (1, 1)
    elsewhere = compared(estimator, Change(region="eu-west-3"), calls(reported_energy_kwh=0.001))
    assert elsewhere.kept_reported == 0
    assert elsewhere.energy_kwh.ratio.central == 1.0
    assert elsewhere.co2e_g.ratio.central == pytest.approx(31 / 418, rel=1e-12)


def test_calls_to_another_kind_of_model_stay_as_they_are(estimator):
    batch = calls(
        2,
        operation=["chat", "embeddings"],
        model=["gpt-4o", "text-embedding-3-small"],
        output_tokens=[300, 0],
    )
    found = compared(estimator, Change(model="gpt-4o-mini"), batch)
    assert (found.kept_other_kind, found.changed_calls) == (1, 1)
    found = compared(estimator, Change(model="text-embedding-3-large"), batch)
    assert (found.kept_other_kind, found.changed_calls) == (1, 1)


def test_a_rule_of_the_user_holds_the_place():
    rules = ({"match": {"provider": "openai"}, "region": "swedencentral"},)
    found = compared(Config(regions=rules).estimator(), Change(region="eu-west-3"), calls(2))
    assert (found.kept_place, found.changed_calls) == (2, 0)
    assert found.co2e_g.ratio == pytest.approx((1, 1, 1), abs=1e-6)


def test_calls_without_a_figure_are_not_compared(estimator):
    batch = calls(3, has_usage=[True, False, False], input_tokens=[1000, 0, 0], output_tokens=[300, 0, 0])
    found = compared(estimator, Change(region="eu-west-3"), batch)
    assert (found.calls, found.moved) == (1, 1)
    nothing = compared(estimator, Change(region="eu-west-3"), calls(0))
    assert nothing.calls == 0
    assert math.isnan(nothing.energy_kwh.ratio.central)


def test_carbon_is_compared_over_calls_that_have_it_on_both_sides():
    """Direct values: Bahrain has none, so a call there is left out of the carbon of both sides."""
    direct = Estimator(factor_type="direct")
    batch = calls(2, span_region=["me-south-1", "us-east-1"])
    found = compared(direct, Change(reasoning_factor=0.5), batch)
    assert (found.calls, found.without_carbon) == (2, 1)
    assert found.co2e_g.ratio.central == 1.0
    gone = compared(direct, Change(region="me-south-1"), batch)
    assert (gone.calls, gone.without_carbon) == (2, 2)
    assert gone.as_dict()["co2e_g"]["ratio"] == {"central": None, "low": None, "high": None}


def test_batches_add_up_to_the_whole(estimator):
    change = Change(model="gpt-4o-mini", region="eu-west-3", cached_share=0.3, reasoning_factor=0.5)
    batch = calls(4, output_tokens=[100, 200, 300, 400], reasoning_tokens=[0, 50, 100, 200])
    whole = compared(estimator, change, batch)
    parts = compared(estimator, change, batch.take(np.array([0, 2])), batch.take(np.array([1, 3])))
    for name in ("energy_kwh", "co2e_g"):
        together, apart = getattr(whole, name), getattr(parts, name)
        assert apart.ratio == pytest.approx(together.ratio, rel=1e-9)
        assert apart.changed == pytest.approx(together.changed, rel=1e-9)


def test_spans_are_compared_as_the_enricher_counts_them(estimator):
    same = {"gen_ai.response.id": "one"}
    found = WhatIf(estimator, Change(region="eu-west-3"))
    spans = window(estimator, chat(1, same), chat(2, same, parent=1), chat(3))
    found.add(spans.calls, spans.estimates)
    assert found.calls == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "nothing is changed: give a model, region, cached share or reasoning factor"),
        ({"cached_share": 1.2}, "the cached share is 1.2; allowed: 0 to 1"),
        ({"cached_share": math.nan}, "the cached share is nan"),
        ({"reasoning_factor": -1.0}, "the reasoning factor is -1; allowed: 0 and above"),
    ],
)
def test_changes_that_cannot_be_are_refused(change, message):
    with pytest.raises(WhatIfError, match=message):
        Change(**change)


def test_unknown_models_and_regions_are_refused(estimator):
    with pytest.raises(UnknownModelError, match="does not know the model 'gpt-4o-mega'"):
        WhatIf(estimator, Change(model="gpt-4o-mega"))
    with pytest.raises(UnknownRegionError, match="no region 'eu-wst-3'; did you mean eu-west-3"):
        WhatIf(estimator, Change(region="eu-wst-3"))
