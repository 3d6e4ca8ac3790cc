"""What goes on between requests: deliveries of webhooks, uploads that become imports."""
