"""What runs in a pod beside the two programs: the standard library only, delivered into every image."""
