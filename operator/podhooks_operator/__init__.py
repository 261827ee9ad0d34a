"""The operator: what runs once per cluster. The webhook that injects annotated pods, and its certificates."""
