"""The Webhook aggregate: where notices of decisions are sent, and who had that so."""
