"""Routes about the service: status, sinks, webhooks, imports, the audit log."""
