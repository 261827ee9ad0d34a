"""The mutating webhook: an AdmissionReview in, a patch out."""
