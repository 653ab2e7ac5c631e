"""`/docs`: the API reference, rendered from the OpenAPI document without external scripts."""

from functools import partial
from typing import Any, NamedTuple

from starlette.responses import Response

from reelated.web.pages.site import Site, Visit


def add_to(site: Site) -> None:
    """Register this page."""
    site.add("GET", "/docs", partial(show, site))


class Field(NamedTuple):
    """One field of a schema, or one parameter of a route."""

    name: str
    type: str
    description: str
    needed: bool


class Call(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    description: str
    keyed: bool
    parameters: list[Field]
    body: str
    answer: str


def show(site: Site, visit: Visit) -> Response:
    """Show every route, and the request and response schemas."""
    described = visit.request.app.openapi()
    calls = [
        _call(path, method, told) for path, methods in described["paths"].items() for method, told in methods.items()
    ]
    objects = {
        name: [_field(field, part, field in schema.get("required", ())) for field, part in schema["properties"].items()]
        for name, schema in sorted(described["components"]["schemas"].items())
        if "properties" in schema
    }
    return site.draw(visit, "api_docs", calls=calls, objects=objects)


def _call(path: str, method: str, told: dict[str, Any]) -> Call:
    parameters = [_field(one["name"], one["schema"] | one, one["required"]) for one in told.get("parameters", ())]
    answer = next(answer for status, answer in told["responses"].items() if status.startswith("2"))
    body = _content(told.get("requestBody", {}))
    return Call(method.upper(), path, told["description"], "security" in told, parameters, body, _content(answer))


def _content(told: dict[str, Any]) -> str:
    """Return the schema name of a body, or its media type if it is not JSON."""
    for kind, content in told.get("content", {}).items():
        return type_of(content["schema"]) if kind == "application/json" else kind
    return ""


def _field(name: str, schema: dict[str, Any], needed: bool) -> Field:
    return Field(name, type_of(schema), schema.get("description", ""), needed)


def type_of(schema: dict[str, Any]) -> str:
    """Return the JSON type of a schema as text."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if kinds := schema.get("anyOf"):
        return " or ".join(map(type_of, kinds))
    if "enum" in schema or "const" in schema:
        return " or ".join(f'"{value}"' for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        parts = schema.get("prefixItems")
        return f"[{', '.join(map(type_of, parts))}]" if parts else f"array of {type_of(schema.get('items', {}))}"
    return str(schema.get("type", "any"))
