"""What users wrote on a pod: its annotations, read into a plan, and a plan written back. Pure: text in, values out."""
