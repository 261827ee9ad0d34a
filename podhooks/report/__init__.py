"""What a pod or a Job has to tell: its news, a summary of its hooks, and the verdict on its run."""
