"""`Estimator`: the interface of scikit-learn's estimators, without importing scikit-learn, which takes a second."""

import inspect
from copy import deepcopy
from typing import Any, Self, TypeVar

Model = TypeVar("Model")


class Estimator:
    """An estimator whose parameters are the arguments of `__init__`, which stores them under their names."""

    n_features_in_: int

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Parameters
        ----------
        deep : bool, default True
            Whether to add the parameters of nested models, as ``ranker__l2``.
        """
        params = {name: getattr(self, name) for name in sorted(_defaults(type(self)))}
        if deep:
            for name, value in list(params.items()):
                if hasattr(value, "get_params") and not isinstance(value, type):
                    params |= {f"{name}__{inner}": own for inner, own in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``ranker__l2=10`` sets a parameter of a nested model.

        Parameters
        ----------
        **params
            Parameters by name.

        Raises
        ------
        ValueError
            There is no such parameter.
        """
        nested: dict[str, dict[str, Any]] = {}
        for key, value in params.items():
            name, double_underscore, inner = key.partition("__")
            if name not in (known := sorted(_defaults(type(self)))):
                raise ValueError(f"Invalid parameter {name!r} for estimator {self}. Valid parameters are: {known!r}.")
            if double_underscore:
                nested.setdefault(name, {})[inner] = value
            else:
                setattr(self, name, value)
        for name, inner_params in nested.items():
            getattr(self, name).set_params(**inner_params)
        return self

    def __repr__(self) -> str:
        """Return the call that makes this estimator, without default parameters."""
        changed = (
            f"{name}={value!r}"
            for name, default in sorted(_defaults(type(self)).items())
            if repr(value := getattr(self, name)) != repr(default)
        )
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags

        tags = Tags(estimator_type=None, target_tags=TargetTags(required=False))
        tags.input_tags.sparse = True
        return tags

    def _repr_html_(self) -> str:
        """Return the diagram that scikit-learn shows in a notebook."""
        from sklearn.utils import estimator_html_repr

        return str(estimator_html_repr(self))


def _defaults(cls: type) -> dict[str, Any]:
    """Return the parameters of a class with their defaults."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    return {p.name: p.default for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def clone(model: Model) -> Model:
    """Return an unfitted copy of a model, as `sklearn.base.clone` does; None is returned unchanged."""
    if model is None:
        return model
    params: dict[str, Any] = model.get_params(deep=False)  # type: ignore[attr-defined]
    return type(model)(**{name: clone(p) if hasattr(p, "get_params") else deepcopy(p) for name, p in params.items()})
