//! Runs launchers, measures them and compares.
