"""The API that is served, as OpenAPI 3.1: PACT's actions with the narrower types of `schema`."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import wattspan
from wattspan.disclosure.pact import events
from wattspan.disclosure.pact.catalogue import CURSOR
from wattspan.disclosure.pact.criteria import TEXTS, TIMES
from wattspan.disclosure.pact.grammar import UUID
from wattspan.disclosure.pact.schema import CARBON_FOOTPRINT, CODES, PRODUCT_FOOTPRINT, Schema
from wattspan.disclosure.pact.terms import SCHEMA_FILE

_JSON: Final = "application/json"
_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
_MOMENT_OR_NOT: Final[Schema] = {"type": "string", "anyOf": [{"format": "date-time"}, {"maxLength": 0}]}
_MEANINGS: Final = {
    "productId": "URNs of products",
    "companyId": "URNs of companies",
    "geography": "codes of countries or their parts, or names of regions",
    "classification": "URNs of classes; both forms of UN CPC are found by either",
    "status": "Active or Deprecated; others find nothing",
    "validOn": "valid then: start <= validOn <= end",
    "validAfter": "valid from later than this",
    "validBefore": "valid until earlier than this",
}


@cache
def openapi() -> dict[str, Any]:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Footprints of LLM features (WBCSD PACT 3)",
            "version": wattspan.__version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "PACT Technical Specifications 3.0.3 as Wattspan serves them. One footprint is "
            "1,000 completed inferences of a product feature.",
        },
        "servers": [{"url": "/"}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "responses": {
                "BadRequest": _error("what was asked cannot be: the message says what is allowed"),
                "Unauthorized": _error(
                    "no token, or one that ended (TokenExpired) or never was (BadRequest)"
                ),
                "AccessDenied": _error("the footprint is not for this client"),
                "NotFound": _error("there is no such footprint"),
            },
            "securitySchemes": {
                "token": {
                    "type": "oauth2",
                    "flows": {"clientCredentials": {"tokenUrl": "/auth/token", "scopes": {}}},
                },
                "client": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _paths() -> Schema:
    return {
        "/auth/token": {
            "post": {
                "operationId": "Authenticate",
                "summary": "A token for a client (OAuth 2 client credentials)",
                "security": [{"client": []}],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/x-www-form-urlencoded": {
                            "schema": {
                                "type": "object",
                                "required": ["grant_type"],
                                "properties": {"grant_type": {"const": "client_credentials"}},
                            }
                        }
                    },
                },
                "responses": {
                    "200": _answer("a token", _ref("Token")),
                    "400": _answer("what was asked cannot be", _ref("OAuthError")),
                    "401": _answer("client id or secret is wrong", _ref("OAuthError")),
                    "413": _answer("the body is too long", _ref("OAuthError")),
                    "429": {
                        **_answer("too many attempts", _ref("OAuthError")),
                        "headers": {
                            "Retry-After": {
                                "description": "seconds until the next one",
                                "schema": {"type": "integer", "minimum": 1},
                            }
                        },
                    },
                },
            }
        },
        "/3/footprints": {
            "get": {
                "operationId": "ListFootprints",
                "summary": "Footprints that the client may see, in the order in which they came",
                "security": [{"token": []}],
                "parameters": [
                    *(_texts(name) for name in TEXTS),
                    *(_query(name, _MOMENT_OR_NOT, _MEANINGS[name]) for name in TIMES),
                    _query(
                        "limit", {"type": "integer", "minimum": 1, "maximum": 999_999_999}, "at most so many"
                    ),
                    _query("cursor", {"type": "string", "pattern": CURSOR}, "of a Link header"),
                ],
                "responses": {
                    "200": {
                        **_answer(
                            "a page; Link names the next one",
                            _data({"type": "array", "items": _ref("ProductFootprint")}),
                        ),
                        "headers": {
                            "Link": {
                                "description": 'RFC 8288, rel="next"; absent on the last page',
                                "schema": {"type": "string"},
                            }
                        },
                    },
                    "400": {"$ref": "#/components/responses/BadRequest"},
                    "401": {"$ref": "#/components/responses/Unauthorized"},
                },
            }
        },
        "/3/footprints/{id}": {
            "get": {
                "operationId": "GetFootprint",
                "summary": "One footprint",
                "security": [{"token": []}],
                "parameters": [
                    {
                        "name": "id",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "pattern": UUID},
                    }
                ],
                "responses": {
                    "200": _answer("the footprint", _data(_ref("ProductFootprint"))),
                    "401": {"$ref": "#/components/responses/Unauthorized"},
                    "403": {"$ref": "#/components/responses/AccessDenied"},
                    "404": {"$ref": "#/components/responses/NotFound"},
                },
            }
        },
        "/3/events": {
            "post": {
                "operationId": "Events",
                "summary": "Requests for footprints, answers to ours, and news",
                "security": [{"token": []}],
                "requestBody": {
                    "required": True,
                    "content": {events.MEDIA_TYPE: {"schema": {"oneOf": [_ref(n) for n in _EVENTS]}}},
                },
                "responses": {
                    "200": {
                        "description": "taken; the answer to a request goes to the recipient's own events"
                    },
                    "400": {"$ref": "#/components/responses/BadRequest"},
                    "401": {"$ref": "#/components/responses/Unauthorized"},
                    "413": _error("the body is too long"),
                },
            }
        },
        "/.well-known/openid-configuration": {
            "get": {
                "operationId": "Discover",
                "summary": "Where tokens come from",
                "responses": {
                    "200": _answer("as far as PACT uses OpenID Connect", {"type": "object"}),
                    "400": {"$ref": "#/components/responses/BadRequest"},
                },
            }
        },
        f"/schema/{SCHEMA_FILE}": {
            "get": {
                "operationId": "ExtensionSchema",
                "summary": "JSON Schema of the footprints' extension",
                "responses": {
                    "200": {
                        "description": "the schema",
                        "content": {"application/schema+json": {"schema": {"type": "object"}}},
                    }
                },
            }
        },
    }


def _schemas() -> Schema:
    footprint = {
        **PRODUCT_FOOTPRINT,
        "properties": {**PRODUCT_FOOTPRINT["properties"], "pcf": _ref("CarbonFootprint")},
    }
    return {
        "ProductFootprint": footprint,
        "CarbonFootprint": CARBON_FOOTPRINT,
        "Error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"enum": list(CODES)}, "message": {"type": "string"}},
        },
        "OAuthError": {
            "type": "object",
            "required": ["error"],
            "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
        },
        "Token": {
            "type": "object",
            "required": ["access_token", "token_type", "expires_in"],
            "properties": {
                "access_token": {"type": "string"},
                "token_type": {"const": "Bearer"},
                "expires_in": {"type": "integer", "minimum": 1},
            },
        },
        **{name: _event(kind, data) for name, (kind, data) in _EVENTS.items()},
    }


def _event(kind: str, data: Schema) -> Schema:
    printable = {"type": "string", "minLength": 1, "maxLength": events.MOST_ID, "pattern": "^[ -~]+$"}
    return {
        "type": "object",
        "required": ["type", "specversion", "id", "source", "time", "data"],
        "properties": {
            "type": {"const": kind},
            "specversion": {"const": "1.0"},
            "id": printable,
            "source": printable,
            "time": _MOMENT,
            "data": data,
        },
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _data(schema: Schema) -> Schema:
    return {"type": "object", "required": ["data"], "properties": {"data": schema}}


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {_JSON: {"schema": schema}}}


def _error(description: str) -> Schema:
    return _answer(description, _ref("Error"))


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _texts(name: str) -> Schema:
    schema = {"type": "array", "items": {"type": "string"}}
    return {**_query(name, schema, _MEANINGS[name]), "style": "form", "explode": True}


_SOME_TEXTS: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "minLength": 1},
}
_SOMEBODYS_FOOTPRINT: Final[Schema] = {
    "type": "object",
    "description": "a ProductFootprint of PACT 3: its id is looked at, the rest is kept as it came",
    "required": ["id"],
    "properties": {"id": {"type": "string", "pattern": UUID}},
}
_ANSWER: Final[Schema] = {"requestEventId": {"type": "string", "minLength": 1}}
_EVENTS: Final[dict[str, tuple[str, Schema]]] = {
    "RequestCreatedEvent": (
        events.CREATED,
        {
            "type": "object",
            "anyOf": [{"required": [name]} for name in (*TEXTS, *TIMES)],
            "additionalProperties": False,
            "properties": {
                **dict.fromkeys(TEXTS, _SOME_TEXTS),
                **dict.fromkeys(TIMES, _MOMENT),
                events.COMMENT: {"type": "string"},
            },
        },
    ),
    "RequestFulfilledEvent": (
        events.FULFILLED,
        {
            "type": "object",
            "required": ["requestEventId", "pfs"],
            "properties": {
                **_ANSWER,
                "pfs": {"type": "array", "minItems": 1, "items": _SOMEBODYS_FOOTPRINT},
            },
        },
    ),
    "RequestRejectedEvent": (
        events.REJECTED,
        {
            "type": "object",
            "required": ["requestEventId", "error"],
            "properties": {**_ANSWER, "error": _ref("Error")},
        },
    ),
    "PublishedEvent": (
        events.PUBLISHED,
        {
            "type": "object",
            "required": ["pfIds"],
            "properties": {
                "pfIds": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": UUID}}
            },
        },
    ),
}
