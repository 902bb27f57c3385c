"""Energy of spans that are no model calls, against numbers reckoned by hand."""

import datetime as dt
import math

import numpy as np
import pytest

from wattspan import Estimator
from wattspan.calls import Column
from wattspan.calls.compute import ComputeBatch
from wattspan.estimator import total
from wattspan.estimator.compute import ComputeEstimator

SECOND = 10**9
IN_2025 = int(dt.datetime(2025, 6, 1, tzinfo=dt.UTC).timestamp()) * SECOND


@pytest.fixture(scope="module")
def estimator():
    return Estimator("2026.11")


def spans(seconds, is_cpu_time, region="eu-west-3", cloud="aws", service="shop"):
    n = len(seconds)
    return ComputeBatch(
        time_ns=(np.array(seconds) * SECOND).astype(np.int64),
        is_cpu_time=np.array(is_cpu_time),
        start_unix_ns=np.full(n, IN_2025),
        region=Column.of([region] * n if isinstance(region, str) else region),
        cloud=Column.of([cloud] * n if isinstance(cloud, str) else cloud),
        service=Column.constant(service, n),
    )


def test_own_time_is_half_a_vcpu_at_work_and_processor_time_a_whole_one(estimator):
    found = ComputeEstimator(estimator).estimate(spans([10.0, 10.0], [False, True]))
    # AWS: 0.74 W at rest, 3.5 W at work. 10 s x (0.74 + 0.5 x 2.76) W = 21.2 J; 10 s x 3.5 W = 35 J
    assert found.host_kwh.tolist() == pytest.approx([21.2 / 3.6e6, 35 / 3.6e6])
    # eu-west-3: PUE 1.11 (AWS in Europe); France in 2025: 31 g/kWh
    assert found.pue.tolist() == [1.11, 1.11]
    assert found.energy_kwh.tolist() == pytest.approx([21.2 * 1.11 / 3.6e6, 35 * 1.11 / 3.6e6])
    assert found.co2e_g.tolist() == pytest.approx([21.2 * 1.11 / 3.6e6 * 31, 35 * 1.11 / 3.6e6 * 31])
    assert found.overhead_kwh.tolist() == pytest.approx([21.2 * 0.11 / 3.6e6, 35 * 0.11 / 3.6e6])


def test_it_is_labelled_compute_and_says_where_it_ran(estimator):
    found = ComputeEstimator(estimator).estimate(spans([1.0], [False]))
    assert (found.basis[0], found.tier[0], found.model[0]) == ("compute", "compute", "")
    assert (found.region[0], found.region_source[0], found.zone[0]) == ("aws/eu-west-3", "resource", "FR")
    assert found.edition == "2026.11"
    assert np.isnan(found.embodied_g).all()


def test_each_cloud_has_its_watts_and_an_unknown_one_their_mean(estimator):
    regions = ["us-east-1", "eastus", "us-central1", ""]
    found = ComputeEstimator(estimator).estimate(
        spans([3600.0] * 4, [True] * 4, region=regions, cloud=["aws", "azure", "gcp", ""])
    )
    # Wh of an hour at work; 3.717 is the mean of the three, rounded to four digits
    assert (found.host_kwh * 1000).tolist() == pytest.approx([3.5, 3.54, 4.11, 3.717])
    # nobody said where: own machines (PUE 1.54 of Uptime's survey), the world's grid
    assert found.pue[3] == 1.54
    assert (found.region[3], found.region_source[3]) == ("world", "world")


def test_the_utilisation_can_be_set(estimator):
    found = ComputeEstimator(estimator, utilisation=0.1).estimate(spans([10.0, 10.0], [False, True]))
    # 10 s x (0.74 + 0.1 x 2.76) W; processor time is at work whatever the average
    assert found.host_kwh.tolist() == pytest.approx([10.16 / 3.6e6, 35 / 3.6e6])


def test_the_bands_are_wide_and_wider_for_own_time(estimator):
    found = ComputeEstimator(estimator).estimate(spans([10.0, 10.0], [False, True]))
    machine = math.log(1.72) ** 2 + math.log(1.384) ** 2 + math.log(1.1) ** 2
    use = math.log(1.555) ** 2 + math.log(2.323) ** 2
    widths = (found.energy_kwh_high / found.energy_kwh).tolist()
    assert widths == pytest.approx(
        [math.exp(1.64 * math.sqrt(machine + use)), math.exp(1.64 * math.sqrt(machine))]
    )
    assert widths == pytest.approx([6.55, 2.85], abs=0.01)
    assert (found.energy_kwh / found.energy_kwh_low).tolist() == pytest.approx(widths)


def test_errors_are_shared_and_do_not_average_out_over_many_spans(estimator):
    found = ComputeEstimator(estimator).estimate(spans([1.0] * 1000, [True] * 1000))
    terms = [
        (float(energy), found.spreads[code].energy)
        for energy, code in zip(found.energy_kwh, found.spread, strict=True)
    ]
    band = total(terms)
    one = total(terms[:1])
    assert band.high / band.central == pytest.approx(one.high / one.central)


def test_a_span_without_a_time_of_day_takes_the_newest_grid_vintage(estimator):
    batch = spans([1.0], [False])
    undated = ComputeBatch(
        batch.time_ns,
        batch.is_cpu_time,
        np.zeros(1, dtype=np.int64),
        batch.region,
        batch.cloud,
        batch.service,
    )
    assert ComputeEstimator(estimator).estimate(undated).intensity_g_per_kwh.tolist() == [31.0]


def test_no_spans_are_no_estimates(estimator):
    assert len(ComputeEstimator(estimator).estimate(spans([], np.zeros(0, dtype=bool)))) == 0


def test_direct_factors_are_those_of_the_estimator(estimator):
    direct = Estimator("2026.11", factor_type="direct")
    found = ComputeEstimator(direct).estimate(spans([3600.0], [True]))
    assert found.factor_type == "direct"
    expected = direct.estimate_call(model="gpt-4o", input_tokens=9, region="aws/eu-west-3", at="2025-06-01")
    assert found.intensity_g_per_kwh.tolist() == [expected.intensity_g_per_kwh]
