"""Which model serves a deployment, and how another one takes its place while everything goes on."""
