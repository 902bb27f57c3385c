"""The arithmetic: energy, carbon, embodied, water and how far off each may be. Pure: no I/O, no clock."""

from wattspan.estimator.deployments import Deployment, Metered
from wattspan.estimator.energy import Coefficients, coefficients, gpu_energy_j
from wattspan.estimator.estimate import Estimate, Estimator
from wattspan.estimator.figures import Parts, energy_parts
from wattspan.estimator.plan import DeploymentError, Plan, PlanKey, Planner
from wattspan.estimator.spread import Z90, Band, Sums, Terms, combined_ln_g, total, totals

__all__ = [
    "Z90",
    "Band",
    "Coefficients",
    "Deployment",
    "DeploymentError",
    "Estimate",
    "Estimator",
    "Metered",
    "Parts",
    "Plan",
    "PlanKey",
    "Planner",
    "Sums",
    "Terms",
    "coefficients",
    "combined_ln_g",
    "energy_parts",
    "gpu_energy_j",
    "total",
    "totals",
]
