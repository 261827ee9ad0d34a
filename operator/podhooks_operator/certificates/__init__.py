"""Where the webhook's certificate comes from: files that cert-manager mounts, or made here and rotated."""
