//! Harness of whole-server tests.
