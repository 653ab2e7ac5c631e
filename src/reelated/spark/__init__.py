"""Fit models and recommend on a Spark cluster: ratings stay there, executors compute the item × item matrices."""

from importlib.util import find_spec

from reelated.errors import not_installed

if find_spec("pyspark") is None or find_spec("pyarrow") is None:
    raise not_installed("Spark", "spark")

from reelated.spark.fitting import baseline, fit
from reelated.spark.lists import audience, recommend
from reelated.spark.planning import Plan, Step, plan

__all__ = ["Plan", "Step", "audience", "baseline", "fit", "plan", "recommend"]
