"""Which kinds of objects Kubernetes has, as far as the tools of a cluster need them."""
