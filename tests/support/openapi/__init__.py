"""The OpenAPI 3.1 document of the Management API (docs/openapi.json): made of the table of operations by drf-spectacular, with
what bodies look like from the modules here. `python -m tests.support.api_page` writes it."""
