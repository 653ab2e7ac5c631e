"""Fit models and recommend on a Spark cluster: ratings stay there, executors compute the item × item matrices."""

from importlib.util import find_spec

from reelated.errors import not_installed

if find_spec("pyspark") is None or find_spec("pyarrow") is None:
    raise not_installed("Spark", "spark")

from reelated.spark.cluster_fit import baseline, fit
from reelated.spark.planning import FitPlan, ModelCost, plan
from reelated.spark.serving import audience, recommend

__all__ = ["FitPlan", "ModelCost", "audience", "baseline", "fit", "plan", "recommend"]
