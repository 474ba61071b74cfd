"""Reads contacts, invoices and any other entity from SQL databases, by queries that the profile names."""

from libax_connector_sql.source import SqlSource as SqlSource
from libax_connector_sql.source import automate_connectors as automate_connectors

__all__ = ["SqlSource", "automate_connectors"]
