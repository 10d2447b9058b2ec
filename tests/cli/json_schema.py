"""Check data against the small part of JSON Schema that the published schemas use.

Stricter than the standard: a field that a schema with `properties` does not name is an error, so
that nothing is printed that is not published; so is a keyword that is not understood here.
"""

TYPES = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}
WORDS = {
    "$schema",
    "$defs",
    "title",
    "description",
    "type",
    "properties",
    "required",
    "items",
    "additionalProperties",
    "enum",
    "const",
    "minimum",
    "oneOf",
    "x-line",
}


DEFINED = "#/$defs/"


def problems(schema, value, path="$", defined=None):
    """Return what is wrong, each with its place; an empty list is good.

    `{"$ref": "#/$defs/NAME"}` stands for what the whole schema defines under that name.
    """
    defined = schema.get("$defs", {}) if defined is None else defined
    if schema.keys() == {"$ref"}:
        schema = defined[schema["$ref"].removeprefix(DEFINED)]
    found = [f"{path}: keyword {word!r} is not understood" for word in schema.keys() - WORDS]
    kinds = schema.get("type")
    if kinds is not None and not any(
        is_a(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)
    ):
        return [*found, f"{path}: {value!r:.60} is no {kinds}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path}: {value!r:.60} is none of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{path}: {value!r:.60} is not {schema['const']!r}")
    if "minimum" in schema and is_a(value, "number") and value < schema["minimum"]:
        found.append(f"{path}: {value} is below {schema['minimum']}")
    if isinstance(value, dict):
        found += in_object(schema, value, path, defined)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found += problems(schema["items"], item, f"{path}[{index}]", defined)
    if "oneOf" in schema:
        fits = [part for part in schema["oneOf"] if not problems(part, value, path, defined)]
        if len(fits) != 1:
            found.append(f"{path}: fits {len(fits)} of {len(schema['oneOf'])} forms")
    return found


def is_a(value, kind):
    if kind in ("integer", "number") and isinstance(value, bool):
        return False
    return isinstance(value, TYPES[kind])


def in_object(schema, value, path, defined):
    found = [f"{path}: no {name!r}" for name in schema.get("required", []) if name not in value]
    known, more = schema.get("properties"), schema.get("additionalProperties")
    for name, item in value.items():
        if known is not None and name in known:
            found += problems(known[name], item, f"{path}.{name}", defined)
        elif isinstance(more, dict):
            found += problems(more, item, f"{path}.{name}", defined)
        elif known is not None and more is not True:
            found.append(f"{path}: field {name!r} is not published")
    return found
