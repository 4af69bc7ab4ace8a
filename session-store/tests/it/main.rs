//! Tests of session-store at its boundary, in one binary.
