"""What Kubernetes says of a pod: its object, and from it how main ended. Pure: JSON in, values out."""
