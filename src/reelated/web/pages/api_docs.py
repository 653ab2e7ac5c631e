"""`/docs`: the API reference, rendered from the OpenAPI document without external scripts."""

from typing import Any, NamedTuple

from starlette.responses import Response

from reelated.web.pages.site import PageRequest, Site


class SchemaField(NamedTuple):
    """One field of a schema, or one parameter of a route."""

    name: str
    type: str
    description: str
    required: bool


class Operation(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    description: str
    needs_key: bool
    parameters: list[SchemaField]
    body: str
    response: str


def show(site: Site, request: PageRequest) -> Response:
    """Show every route, and the request and response schemas."""
    document = request.http.app.openapi()
    operations = [
        _operation(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = {
        name: [_field(field, part, field in schema.get("required", ())) for field, part in schema["properties"].items()]
        for name, schema in sorted(document["components"]["schemas"].items())
        if "properties" in schema
    }
    return site.render(request, "api_docs", operations=operations, schemas=schemas)


def _operation(path: str, method: str, spec: dict[str, Any]) -> Operation:
    parameters = [_field(part["name"], part["schema"] | part, part["required"]) for part in spec.get("parameters", ())]
    body = _content(spec.get("requestBody", {}))
    response = _content(next(response for status, response in spec["responses"].items() if status.startswith("2")))
    return Operation(method.upper(), path, spec["description"], "security" in spec, parameters, body, response)


def _content(spec: dict[str, Any]) -> str:
    """Return the schema name of a body, or its media type if it is not JSON."""
    for media_type, content in spec.get("content", {}).items():
        return type_of(content["schema"]) if media_type == "application/json" else media_type
    return ""


def _field(name: str, schema: dict[str, Any], required: bool) -> SchemaField:
    return SchemaField(name, type_of(schema), schema.get("description", ""), required)


def type_of(schema: dict[str, Any]) -> str:
    """Return the JSON type of a schema as text."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if alternatives := schema.get("anyOf"):
        return " or ".join(map(type_of, alternatives))
    if "enum" in schema or "const" in schema:
        return " or ".join(f'"{value}"' for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        parts = schema.get("prefixItems")
        return f"[{', '.join(map(type_of, parts))}]" if parts else f"array of {type_of(schema.get('items', {}))}"
    return str(schema.get("type", "any"))
